import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { Command, CommanderError } from 'commander'
import { type AnswerWith, type CommandTools, writeAnswer } from './commands/answer.ts'
import { addClientCommands } from './commands/client.ts'
import { addDeviceCommands, addKeyCommands } from './commands/device.ts'
import { migrateCommand } from './commands/migrate.ts'
import { findEncryptionKey, openForCommand } from './commands/open-configured.ts'
import { serve } from './commands/serve.ts'
import { addTokenCommands } from './commands/token.ts'
import { addUserCommands } from './commands/user.ts'
import { welcome } from './commands/welcome.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { adviseOperator } from './database/advise-operator.ts'
import type { Database } from './database/database.ts'
import { OAuthError } from './errors.ts'
import { createLogger } from './logger.ts'
import { createPasswords } from './passwords/password.ts'

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
  process.stderr.write(`${describe(error)}\n`)
  return exitRefused
}

/** For an operator in front of a terminal, what lies under an outage matters more than the public sentence. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof OAuthError && error.reason ? `${error.message}\n  ${error.reason}` : error.message
}

function buildProgram(): Command {
  const program = new Command('password-grant')
    .description('A token server for the OAuth 2.0 password grant.')
    .version(readVersion())
    .option('--embedded <folder>', 'the folder of an embedded PostgreSQL (or EMBEDDED_FOLDER, or DATABASE_URL)')
    .option('--json', 'print one JSON document on stdout')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
  const answerWith: AnswerWith = (work) => answer(program, work)
  addServeCommands(program, answerWith)
  addClientCommands(program, answerWith)
  addUserCommands(program, answerWith)
  addTokenCommands(program, answerWith)
  addDeviceCommands(program, answerWith)
  addKeyCommands(program, answerWith)
  return program
}

function addServeCommands(program: Command, answerWith: AnswerWith): void {
  program
    .command('serve')
    .description('migrate the database and answer requests until SIGTERM or SIGINT')
    .option('--host <host>', 'where to listen (or HOST)')
    .option('--port <port>', 'where to listen (or PORT)')
    .option('--no-migrate', 'leave the schema as it is')
    .action(async (options: { host?: string; port?: string; migrate: boolean }) => {
      const config = configure(program, { HOST: options.host, PORT: options.port })
      await serve(config, await createLogger(config.logLevel, process.stdout.isTTY), { migrate: options.migrate })
    })
  program
    .command('start')
    .description('what `npm start` does: serve, by default on an embedded database in ./data with a first user')
    .action(async () => {
      const isChosen = process.env['DATABASE_URL'] || process.env['EMBEDDED_FOLDER'] || program.opts()['embedded']
      const config = configure(program, isChosen ? {} : { EMBEDDED_FOLDER: './data' })
      await serve(config, await createLogger(config.logLevel, process.stdout.isTTY), {
        migrate: true,
        welcome: async (query) => {
          const words = await welcome(query, config)
          return () => void process.stdout.write(words)
        },
      })
    })
  program
    .command('migrate')
    .description('bring the database schema up to this version')
    .option('--grant-to <role>', 'give this role the rights that a server needs, and no more')
    .action(({ grantTo }: { grantTo?: string }) => answerWith(({ database }) => migrateCommand(database, grantTo)))
}

/** Opens the database, runs one command, prints its answer, closes whatever happens. */
async function answer(program: Command, work: Parameters<AnswerWith>[0]): Promise<void> {
  const config = configure(program, {})
  const opening = openForCommand(config)
  closeWhenInterrupted(opening)
  const database = await opening
  const tools: CommandTools = {
    database,
    passwords: () => createPasswords(config.passwords),
    encryptionKey: () => findEncryptionKey(config),
    readSecret,
  }
  try {
    await writeAnswer(process.stdout, await work(tools), Boolean(program.opts()['json']))
  } catch (error) {
    throw adviseOperator(error)
  } finally {
    await database.close()
  }
}

/** An embedded PostgreSQL that this command started must not outlive it, whoever ends it or stops listening. */
function closeWhenInterrupted(opening: Promise<Database>): void {
  process.stdout.on('error', () => undefined) // the reader has left, as `| head` does
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, async () => {
      await opening.then((database) => database.close()).catch(() => undefined)
      process.exit(130)
    })
  }
}

/** The environment with the command line's words over it. `--embedded` stands for EMBEDDED_FOLDER. */
function configure(program: Command, overrides: Record<string, string | undefined>): Config {
  const given = Object.entries({ EMBEDDED_FOLDER: program.opts()['embedded'] as string | undefined, ...overrides })
  return readConfig({ ...process.env, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) })
}

/** Standard input to its end, less one trailing line end. Throws OAuthError when it is not UTF-8. */
async function readSecret(): Promise<string> {
  const bytes = await buffer(process.stdin)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '')
  } catch {
    throw new OAuthError('invalid_request', 'Standard input is not UTF-8.')
  }
}

function readVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return manifest.version
}
