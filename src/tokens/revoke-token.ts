import type { Query } from '../database/database.ts'

/** Ends every live token of a user; returns how many. The caller raises the user's credential version first. */
export async function revokeTokensOfUser(query: Query, userId: string): Promise<number> {
  const rows = await query(
    'revoke_tokens_of_user',
    `update password_grant.tokens
    set revoked_at = now()
    where user_id = $1 and revoked_at is null and expires_at > now()
    returning id`,
    [userId],
  )
  return rows.length
}

/** Ends every live token a client was given; returns how many. The caller disables the client first. */
export async function revokeTokensOfClient(query: Query, clientId: string): Promise<number> {
  const rows = await query(
    'revoke_tokens_of_client',
    `update password_grant.tokens
    set revoked_at = now()
    where client_id = $1 and revoked_at is null and expires_at > now()
    returning id`,
    [clientId],
  )
  return rows.length
}
