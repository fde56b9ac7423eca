import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Config } from '../config/config.ts'
import { adviseOperator } from '../database/advise-operator.ts'
import { findCollationChanges } from '../database/collation-changes.ts'
import type { Database } from '../database/database.ts'
import { type Migration, migrate, type OnApplied, schemaState } from '../database/migrate.ts'
import { needsPerson } from '../database/to-outage.ts'
import { type Dialect, signsTokens } from '../dialects/dialect.ts'
import { envelopeWithDebug } from '../dialects/envelope.ts'
import { isOutage, type OAuthError } from '../errors.ts'
import type { OnSignal } from '../hear-signals.cts'
import { addressesOf, listen } from '../http/listeners.ts'
import type { Log } from '../logger.ts'
import { isWeakCost } from '../passwords/is-weak-cost.ts'
import { createServer } from '../server.ts'
import { createSigningKeyFinder } from '../tokens/signing-keys.ts'
import { mismatchWarnings, noteEncryptionKey } from './note-encryption-key.ts'
import { findEncryptionKey, openConfigured } from './open-configured.ts'
import { awaitWelcome } from './welcome.ts'

/** Options of `serve`. */
export interface ServeOptions {
  readonly migrate: boolean
  /** Called with the server's address once it listens. Only with an embedded database. */
  readonly welcome?: (database: Database, url: string) => Promise<void>
}

/** The log of a start, and the signals that end it. */
export interface ServeTools {
  readonly log: Log
  readonly onSignal: OnSignal
}

/** What a signal must close, as far as the start has come. */
interface Running {
  opening: Promise<Database> | null
  app: FastifyInstance | null
}

/**
 * Opens the database, migrates it and listens. Closes on SIGTERM or SIGINT at any moment; ignores SIGHUP. Resolves when
 * the server is ready, or when a signal has ended the start.
 */
export async function serve(config: Config, { log, onSignal }: ServeTools, options: ServeOptions): Promise<void> {
  const { logger } = log
  const running: Running = { opening: null, app: null }
  const stopping = closeOnSignal(running, log, onSignal)
  if (stopping.aborted) return
  let postgresUid: number | null = null
  running.opening = openConfigured(config, {
    signal: stopping,
    onAccount: (uid) => {
      postgresUid = uid
    },
    onConnectionLost: ({ message }) =>
      logger.warn({ event: 'database', reason: message }, `database connection lost: ${message}`),
    onDeaf: ({ message: reason }) =>
      logger.warn(
        { event: 'listening', reason },
        `token cache off, since no announcements of ended tokens arrive: ${reason}`,
      ),
    onHearing: () => logger.info({ event: 'listening' }, 'token cache on again: announcements of ended tokens arrive'),
    onProgress: (sentence) => logger.info({ event: 'database' }, sentence),
  })
  let database: Database | null = null
  try {
    database = await running.opening
    if (process.getuid?.() === 0) tellOfRoot(logger, postgresUid)
    await start(config, { logger, database, running, stopping }, options)
    log.release()
  } catch (error) {
    log.release()
    if (stopping.aborted) return // closeOnSignal ends the process
    await drain(running.app)
    await database?.close()
    await log.flush()
    throw adviseOperator(error)
  }
}

/** The tools of a start. */
interface StartTools {
  readonly logger: FastifyBaseLogger
  readonly database: Database
  readonly running: Running
  readonly stopping: AbortSignal
}

/** Takes a start from the open database to the ready server. Rejects when `stopping` aborts. */
async function start(config: Config, tools: StartTools, options: ServeOptions): Promise<void> {
  const { logger, database, running, stopping } = tools
  await prepareSchema(config, tools, options)
  const hasKey = 'folder' in config.database || config.dialects.some(signsTokens)
  const encryptionKey = hasKey ? await findEncryptionKey(config) : config.encryptionKey
  if (encryptionKey && config.dialects.some(signsTokens)) {
    await waitForDatabase(config, tools, () => readySigningKey(database, encryptionKey))
  }
  for (const sentence of await waitForDatabase(config, tools, () => findCollationChanges(database.lookups))) {
    logger.warn({ event: 'collation' }, sentence)
  }
  await warnOfKeyMismatch(config, tools, encryptionKey ?? null)
  const app = await createServer(database, logger, { ...config, encryptionKey })
  stopping.throwIfAborted()
  running.app = app
  await listen(app, await addressesOf(config.host), { port: config.port, backlog: maxUnaccepted })
  stopping.throwIfAborted()
  if ('folder' in config.database) await options.welcome?.(database, reachableUrl(app))
}

