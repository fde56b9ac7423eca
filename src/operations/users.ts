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

/** The result of setting a password. */
export interface UserWithPassword {
  readonly user: User
  /** Advice on a better password, or null. */
  readonly advice: string | null
}

/**
 * Adds a user, who can sign in at once. The password must have at least 8 characters and be neither common nor the
 * user's name; the database stores only its hash. The role has at most 256 characters; `''` means none. The id is a
 * UUID; default: a random one. Emits `user.created`.
 *
 * Throws OAuthError `invalid_request` for an invalid name, id, role or password, with the status 409 for a name or id
 * that is taken. Throws OAuthError `temporarily_unavailable` when the database is away or the hash queue is full.
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
 * Sets a user's password, refuses sign-ins in progress with the old one and ends the user's tokens, all in one
 * transaction. Emits `user.password_changed`.
 *
 * Throws OAuthError `invalid_request` for an invalid password, with the status 404 when there is no such user. Throws
 * OAuthError `temporarily_unavailable` when the database is away or the hash queue is full.
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
 * Sets a user's role, `''` for none, and ends the user's tokens in the same transaction, since they carry the old role.
 * Emits `user.role_changed`.
 *
 * Throws OAuthError `invalid_request` for a role of more than 256 characters or with control characters, with the
 * status 404 when there is no such user. Throws OAuthError `temporarily_unavailable` when the database is away.
 */
export async function setRole(operator: Operator, name: string, { role }: { role: string }): Promise<User> {
  return runOperation(operator, async (query) => {
    const { user, ended } = await changeAndEndTokens(query, name, { role })
    return { result: user, event: { type: 'user.role_changed', role: user.role, ...ended } }
  })
}

/**
 * Disables a user, refuses sign-ins in progress and ends the user's tokens, all in one transaction. Emits
 * `user.disabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable`
 * when the database is away.
 */
export async function disableUser(operator: Operator, name: string): Promise<User> {
  return runOperation(operator, async (query) => {
    const { user, ended } = await changeAndEndTokens(query, name, { isEnabled: false })
    return { result: user, event: { type: 'user.disabled', ...ended } }
  })
}

/**
 * Enables a disabled user. The user's ended tokens stay ended. Emits `user.enabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable`
 * when the database is away.
 */
export async function enableUser(operator: Operator, name: string): Promise<User> {
  return runOperation(operator, async (query) => {
    const user = await changeUser(query, name, { isEnabled: true })
    return { result: user, event: { type: 'user.enabled', userId: user.id } }
  })
}

/**
 * Removes a user, or the user of a device, and all the user's tokens. Resolves with the removed user. Emits
 * `user.removed`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable`
 * when the database is away.
 */
export async function removeUser(operator: Operator, name: string): Promise<User> {
  return runOperation(operator, async (query) => {
    const user = await removeRow(query, name)
    return { result: user, event: { type: 'user.removed', userId: user.id } }
  })
}

/** Hashes before the transaction begins, so that no connection waits for argon2. */
async function hashPassword({ passwords }: HashingOperator, name: string, password: string) {
  const advice = await applyPasswordPolicy(password, name)
  return { advice, passwordHash: await passwords.hash(password) }
}

/** Changes the user first: that refuses sign-ins in progress, which would otherwise leave a token behind. */
async function changeAndEndTokens(query: Query, name: string, change: UserChange) {
  const user = await changeUser(query, name, change)
  return { user, ended: { userId: user.id, endedTokens: await revokeTokensOfUser(query, user.id) } }
}
