import type { Query } from '../database/database.ts'

/**
 * Replaces a password hash, if it is still the one that was checked. Keeps the credential version, so that a renewal
 * does not refuse a parallel sign-in. Throws OAuthError `temporarily_unavailable`.
 */
export async function renewPasswordHash(
  query: Query,
  userId: string,
  hash: { readonly checked: string; readonly renewed: string },
): Promise<void> {
  await query(
    'renew_password_hash',
    'update password_grant.users set password_hash = $1 where id = $2 and password_hash = $3',
    [hash.renewed, userId, hash.checked],
  )
}
