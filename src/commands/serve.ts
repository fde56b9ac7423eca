import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { type Config, isWeakCost } from '../config.ts'
import { adviseOperator } from '../database/advise-operator.ts'
import { findCollationChanges } from '../database/collation-changes.ts'
import type { Database, Query } from '../database/database.ts'
import { type Migration, migrate, type OnApplied, schemaState } from '../database/migrate.ts'
import { needsPerson } from '../database/to-outage.ts'
import { type Dialect, signsTokens } from '../dialects/dialect.ts'
import { envelopeWithDebug } from '../dialects/envelope.ts'
import { isOutage, type OAuthError } from '../errors.ts'
import { createServer } from '../server.ts'
import { createSigningKeyFinder } from '../tokens/signing-keys.ts'
import { mismatchWarnings, noteEncryptionKey } from './note-encryption-key.ts'
import { findEncryptionKey, openConfigured } from './open-configured.ts'

/** What `serve` does besides listening. */
export interface ServeOptions {
  readonly migrate: boolean
  /**
   * Called in the transaction that makes the tables of an empty embedded database; what it returns is called once that is
   * committed, before the first log line.
   */
  readonly welcome?: (query: Query) => Promise<() => void>
}

/** What there is to close, as far as the start has come. */
interface Running {
  readonly opening: Promise<Database>
  app: FastifyInstance | null
}

/** Opens, migrates, listens, and closes on SIGTERM or SIGINT at any moment. Resolves when the server is ready. */
export async function serve(config: Config, logger: FastifyBaseLogger, options: ServeOptions): Promise<void> {
  const opening = openConfigured(config, {
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
  const running: Running = { opening, app: null }
  closeOnSignal(running, logger)
  const database = await opening
  try {
    await prepareSchema(config, logger, database, options)
    const hasKey = 'folder' in config.database || config.dialects.some(signsTokens)
    const encryptionKey = hasKey ? await findEncryptionKey(config) : config.encryptionKey
    if (encryptionKey && config.dialects.some(signsTokens)) {
      await waitForDatabase(config, logger, () => readySigningKey(database, encryptionKey))
    }
    for (const sentence of await waitForDatabase(config, logger, () => findCollationChanges(database.query))) {
      logger.warn({ event: 'collation' }, sentence)
    }
    await warnOfKeyMismatch(config, logger, database, encryptionKey ?? null)
    running.app = await createServer(database, logger, { ...config, encryptionKey })
    await running.app.listen({
      host: config.host,
      port: config.port,
      backlog: mostUnaccepted,
      listenTextResolver: (address) => `ready on ${address}`,
    })
  } catch (error) {
    await database.close()
    throw adviseOperator(error)
  }
}

/** Connections that may wait to be accepted: with Node's 511 a flood makes others wait a second for the next try. */
const mostUnaccepted = 4_096

async function prepareSchema(
  config: Config,
  logger: FastifyBaseLogger,
  database: Database,
  options: ServeOptions,
): Promise<void> {
  let sayWelcome: (() => void) | undefined
  const onApplied: OnApplied = async (query, applied) => {
    if (applied.includes(1) && 'folder' in config.database) sayWelcome = await options.welcome?.(query)
  }
  const bringUp = () => {
    sayWelcome = undefined // an attempt that came to nothing made nobody
    return migrate(database, onApplied)
  }
  const migration = options.migrate ? await waitForDatabase(config, logger, bringUp) : null
  sayWelcome?.()
  warn(config, logger)
  if (migration) logMigration(logger, migration)
  else await requireUsableSchema(config, logger, database)
}

/** Better no start than a server that refuses every device: makes the first signing key, or opens the one there is. */
async function readySigningKey(database: Database, encryptionKey: Buffer): Promise<void> {
  if ((await schemaState(database.query)) === 'current') await createSigningKeyFinder(database.query, encryptionKey)()
}

/** Before migration 7, where a server runs on an older schema, there is nothing to compare with. */
async function warnOfKeyMismatch(
  config: Config,
  logger: FastifyBaseLogger,
  database: Database,
  encryptionKey: Buffer | null,
): Promise<void> {
  const mismatch = await waitForDatabase(config, logger, async () => {
    return (await schemaState(database.query)) === 'current' ? noteEncryptionKey(database.query, encryptionKey) : null
  })
  if (mismatch) logger.warn({ event: 'encryption-key', reason: mismatch }, mismatchWarnings[mismatch])
}

/** Tries until the database answers, saying so; gives up after DATABASE_WAIT_SECONDS with the last cause. */
async function waitForDatabase<T>(config: Config, logger: FastifyBaseLogger, ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + config.databaseWaitSeconds * 1000
  for (let pause = 100; ; pause = Math.min(pause * 2, 2_000)) {
    try {
      return await ask()
    } catch (error) {
      if (!isWorthWaiting(error) || Date.now() + pause > deadline) throw error
      logger.warn({ event: 'database', reason: error.reason }, `${error.reason}; trying again`)
      await sleep(pause)
    }
  }
}

/** A wrong password or an unknown database will not mend itself. */
function isWorthWaiting(error: unknown): error is OAuthError {
  return isOutage(error) && !needsPerson(error)
}

async function requireUsableSchema(config: Config, logger: FastifyBaseLogger, database: Database): Promise<void> {
  const state = await waitForDatabase(config, logger, () => schemaState(database.query))
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
const signals: NodeJS.Signals[] & ('SIGTERM' | 'SIGINT')[] = ['SIGTERM', 'SIGINT']

/** Finishes what is in flight, closes the database and exits 0 within 10 seconds, whatever peers and database do. */
function closeOnSignal(running: Running, logger: FastifyBaseLogger): void {
  let hasFailed = false
  const onTimeout = () => {
    logger.warn({ event: 'closed' }, 'closed without waiting any longer')
    process.exit(hasFailed ? 1 : 0)
  }
  const grace = closeWithGrace(
    // beforeExit: a start that failed has its own exit code
    { delay: closeMilliseconds, logger, onTimeout, skip: [...signals, 'beforeExit'] },
    async ({ err }) => {
      hasFailed = err !== undefined
      if (err) logger.fatal({ err }, 'closing after an error nobody caught')
      await drain(running.app)
      const database = await running.opening.catch(() => null) // its error is reported where it is awaited
      await database?.close()
      logger.info({ event: 'closed' }, 'closed')
    },
  )
  let isClosing = false
  const close = (signal: string) => {
    if (isClosing) return // Ctrl-C under npm arrives twice: from the terminal and from npm
    isClosing = true
    logger.info({ event: 'closing', signal }, 'closing: finishing what is in flight')
    grace.close()
  }
  for (const signal of signals) process.on(signal, close)
}

async function drain(app: FastifyInstance | null): Promise<void> {
  const cut = setTimeout(() => app?.server.closeAllConnections(), drainMilliseconds)
  await app?.close()
  clearTimeout(cut)
}
