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

/** What `serve` does besides listening. */
export interface ServeOptions {
  readonly migrate: boolean
  /** Called once the server of an embedded database listens, with the address to ask it at. */
  readonly welcome?: (database: Database, url: string) => Promise<void>
}

/** What a start hears of, and where it says so. */
export interface ServeTools {
  readonly log: Log
  readonly onSignal: OnSignal
}

/** What there is to close, as far as the start has come. */
interface Running {
  opening: Promise<Database> | null
  app: FastifyInstance | null
}

/**
 * Opens, migrates, listens, and closes on SIGTERM or SIGINT at any moment; SIGHUP does nothing. Resolves when the server
 * is ready or a signal has ended the start.
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
      logger.warn({ event: 'database', reason: message }, `a database connection was lost: ${message}`),
    onDeaf: ({ message: reason }) =>
      logger.warn(
        { event: 'listening', reason },
        `tokens are not remembered, since their end cannot be heard: ${reason}`,
      ),
    onHearing: () => logger.info({ event: 'listening' }, 'tokens are remembered again: their end is heard'),
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
    if (stopping.aborted) return // the close that is under way ends the process
    await drain(running.app)
    await database?.close()
    await log.flush()
    throw adviseOperator(error)
  }
}

/** What a start works with. */
interface StartTools {
  readonly logger: FastifyBaseLogger
  readonly database: Database
  readonly running: Running
  readonly stopping: AbortSignal
}

/** From the open database to the server that is ready. Rejects when `stopping` aborts on the way. */
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

/** The address to ask where the server listens, on this machine where that is a wildcard. */
function reachableUrl(app: FastifyInstance): string {
  const [bound] = app.addresses()
  if (typeof bound !== 'object') throw new Error('The server listens on no address.')
  const { address, port } = bound
  const host = wildcards.get(address) ?? address
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`
}

/** Connections that may wait to be accepted: with Node's 511 a flood makes others wait a second for the next try. */
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

/** Better no start than a server that refuses every device: makes the first signing key, or opens the one there is. */
async function readySigningKey(database: Database, encryptionKey: Buffer): Promise<void> {
  if ((await schemaState(database.lookups)) === 'current')
    await createSigningKeyFinder(database.writes, encryptionKey)()
}

/** Before migration 7, where a server runs on an older schema, there is nothing to compare with. */
async function warnOfKeyMismatch(config: Config, tools: StartTools, encryptionKey: Buffer | null): Promise<void> {
  const { logger, database } = tools
  const mismatch = await waitForDatabase(config, tools, async () => {
    return (await schemaState(database.lookups)) === 'current'
      ? noteEncryptionKey(database.writes, encryptionKey)
      : null
  })
  if (mismatch) logger.warn({ event: 'encryption-key', reason: mismatch }, mismatchWarnings[mismatch])
}

/** Tries until the database answers, saying so; gives up after DATABASE_WAIT_SECONDS with the last cause. */
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

/** A wrong password or an unknown database will not mend itself. */
function isWorthWaiting(error: unknown): error is OAuthError {
  return isOutage(error) && !needsPerson(error)
}

async function requireUsableSchema(config: Config, tools: StartTools): Promise<void> {
  const { logger, database } = tools
  const state = await waitForDatabase(config, tools, () => schemaState(database.lookups))
  if (state === 'not migrated')
    logger.warn({ event: 'database' }, 'the database is not migrated: not ready until it is')
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
    logger.warn('PUBLIC_URL is not set: the metadata names the address listened on, which others may not reach')
  }
  for (const dialect of config.dialects) warnOfDialect(dialect, logger)
  if (isWeakCost(config.passwords)) {
    logger.warn('ARGON2_* is below what OWASP advises: new password hashes are easier to guess than they need to be')
  }
}

/** An embedded database has no need of root; a container with a database of its own may be built that way. */
function tellOfRoot(logger: FastifyBaseLogger, postgresUid: number | null): void {
  const words = 'the server runs as root: start it as an ordinary user'
  const postgres = `who owns the folder; PostgreSQL runs under the user id ${postgresUid}`
  if (postgresUid === null) logger.info({ event: 'root' }, words)
  else logger.warn({ event: 'root', postgresUid }, `${words}, ${postgres}`)
}

function warnOfDialect({ defaultClient, refuse }: Dialect, logger: FastifyBaseLogger): void {
  if (defaultClient !== undefined) {
    logger.warn(`WEBAPI_DEFAULT_CLIENT: a request without client credentials counts as the client ${defaultClient}`)
  }
  if (refuse === envelopeWithDebug.refuse) {
    logger.warn('ENVELOPE_DEBUG: debug=1 tells anybody which users exist; never in production')
  }
}

const drainMilliseconds = 8_000
const closeMilliseconds = 9_500
/** Those that `onSignal` hears. */
const signals: NodeJS.Signals[] & ('SIGTERM' | 'SIGINT' | 'SIGHUP')[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

/**
 * Finishes what is in flight, closes the database and exits 0 within 10 seconds, even when a peer or the database hangs. The
 * returned signal aborts when that begins.
 */
function closeOnSignal(running: Running, log: Log, onSignal: OnSignal): AbortSignal {
  const { logger } = log
  const stopping = new AbortController()
  let hasFailed = false
  const onTimeout = () => {
    logger.warn({ event: 'closed' }, 'closed without waiting any longer')
    process.exit(hasFailed ? 1 : 0)
  }
  const grace = closeWithGrace(
    // beforeExit: a start that failed has its own exit code
    { delay: closeMilliseconds, logger, onTimeout, skip: [...signals, 'beforeExit'] },
    async ({ err }) => {
      stopping.abort()
      log.release()
      hasFailed = err !== undefined
      if (err) logger.fatal({ err }, 'closing after an error nobody caught')
      await drain(running.app)
      const database = await running.opening?.catch(() => null) // its error is reported where it is awaited
      await database?.close()
      logger.info({ event: 'closed' }, 'closed')
      await log.flush()
    },
  )
  onSignal((signal) => {
    if (signal === 'SIGHUP') return // log rotation sends it, and there is no file to open again
    if (stopping.signal.aborted) return // Ctrl-C under npm arrives twice: from the terminal and from npm
    logger.info({ event: 'closing', signal }, `closing after ${signal}: finishing what is in flight`)
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
