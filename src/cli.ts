import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import type { Answer } from './commands/answer.ts'
import * as client from './commands/client.ts'
import { migrateCommand } from './commands/migrate.ts'
import { openConfigured } from './commands/open-configured.ts'
import { serve } from './commands/serve.ts'
import * as token from './commands/token.ts'
import * as user from './commands/user.ts'
import { welcome } from './commands/welcome.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import type { Database } from './database/database.ts'
import { OAuthError } from './errors.ts'
import { createLogger } from './logger.ts'
import { createPasswords, type Passwords } from './passwords/password.ts'

const exitDone = 0
const exitRefused = 1
const exitMisused = 2

/** One command, from arguments to exit code: 0 done, 1 refused, 2 misused. */
export async function run(args: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync([...args], { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitDone : exitMisused // commander has spoken
  if (error instanceof ConfigError) {
    process.stderr.write(`The environment is wrong:\n  ${error.mistakes.join('\n  ')}\n`)
    return exitMisused
  }
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`${message}${causeOf(error)}\n`)
  return exitRefused
}

/** For an operator in front of a terminal, what lies under an outage matters more than the public sentence. */
function causeOf(error: unknown): string {
  if (!(error instanceof OAuthError) || !(error.cause instanceof Error)) return ''
  return `\n  ${error.reason ?? 'cause'}: ${error.cause.message || String((error.cause as NodeJS.ErrnoException).code)}`
}

function buildProgram(): Command {
  const program = new Command('password-grant')
    .description('A token server for the OAuth 2.0 password grant.')
    .version(readVersion())
    .option('--embedded <folder>', 'the folder of an embedded PostgreSQL (or EMBEDDED_FOLDER, or DATABASE_URL)')
    .option('--json', 'print one JSON document on stdout')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
  addServeCommands(program)
  addClientCommands(program)
  addUserCommands(program)
  addTokenCommands(program)
  return program
}

function addServeCommands(program: Command): void {
  program
    .command('serve')
    .description('migrate the database and answer requests until SIGTERM or SIGINT')
    .option('--host <host>', 'where to listen (or HOST)')
    .option('--port <port>', 'where to listen (or PORT)')
    .option('--no-migrate', 'leave the schema as it is')
    .action(async (options: { host?: string; port?: string; migrate: boolean }) => {
      const config = configure(program, { HOST: options.host, PORT: options.port })
      await serve(config, createLogger(config.logLevel, process.stdout.isTTY), { migrate: options.migrate })
    })
  program
    .command('start')
    .description('what `npm start` does: serve, by default on an embedded database in ./data with a first user')
    .action(async () => {
      const isChosen = process.env['DATABASE_URL'] || process.env['EMBEDDED_FOLDER'] || program.opts()['embedded']
      const config = configure(program, isChosen ? {} : { EMBEDDED_FOLDER: './data' })
      await serve(config, createLogger(config.logLevel, process.stdout.isTTY), {
        migrate: true,
        welcome: async (database) => void process.stdout.write(await welcome(database, config)),
      })
    })
  program
    .command('migrate')
    .description('bring the database schema up to this version')
    .action(() => answer(program, ({ database }) => migrateCommand(database)))
}

function addClientCommands(program: Command): void {
  const group = program.command('client').description('applications that may ask for tokens')
  group
    .command('add <id>')
    .description('add a client and print its generated secret, once')
    .option('--public', 'a client that cannot keep a secret')
    .option('--secret-stdin', 'read a chosen secret from standard input')
    .option('--lifetime <seconds>', 'how long its tokens live', wholeSeconds)
    .action((id: string, options: { public?: true; secretStdin?: true; lifetime?: number }) => {
      if (options.public && options.secretStdin) program.error('error: a public client has no secret')
      return answer(program, async ({ database, passwords }) => {
        const chosen = options.secretStdin ? { chosen: await readSecretInput() } : 'generated'
        const secret = options.public ? 'public' : chosen
        return client.addClient(database, await passwords(), { id, secret, lifetimeSeconds: options.lifetime })
      })
    })
  group
    .command('rotate <id>')
    .description('give a client a new secret and print it, once')
    .option('--overlap <seconds>', 'how long the old secret still counts', wholeSeconds, 0)
    .action((id: string, options: { overlap: number }) =>
      answer(program, ({ database }) => client.rotateClientSecret(database, id, options.overlap)),
    )
  const onId = (name: string, description: string, act: (database: Database, id: string) => Promise<Answer>) =>
    group
      .command(`${name} <id>`)
      .description(description)
      .action((id: string) => answer(program, ({ database }) => act(database, id)))
  onId('disable', 'refuse a client and end its tokens', client.disableClient)
  onId('enable', 'let a disabled client ask again', client.enableClient)
  onId('remove', 'remove a client and its tokens', client.deleteClient)
  group
    .command('list')
    .description('all clients')
    .action(() => answer(program, ({ database }) => client.showClients(database)))
}

function addUserCommands(program: Command): void {
  const group = program.command('user').description('whom tokens speak for')
  group
    .command('add <username>')
    .description('add a user; the password is read from standard input')
    .option('--role <role>', 'the one role the user has')
    .option('--id <uuid>', 'an id the user already has elsewhere')
    .requiredOption('--password-stdin', 'read the password from standard input')
    .action((name: string, options: { role?: string; id?: string }) =>
      answer(program, async ({ database, passwords }) => {
        const password = await readSecretInput()
        return user.addUser(database, await passwords(), { name, role: options.role, id: options.id }, password)
      }),
    )
  group
    .command('set-password <username>')
    .description('set a new password, read from standard input, and end the user’s tokens')
    .requiredOption('--password-stdin', 'read the password from standard input')
    .action((name: string) =>
      answer(program, async ({ database, passwords }) => {
        const password = await readSecretInput()
        return user.setPassword(database, await passwords(), name, password)
      }),
    )
  group
    .command('set-role <username> <role>')
    .description('set the role ("" for none) and end the user’s tokens')
    .action((name: string, role: string) => answer(program, ({ database }) => user.setRole(database, name, role)))
  const onName = (command: string, description: string, act: (database: Database, name: string) => Promise<Answer>) =>
    group
      .command(`${command} <username>`)
      .description(description)
      .action((name: string) => answer(program, ({ database }) => act(database, name)))
  onName('disable', 'refuse a user and end the tokens', user.disableUser)
  onName('enable', 'let a disabled user sign in again', user.enableUser)
  onName('remove', 'remove a user and the tokens', user.deleteUser)
  group
    .command('list')
    .description('all users')
    .action(() => answer(program, ({ database }) => user.showUsers(database)))
}

function addTokenCommands(program: Command): void {
  const group = program.command('token').description('what was given')
  group
    .command('list')
    .description('tokens, never their values')
    .option('--user <username>', 'of this user only')
    .action((options: { user?: string }) => answer(program, ({ database }) => token.showTokens(database, options.user)))
  group
    .command('revoke')
    .description('end every token of a user')
    .requiredOption('--user <username>', 'whose')
    .action((options: { user: string }) =>
      answer(program, ({ database }) => token.revokeTokens(database, options.user)),
    )
}

interface Tools {
  readonly database: Database
  /** Made when first asked for: most commands hash nothing. */
  readonly passwords: () => Promise<Passwords>
}

/** Opens the database, runs one command, prints its answer, closes whatever happens. */
async function answer(program: Command, work: (tools: Tools) => Promise<Answer>): Promise<void> {
  const config = configure(program, {})
  const database = await openConfigured(config)
  try {
    const { json, text } = await work({ database, passwords: () => createPasswords(config.passwords) })
    process.stdout.write(`${program.opts()['json'] ? JSON.stringify(json) : text}\n`)
  } finally {
    await database.close()
  }
}

/** The environment with the command line's words over it. `--embedded` stands for EMBEDDED_FOLDER. */
function configure(program: Command, overrides: Record<string, string | undefined>): Config {
  const given = Object.entries({ EMBEDDED_FOLDER: program.opts()['embedded'] as string | undefined, ...overrides })
  return readConfig({ ...process.env, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) })
}

/** Standard input to its end, less one trailing line end. Throws OAuthError when it is not UTF-8. */
async function readSecretInput(): Promise<string> {
  const bytes = await buffer(process.stdin)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '')
  } catch {
    throw new OAuthError('invalid_request', 'Standard input is not UTF-8.')
  }
}

function wholeSeconds(text: string): number {
  const seconds = Number(text)
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of seconds.')
  return seconds
}

function readVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return manifest.version
}