const wildcards = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/** Returns the URL of the server; for a wildcard address, its URL on this machine. */
function reachableUrl(app: FastifyInstance): string {
  const [bound] = app.addresses()
  if (typeof bound !== 'object') throw new Error('The server listens on no address.')
  const { address, port } = bound
  const host = wildcards.get(address) ?? address
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`
}

/** The listen backlog. With Node's default of 511, a flood makes other callers wait a second to retry. */
const maxUnaccepted = 4_096

async function prepareSchema(config: Config, tools: StartTools, options: ServeOptions): Promise<void> {
  const { logger, database } = tools
  const onApplied: OnApplied = async (query, applied) => {
    if (options.welcome && applied.includes(1) && 'folder' in config.database) await awaitWelcome(query)
  }
  const migration = options.migrate ? await waitForDatabase(config, tools, () => migrate(database, onApplied)) : null
  warn(config, logger)
  if (migration) logMigration(logger, migration)
  else await requireUsableSchema(config, tools)
}

/**
 * Creates the first signing key, or decrypts the existing one. A failed start is better than a server that refuses all
 * devices.
 */
async function readySigningKey(database: Database, encryptionKey: Buffer): Promise<void> {
  if ((await schemaState(database.lookups)) === 'current')
    await createSigningKeyFinder(database.writes, encryptionKey)()
}

/** Warns of a wrong ENCRYPTION_KEY. Skips an older schema: the table to compare with comes with migration 7. */
async function warnOfKeyMismatch(config: Config, tools: StartTools, encryptionKey: Buffer | null): Promise<void> {
  const { logger, database } = tools
  const mismatch = await waitForDatabase(config, tools, async () => {
    return (await schemaState(database.lookups)) === 'current'
      ? noteEncryptionKey(database.writes, encryptionKey)
      : null
  })
  if (mismatch) logger.warn({ event: 'encryption-key', reason: mismatch }, mismatchWarnings[mismatch])
}

/** Retries until the database answers, and logs each retry. Throws the last error after DATABASE_WAIT_SECONDS. */
async function waitForDatabase<T>(config: Config, { logger, stopping }: StartTools, ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + config.databaseWaitSeconds * 1000
  for (let pause = 100; ; pause = Math.min(pause * 2, 2_000)) {
    stopping.throwIfAborted()
    try {
      return await ask()
    } catch (error) {
      if (!isWorthWaiting(error) || Date.now() + pause > deadline) throw error
      logger.warn({ event: 'database', reason: error.reason }, `${error.reason}; trying again`)
      await sleep(pause, undefined, { signal: stopping })
    }
  }
}

/** Excludes outages that only an operator can end, such as a wrong password or an unknown database. */
function isWorthWaiting(error: unknown): error is OAuthError {
  return isOutage(error) && !needsPerson(error)
}

async function requireUsableSchema(config: Config, tools: StartTools): Promise<void> {
  const { logger, database } = tools
  const state = await waitForDatabase(config, tools, () => schemaState(database.lookups))
  if (state === 'not migrated')
    logger.warn({ event: 'database' }, 'the database is not migrated; the server is not ready until it is')
  else if (state !== 'current') throw new Error(`The database is ${state}.`)
}

function logMigration(logger: FastifyBaseLogger, { applied, version }: Migration): void {
  if (applied.length > 0) logger.info({ event: 'migration', applied, version }, `migrated to version ${version}`)
}

function warn(config: Config, logger: FastifyBaseLogger): void {
  const isLoopback = /^(localhost|::1|127(\.\d{1,3}){3})$/.test(config.host)
  if (!isLoopback && config.trustProxy.length === 0) {
    logger.warn('listening beyond loopback in plain HTTP: put a TLS proxy in front and name it in TRUST_PROXY')
  }
  if (!isLoopback && config.publicUrl === undefined) {
    logger.warn('PUBLIC_URL is not set: the metadata names the listening address, which clients may not reach')
  }
  for (const dialect of config.dialects) warnOfDialect(dialect, logger)
  if (isWeakCost(config.passwords)) {
    logger.warn('ARGON2_* is below what OWASP advises: new password hashes are easier to crack than necessary')
  }
}

/** Warns only with an embedded database, which does not need root. A container image may run other servers as root. */
function tellOfRoot(logger: FastifyBaseLogger, postgresUid: number | null): void {
  if (postgresUid === null) logger.info({ event: 'root' }, 'running as root; an ordinary user is safer')
  else logger.warn({ event: 'root', postgresUid }, 'running as root; use an ordinary user who owns the folder')
}

function warnOfDialect({ defaultClient, refuse }: Dialect, logger: FastifyBaseLogger): void {
  if (defaultClient !== undefined) {
    logger.warn(`WEBAPI_DEFAULT_CLIENT: a request without client credentials counts as the client ${defaultClient}`)
  }
  if (refuse === envelopeWithDebug.refuse) {
    logger.warn('ENVELOPE_DEBUG: debug=1 tells every caller which users exist; do not use it in production')
  }
}

const drainMilliseconds = 8_000
const closeMilliseconds = 9_500
/** The signals that `onSignal` reports. */
const signals: NodeJS.Signals[] & ('SIGTERM' | 'SIGINT' | 'SIGHUP')[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

/**
 * On a signal, finishes open requests, closes the database and exits 0 within 10 seconds, even when a peer or the
 * database hangs. The returned signal aborts when closing begins.
 */
function closeOnSignal(running: Running, log: Log, onSignal: OnSignal): AbortSignal {
  const { logger } = log
  const stopping = new AbortController()
  let hasFailed = false
  const onTimeout = () => {
    logger.warn({ event: 'closed' }, 'closed at the time limit, with work still open')
    process.exit(hasFailed ? 1 : 0)
  }
  const grace = closeWithGrace(
    // skip beforeExit: a failed start sets its own exit code
    { delay: closeMilliseconds, logger, onTimeout, skip: [...signals, 'beforeExit'] },
    async ({ err }) => {
      stopping.abort()
      log.release()
      hasFailed = err !== undefined
      if (err) logger.fatal({ err }, 'closing after an uncaught error')
      await drain(running.app)
      const database = await running.opening?.catch(() => null) // `serve` reports the error
      await database?.close()
      logger.info({ event: 'closed' }, 'closed')
      await log.flush()
    },
  )
  onSignal((signal) => {
    if (signal === 'SIGHUP') return // log rotation sends it, but the server has no file to reopen
    if (stopping.signal.aborted) return // Ctrl+C under npm arrives twice: from the terminal and from npm
    logger.info({ event: 'closing', signal }, `closing after ${signal}: finishing open requests`)
    stopping.abort()
    grace.close()
  })
  return stopping.signal
}

async function drain(app: FastifyInstance | null): Promise<void> {
  const cut = setTimeout(() => app?.server.closeAllConnections(), drainMilliseconds)
  await app?.close()
  clearTimeout(cut)
}
