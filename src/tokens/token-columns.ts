/** What a `Token` is made of, and what its row says of it: the one definition of live. Select from `tokenTables`. */
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

/** Tokens beside their users. */
export const tokenTables = `
  password_grant.tokens t
  join password_grant.users u on u.id = t.user_id`
