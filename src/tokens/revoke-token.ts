import type { Query } from '../database/database.ts'

/** Ends every live token of a user; returns how many. The caller renews the user's credential version first. */
export async function revokeTokensOfUser(query: Query, userId: string): Promise<number> {
  return (await query('revoke_tokens_of_user', revokeWhere('user_id'), [userId])).length
}

/** Ends every live token a client was given; returns how many. The caller disables the client first. */
export async function revokeTokensOfClient(query: Query, clientId: string): Promise<number> {
  return (await query('revoke_tokens_of_client', revokeWhere('client_id'), [clientId])).length
}

function revokeWhere(column: 'user_id' | 'client_id'): string {
  return `
update password_grant.tokens
set revoked_at = now()
where ${column} = $1 and revoked_at is null and expires_at > now()
returning id`
}
