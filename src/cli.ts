import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, CommanderError } from 'commander'
import { type AnswerWith, type CommandTools, writeAnswer } from './commands/answer.ts'
import { addClientCommands } from './commands/client.ts'
import { addDeviceCommands, addKeyCommands } from './commands/device.ts'
import { helpStyle } from './commands/help-style.ts'
import { migrateCommand } from './commands/migrate.ts'
import { findEncryptionKey, openForCommand } from './commands/open-configured.ts'
import type { ServeOptions } from './commands/serve.ts'
import { tell } from './commands/tell.ts'
import { addTokenCommands } from './commands/token.ts'
import { addUserCommands } from './commands/user.ts'
import { welcome } from './commands/welcome.ts'
import { type Config, ConfigError, readConfig } from './config/config.ts'
import { adviseOperator } from './database/advise-operator.ts'
import type { Database } from './database/database.ts'
import { OAuthError } from './errors.ts'
import type { OnSignal } from './hear-signals.cts'
import { createPasswords } from './passwords/password.ts'

const exitDone = 0
const exitRefused = 1
const exitMisused = 2
const exitInterrupted = 130

/** The exit codes and what each of them means. */
export const exitCodes: Readonly<Record<number, string>> = {
  [exitDone]: 'The command is done. A server that a signal stops also exits with this code.',
  [exitRefused]: 'The command was refused or failed. Standard error has the reason.',
  [exitMisused]: 'The arguments or the environment are wrong. Standard error names every mistake.',
  [exitInterrupted]: 'SIGINT, SIGTERM or SIGHUP interrupted a command other than `serve` and `start`.',
}

/**
 * Runs one command and sets the exit code: 0 done, 1 refused, 2 misused. `onSignal` reports the signals to stop for.
 */
