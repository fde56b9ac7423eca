import type { Database } from '../database/database.ts'
import { type Passwords, requirePassword } from '../passwords/password.ts'
import { revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { changeUser, listUsers, registerUser, removeUser, type User, type UserChange } from '../users/register-user.ts'
import { type Answer, writeTable } from './answer.ts'

/** What `user add` is told besides the password. */
export interface AddedUser {
  readonly name: string
  readonly role?: string | undefined
  readonly id?: string | undefined
}

/** `user add`. */
export async function addUser(
  database: Database,
  passwords: Passwords,
  user: AddedUser,
  password: string,
): Promise<Answer> {
  requirePassword(password)
  const added = await registerUser(database.query, { ...user, passwordHash: await passwords.hash(password) })
  return { json: { userId: added.id, userName: added.name, role: added.role }, text: `User ${added.name} added.` }
}

/** `user set-password`: the user's tokens end in the same transaction. */
export async function setPassword(
  database: Database,
  passwords: Passwords,
  name: string,
  password: string,
): Promise<Answer> {
  requirePassword(password)
  return endTokensWith(database, name, { passwordHash: await passwords.hash(password) }, 'has a new password')
}

/** `user set-role`: likewise, since a token speaks for a role. */
export async function setRole(database: Database, name: string, role: string): Promise<Answer> {
  return endTokensWith(database, name, { role }, `has the role "${role}"`)
}

/** `user disable`: likewise. */
export async function disableUser(database: Database, name: string): Promise<Answer> {
  return endTokensWith(database, name, { isEnabled: false }, 'disabled')
}

/** `user enable`. */
export async function enableUser(database: Database, name: string): Promise<Answer> {
  return show(await changeUser(database.query, name, { isEnabled: true }), 'enabled')
}

/** `user remove`: the tokens go with the user. */
export async function deleteUser(database: Database, name: string): Promise<Answer> {
  return show(await removeUser(database.query, name), 'removed')
}

/** `user list`. */
export async function showUsers(database: Database): Promise<Answer> {
  const users = await listUsers(database.query)
  const rows = users.map((user) => [user.name, user.role, user.isEnabled ? 'enabled' : 'disabled', user.id])
  return { json: users.map(describe), text: writeTable(['USER', 'ROLE', 'STATE', 'ID'], rows) }
}

async function endTokensWith(database: Database, name: string, change: UserChange, done: string): Promise<Answer> {
  return database.transaction(async (query) => {
    const user = await changeUser(query, name, change)
    await revokeTokensOfUser(query, user.id)
    return show(user, done)
  })
}

function describe(user: User): object {
  return {
    userId: user.id,
    userName: user.name,
    role: user.role,
    enabled: user.isEnabled,
    created: user.createdAt.toISO(),
  }
}

function show(user: User, done: string): Answer {
  return { json: describe(user), text: `User ${user.name} ${done}.` }
}
