import type { Query } from '../database/database.ts'
import { applyPasswordPolicy } from '../passwords/password-policy.ts'
import { revokeTokensOfUser } from '../tokens/revoke-token.ts'
import {
  changeUser,
  registerUser,
  removeUser as removeRow,
  type User,
  type UserChange,
} from '../users/register-user.ts'
import type { HashingOperator, Operator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/** A user whose password was set. */
export interface UserWithPassword {
  readonly user: User
  /** A sentence on how the password might be better, or null. */
  readonly advice: string | null
}

/**
 * Adds a user who can sign in at once. The password has at least 8 characters and is neither common nor the user's name;
 * only its hash is stored. The role is one text of at most 256 characters, `''` for none; the id is a UUID, by default a
 * random one. Emits `user.created`.
 *
 * Throws OAuthError `invalid_request` for a name, id, role or password that the product refuses, with the status 409 for a
 * name or an id that is taken. Throws OAuthError `temporarily_unavailable` when the database is away or the hash queue full.
 */
export async function addUser(
  operator: HashingOperator,
  name: string,
  { password, role, id }: { password: string; role?: string | undefined; id?: string | undefined },
): Promise<UserWithPassword> {
  const { passwordHash, advice } = await hashPassword(operator, name, password)
  return runOperation(operator, async (query) => {
    const user = await registerUser(query, { name, role, id, passwordHash })
    return { result: { user, advice }, event: { type: 'user.created', userId: user.id, role: user.role } }
  })
}

/**
 * Sets a user's password and ends the user's tokens in the same transaction; a sign-in under way with the old password is
 * refused. Emits `user.password_changed`.
 *
 * Throws OAuthError `invalid_request` for a password that the product refuses, with the status 404 when there is no such
 * user. Throws OAuthError `temporarily_unavailable` when the database is away or the hash queue full.
 */
export async function setPassword(
  operator: HashingOperator,
  name: string,
  { password }: { password: string },
): Promise<UserWithPassword> {
  const { passwordHash, advice } = await hashPassword(operator, name, password)
  return runOperation(operator, async (query) => {
    const { user, ended } = await changeAndEndTokens(query, name, { passwordHash })
    return { result: { user, advice }, event: { type: 'user.password_changed', ...ended } }
  })
}

/**
 * Sets a user's role, `''` for none, and ends the user's tokens in the same transaction, since they speak for the old role.
 * Emits `user.role_changed`.
 *
 * Throws OAuthError `invalid_request` for a role of more than 256 characters or with control characters, with the status
 * 404 when there is no such user. Throws OAuthError `temporarily_unavailable` when the database is away.
 */
export async function setRole(operator: Operator, name: string, { role }: { role: string }): Promise<User> {
  return runOperation(operator, async (query) => {
    const { user, ended } = await changeAndEndTokens(query, name, { role })
    return { result: user, event: { type: 'user.role_changed', role: user.role, ...ended } }
  })
}

/**
 * Refuses a user from now on, sign-ins under way included, and ends the user's tokens in the same transaction. Emits
 * `user.disabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable` when the
 * database is away.
 */
export async function disableUser(operator: Operator, name: string): Promise<User> {
  return runOperation(operator, async (query) => {
    const { user, ended } = await changeAndEndTokens(query, name, { isEnabled: false })
    return { result: user, event: { type: 'user.disabled', ...ended } }
  })
}

/**
 * Lets a disabled user sign in again; tokens that have ended stay ended. Emits `user.enabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable` when the
 * database is away.
 */
export async function enableUser(operator: Operator, name: string): Promise<User> {
  return runOperation(operator, async (query) => {
    const user = await changeUser(query, name, { isEnabled: true })
    return { result: user, event: { type: 'user.enabled', userId: user.id } }
  })
}

/**
 * Removes a user, or the user of a device, with all tokens. Resolves with the user as it was. Emits `user.removed`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable` when the
 * database is away.
 */
export async function removeUser(operator: Operator, name: string): Promise<User> {
  return runOperation(operator, async (query) => {
    const user = await removeRow(query, name)
    return { result: user, event: { type: 'user.removed', userId: user.id } }
  })
}

/** Before the transaction: no connection waits while argon2 runs. */
async function hashPassword({ passwords }: HashingOperator, name: string, password: string) {
  const advice = await applyPasswordPolicy(password, name)
  return { advice, passwordHash: await passwords.hash(password) }
}

/** The change comes first: it refuses the sign-ins under way, which would otherwise leave a token behind. */
async function changeAndEndTokens(query: Query, name: string, change: UserChange) {
  const user = await changeUser(query, name, change)
  return { user, ended: { userId: user.id, endedTokens: await revokeTokensOfUser(query, user.id) } }
}