export async function run(args: readonly string[], onSignal: OnSignal): Promise<void> {
  process.stdout.on('error', reportUnwritten)
  process.stderr.on('error', () => undefined) // no output is left to report it on
  try {
    await buildProgram(onSignal, readVersion()).parseAsync([...args], { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitDone : exitMisused // commander printed it
  if (error instanceof ConfigError) {
    tell(['Invalid settings:', ...error.mistakes.map((mistake) => `  ${mistake}`)].join('\n'))
    return exitMisused
  }
  tell(describe(error))
  return exitRefused
}

/** Adds the reason to the public sentence: an operator at a terminal needs the cause of an outage. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof OAuthError && error.reason ? `${error.message}\n  ${error.reason}` : error.message
}

/** Builds every command. Nothing runs before the program parses arguments. */
export function buildProgram(onSignal: OnSignal, version: string): Command {
  const program = new Command('password-grant')
    .description('A token server for the OAuth 2.0 password grant.')
    .version(version, '-V, --version', 'Print the version')
    .helpOption('-h, --help', 'Show this help')
    .helpCommand('help [command]', 'Show the help of a command')
    .option('--embedded <folder>', 'Use an embedded PostgreSQL in this folder; overrides EMBEDDED_FOLDER')
    .option('--json', 'Print one JSON document on standard output')
    .exitOverride()
    .configureHelp(helpStyle)
    .helpOption('-h, --help', 'Show this help')
    .helpCommand('help [command]', 'Show the help of a command')
    .configureOutput({ outputError: (text) => tell(text.trimEnd()) })
  const answerWith: AnswerWith = (work) => answer(program, work, { onSignal, mayCreate: false })
  addServeCommands(program, onSignal)
  addClientCommands(program, answerWith)
  addUserCommands(program, answerWith)
  addTokenCommands(program, answerWith)
  addDeviceCommands(program, answerWith)
  addKeyCommands(program, answerWith)
  return program
}

interface ServeFlags {
  readonly host?: string
  readonly port?: string
  readonly migrate: boolean
}

function addServeCommands(program: Command, onSignal: OnSignal): void {
  const addServing = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .option('--host <host>', 'The address to listen on; overrides HOST')
      .option('--port <port>', 'The port to listen on; overrides PORT')
      .option('--no-migrate', 'Leave the database schema as it is')
  addServing('serve', 'Migrate the database and serve requests until SIGTERM or SIGINT').action(
    async ({ host, port, migrate }: ServeFlags) => {
      const config = configure(program, { HOST: host, PORT: port })
      await runServer(config, onSignal, { migrate })
    },
  )
  addServing(
    'start',
    'Serve as `npm start` does: by default on an embedded database in ./data, with a first client and user',
  ).action(async ({ host, port, migrate }: ServeFlags) => {
    const isChosen = process.env['DATABASE_URL'] || process.env['EMBEDDED_FOLDER'] || program.opts()['embedded']
    const folder = isChosen ? undefined : './data'
    const config = configure(program, { HOST: host, PORT: port, ...(folder && { EMBEDDED_FOLDER: folder }) })
    await runServer(config, onSignal, {
      migrate,
      welcome: (database, url) => welcome(database, config, { url, print }),
    })
  })
  program
    .command('migrate')
    .description('Migrate the database schema to this version')
    .option('--grant-to <role>', 'Grant this role the rights that a server needs, and no more')
    .action(({ grantTo }: { grantTo?: string }) =>
      answer(program, ({ database }) => migrateCommand(database, grantTo), { onSignal, mayCreate: true }),
    )
}

/**
 * Starts the server. On a first start the credentials come before the first log line. Loads the server only here, since
 * that would double the start-up time of every other command.
 */
async function runServer(config: Config, onSignal: OnSignal, options: ServeOptions): Promise<void> {
  const [{ serve }, { openLog }] = await Promise.all([import('./commands/serve.ts'), import('./logger.ts')])
  const isHeld = options.welcome !== undefined && 'folder' in config.database
  const log = await openLog(config.logLevel, { isTerminal: process.stdout.isTTY, isHeld })
  await serve(config, { log, onSignal }, options)
}

const printMilliseconds = 5_000

/** Prints text on standard output. Rejects when the output cannot be written, or accepts nothing for five seconds. */
async function print(text: string): Promise<void> {
  const written = new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
  const late = sleep(printMilliseconds, undefined, { ref: false }).then(() => {
    throw new Error('no program reads it')
  })
  await Promise.race([written, late]).catch(({ message }: Error) => {
    throw new Error(
      `Cannot write the credentials of the first client and user to standard output: ${message}. ` +
        'Neither was created. Start again with a writable output.',
    )
  })
}

/** Opens the database, runs one command, prints its answer, and closes the database in every case. */
async function answer(
  program: Command,
  work: Parameters<AnswerWith>[0],
  { onSignal, mayCreate }: { onSignal: OnSignal; mayCreate: boolean },
): Promise<void> {
  const config = configure(program, {})
  const opening = openForCommand(config, { mayCreate })
  closeWhenInterrupted(opening, onSignal)
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

/** Closes the database on a signal: an embedded PostgreSQL that this command started must not outlive it. */
function closeWhenInterrupted(opening: Promise<Database>, onSignal: OnSignal): void {
  onSignal(async () => {
    await opening.then((database) => database.close()).catch(() => undefined)
    process.exit(exitInterrupted)
  })
}

/**
 * Ignores a reader that leaves early, as `| head` does. Any other error has lost the answer, for instance a full disk.
 */
function reportUnwritten({ code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') return
  process.exitCode = exitRefused
  tell(`Cannot write to standard output: ${message}.`)
}

/** Reads the environment, overridden by the options of the command line. `--embedded` overrides EMBEDDED_FOLDER. */
function configure(program: Command, overrides: Record<string, string | undefined>): Config {
  const given = Object.entries({ EMBEDDED_FOLDER: program.opts()['embedded'] as string | undefined, ...overrides })
  return readConfig({ ...process.env, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) })
}

/** Reads standard input to its end and drops one trailing line end. Throws OAuthError when it is not UTF-8. */
async function readSecret(): Promise<string> {
  if (process.stdin.isTTY) tell('Type the password or secret, then press Enter and Ctrl+D. It shows on screen.')
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
