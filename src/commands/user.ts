import type { Command } from 'commander'
import type { Database } from '../database/database.ts'
import { listUsers } from '../operations/lists.ts'
import type { Operator } from '../operations/operator.ts'
import { addUser, disableUser, enableUser, removeUser, setPassword, setRole } from '../operations/users.ts'
import type { User } from '../users/register-user.ts'
import { type Answer, type AnswerWith, type CommandTools, describePages, type ListAnswer } from './answer.ts'
import { tell } from './tell.ts'

/** Adds the commands of `password-grant user`. */
export function addUserCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('user').description('Manage users')
  group
    .command('add')
    .description('Add a user with a password from standard input')
    .argument('<username>', userNameHelp)
    .option('--role <role>', 'The role of the user; a user has one at most')
    .option('--id <uuid>', 'The id of the user, if another system already gave it one')
    .requiredOption('--password-stdin', 'Read the password from standard input')
    .action((name: string, options: AddOptions) => answerWith((tools) => add(tools, name, options)))
  group
    .command('set-password')
    .description('Set a new password from standard input and end the user’s tokens')
    .argument('<username>', userNameHelp)
    .requiredOption('--password-stdin', 'Read the password from standard input')
    .action((name: string) => answerWith((tools) => replacePassword(tools, name)))
  group
    .command('set-role')
    .description('Set the role of a user and end the user’s tokens')
    .argument('<username>', userNameHelp)
    .argument('<role>', 'The new role; "" removes the role')
    .action((name: string, role: string) =>
      answerWith(async ({ database }) => show(await setRole({ database }, name, { role }), `has the role "${role}"`)),
    )
  const onName = (command: string, description: string, { act, done }: NamedAct) =>
    group
      .command(command)
      .description(description)
      .argument('<username>', userNameHelp)
      .action((name: string) => answerWith(async ({ database }) => show(await act({ database }, name), done)))
  onName('disable', 'Disable a user and end the user’s tokens', { act: disableUser, done: 'disabled' })
  onName('enable', 'Enable a disabled user again', { act: enableUser, done: 'enabled' })
  onName('remove', 'Remove a user and the user’s tokens', { act: removeUser, done: 'removed' })
  group
    .command('list')
    .description('List all users')
    .action(() => answerWith(async ({ database }) => showUsers(database)))
}

const userNameHelp = 'The name of the user'

/** The options of `user add`. */
interface AddOptions {
  readonly role?: string
  readonly id?: string
}

async function add(
  { database, passwords, readSecret }: CommandTools,
  name: string,
  options: AddOptions,
): Promise<Answer> {
  const password = await readSecret()
  const { user, advice } = await addUser({ database, passwords: await passwords() }, name, { ...options, password })
  advise(advice)
  const { id: userId, name: userName, role } = user
  return { json: { userId, userName, role }, text: `User ${userName} added.` }
}

async function replacePassword({ database, passwords, readSecret }: CommandTools, name: string): Promise<Answer> {
  const password = await readSecret()
  const { user, advice } = await setPassword({ database, passwords: await passwords() }, name, { password })
  advise(advice)
  return show(user, 'has a new password')
}

/** A change of one user, and the word that describes the result. */
interface NamedAct {
  readonly act: (operator: Operator, name: string) => Promise<User>
  readonly done: string
}

/** Prints advice on standard error: standard output carries only the answer. */
function advise(advice: string | null): void {
  if (advice !== null) tell(advice)
}

function showUsers(database: Database): ListAnswer {
  return {
    heading: ['USER', 'ROLE', 'STATE', 'ID'],
    pages: describePages(listUsers({ database }), (user) => ({
      json: describe(user),
      cells: [user.name, user.role, user.isEnabled ? 'enabled' : 'disabled', user.id],
    })),
  }
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
