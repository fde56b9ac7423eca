/** The columns of a `Token` and its state; the only definition of a live token. Select them from `tokenTables`. */
export const tokenColumns = `
  t.id,
  t.client_id as "clientId",
  t.user_id as "userId",
  u.name as "userName",
  u.role,
  t.device,
  t.issued_at as "issuedAt",
  t.expires_at as "expiresAt",
  case
    when t.revoked_at is not null then 'revoked'
    when t.expires_at <= now() then 'expired'
    else 'live'
  end as state`

/** The tokens joined with their users. */
export const tokenTables = `
  password_grant.tokens t
  join password_grant.users u on u.id = t.user_id`
