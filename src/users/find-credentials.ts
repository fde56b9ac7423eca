import { type Batching, batchLookups, forSignIns } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { isUserName, userNameKey } from './user-name.ts'

/** The stored credentials of a user. */
export interface Credentials {
  readonly id: string
  /** Null for a user without a password, such as a device. */
  readonly passwordHash: string | null
  /** Renewed by every change that must refuse sign-ins in progress. */
  readonly credentialVersion: string
  readonly isEnabled: boolean
}

/** Finds a user's credentials by name; null when no user has it. Throws OAuthError `temporarily_unavailable`. */
export type FindCredentials = (name: string) => Promise<Credentials | null>

/** Creates a finder that batches concurrent look-ups into one statement. */
export function createCredentialsFinder(query: Query, batching: Batching = forSignIns): FindCredentials {
  const find = batchLookups(async (nameKeys) => {
    const users = await query<Credentials & { nameKey: string }>(
      'find_credentials',
      `select
        id,
        name_key as "nameKey",
        password_hash as "passwordHash",
        credential_version as "credentialVersion",
        is_enabled as "isEnabled"
      from password_grant.users
      where name_key = any ((select $1::text[])::text[])`,
      [nameKeys],
    )
    return new Map(users.map((user) => [user.nameKey, user]))
  }, batching)
  return async (name) => (isUserName(name) ? ((await find(userNameKey(name))) ?? null) : null)
}
