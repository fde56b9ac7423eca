import type { Command } from 'commander'
import type { Database } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import { applyPasswordPolicy } from '../passwords/password-policy.ts'
import { revokeTokensOfUser } from '../tokens/revoke-token.ts'
import {
  changeUser,
  type ListedUser,
  listUsers,
  registerUser,
  removeUser,
  type User,
  type UserChange,
} from '../users/register-user.ts'
import { type Answer, type AnswerWith, findPages, type ListAnswer } from './answer.ts'

/** The words of `password-grant user`. */
export function addUserCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('user').description('whom tokens speak for')
  group
    .command('add <username>')
    .description('add a user; the password is read from standard input')
    .option('--role <role>', 'the one role the user has')
    .option('--id <uuid>', 'an id the user already has elsewhere')
    .requiredOption('--password-stdin', 'read the password from standard input')
    .action((name: string, options: { role?: string; id?: string }) =>
      answerWith(async ({ database, passwords, readSecret }) => {
        const password = await readSecret()
        return addUser(database, await passwords(), { name, role: options.role, id: options.id }, password)
      }),
    )
  group
    .command('set-password <username>')
    .description('set a new password, read from standard input, and end the user’s tokens')
    .requiredOption('--password-stdin', 'read the password from standard input')
    .action((name: string) =>
      answerWith(async ({ database, passwords, readSecret }) => {
        const password = await readSecret()
        return setPassword(database, await passwords(), name, password)
      }),
    )
  group
    .command('set-role <username> <role>')
    .description('set the role ("" for none) and end the user’s tokens')
    .action((name: string, role: string) => answerWith(({ database }) => setRole(database, name, role)))
  const onName = (command: string, description: string, act: (database: Database, name: string) => Promise<Answer>) =>
    group
      .command(`${command} <username>`)
      .description(description)
      .action((name: string) => answerWith(({ database }) => act(database, name)))
  onName('disable', 'refuse a user and end the tokens', disableUser)
  onName('enable', 'let a disabled user sign in again', enableUser)
  onName('remove', 'remove a user and the tokens', deleteUser)
  group
    .command('list')
    .description('all users')
    .action(() => answerWith(({ database }) => showUsers(database)))
}

/** What `user add` is told besides the password. */
interface AddedUser {
  readonly name: string
  readonly role?: string | undefined
  readonly id?: string | undefined
}

async function addUser(database: Database, passwords: Passwords, user: AddedUser, password: string): Promise<Answer> {
  const advice = await applyPasswordPolicy(password, user.name)
  const added = await registerUser(database.query, { ...user, passwordHash: await passwords.hash(password) })
  if (advice) advise(advice)
  return { json: { userId: added.id, userName: added.name, role: added.role }, text: `User ${added.name} added.` }
}

/** `user set-password`: the user's tokens end in the same transaction. */
async function setPassword(database: Database, passwords: Passwords, name: string, password: string): Promise<Answer> {
  const advice = await applyPasswordPolicy(password, name)
  const change = { passwordHash: await passwords.hash(password) }
  const answer = await endTokensWith(database, name, change, 'has a new password')
  if (advice) advise(advice)
  return answer
}

/** Standard output is the answer's alone. */
function advise(advice: string): void {
  process.stderr.write(`${advice}\n`)
}

/** `user set-role`: likewise, since a token speaks for a role. */
async function setRole(database: Database, name: string, role: string): Promise<Answer> {
  return endTokensWith(database, name, { role }, `has the role "${role}"`)
}

/** `user disable`: likewise. */
async function disableUser(database: Database, name: string): Promise<Answer> {
  return endTokensWith(database, name, { isEnabled: false }, 'disabled')
}

async function enableUser(database: Database, name: string): Promise<Answer> {
  return show(await changeUser(database.query, name, { isEnabled: true }), 'enabled')
}

/** `user remove`: the tokens go with the user. */
async function deleteUser(database: Database, name: string): Promise<Answer> {
  return show(await removeUser(database.query, name), 'removed')
}

async function showUsers({ query }: Database): Promise<ListAnswer> {
  return {
    heading: ['USER', 'ROLE', 'STATE', 'ID'],
    pages: findPages(
      (after: ListedUser | null) => listUsers(query, after),
      (user) => ({
        json: describe(user),
        cells: [user.name, user.role, user.isEnabled ? 'enabled' : 'disabled', user.id],
      }),
    ),
  }
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
