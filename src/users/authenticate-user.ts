import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import type { HashPlace } from '../passwords/hash-queue.ts'
import { isPassword, type Passwords } from '../passwords/password.ts'
import { isUserName, userNameKey } from './user-name.ts'

/** A user whose password was right a moment ago. */
export interface AuthenticatedUser {
  readonly id: string
  readonly credentialVersion: string
  /** Set when the hash was made with another cost than today's and should be renewed. */
  readonly hashToRenew: string | null
}

/**
 * Checks a name and a password. No connection is held while argon2 runs, and a name nobody has, a disabled
 * user and one without a password cost the same hash. Throws OAuthError `invalid_grant` with one sentence
 * for all of them, `temporarily_unavailable` when the queue is full or the database away, and nothing is told of a caller
 * who has hung up.
 */
export async function authenticateUser(
  query: Query,
  passwords: Passwords,
  name: string,
  password: string,
  place: HashPlace,
): Promise<AuthenticatedUser> {
  const user = isUserName(name) ? await findCredentials(query, name) : null
  const matched = await matchPassword(passwords, isPassword(password) ? user : null, password, place)
  if (!user || matched !== true || !user.isEnabled) throw refuseGrant(user, matched)
  const { id, credentialVersion, passwordHash } = user
  return { id, credentialVersion, hashToRenew: passwords.needsRenewal(passwordHash ?? '') ? passwordHash : null }
}

/** A stored hash that cannot be read is a refusal and a fault to be logged, so it comes back as what it is. */
async function matchPassword(
  passwords: Passwords,
  user: Credentials | null,
  password: string,
  place: HashPlace,
): Promise<boolean | Error> {
  return passwords.match(user?.passwordHash ?? null, password, place, !user?.isEnabled).catch((error: unknown) => {
    if (error instanceof OAuthError || !(error instanceof Error)) throw error
    return error
  })
}

function refuseGrant(user: Credentials | null, matched: boolean | Error): OAuthError {
  return new OAuthError('invalid_grant', 'The user name or password is incorrect.', {
    reason: reasonFor(user, matched),
    cause: matched instanceof Error ? matched : undefined,
    userId: user?.id,
  })
}

function reasonFor(user: Credentials | null, matched: boolean | Error): string {
  if (!user) return 'unknown user'
  if (matched instanceof Error) return matched.message
  if (user.passwordHash === null) return 'user without a password'
  return matched ? 'disabled user' : 'wrong password'
}

interface Credentials {
  id: string
  passwordHash: string | null
  credentialVersion: string
  isEnabled: boolean
}

async function findCredentials(query: Query, name: string): Promise<Credentials | null> {
  const [credentials] = await query<Credentials>(
    'find_credentials',
    `select
      id,
      password_hash as "passwordHash",
      credential_version as "credentialVersion",
      is_enabled as "isEnabled"
    from password_grant.users
    where name_key = $1`,
    [userNameKey(name)],
  )
  return credentials ?? null
}

/**
 * Replaces a hash by one at today's cost, if it is still the one that was checked. Leaves the credential
 * version alone: a renewal must not refuse a parallel sign-in.
 */
export async function renewPasswordHash(
  query: Query,
  passwords: Passwords,
  user: AuthenticatedUser,
  password: string,
): Promise<void> {
  if (user.hashToRenew === null) return
  await query(
    'renew_password_hash',
    'update password_grant.users set password_hash = $1 where id = $2 and password_hash = $3',
    [await passwords.hash(password), user.id, user.hashToRenew],
  )
}
