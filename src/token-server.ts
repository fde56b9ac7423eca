import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { availableCores } from './available-cores.ts'
import { type Batching, forSignIns } from './database/batch-lookups.ts'
import { boundQuery } from './database/bound-query.ts'
import type { Database, Query } from './database/database.ts'
import type { Dialect } from './dialects/dialect.ts'
import { signsTokens } from './dialects/dialect.ts'
import { findSharedPath } from './dialects/index.ts'
import { OAuthError } from './errors.ts'
import { type Emit, tellReader } from './events.ts'
import { createClientCheck } from './grants/authenticate-client.ts'
import type { SigningTools } from './grants/device-grant.ts'
import { SeatTaker } from './grants/seat-taker.ts'
import { takeTurn } from './http/connection-turns.ts'
import { refuseCrossSite } from './http/cross-site.ts'
import { createEventLog, type EmitFrom } from './http/log-events.ts'
import { showAddress } from './http/network.ts'
import { introspectionRoute } from './http/routes/introspection-route.ts'
import { jwksRoute } from './http/routes/jwks-route.ts'
import { metadataRoute } from './http/routes/metadata-route.ts'
import { revocationRoute } from './http/routes/revocation-route.ts'
import { seatsRoute } from './http/routes/seats-route.ts'
import { tokenRoute } from './http/routes/token-route.ts'
import { userinfoRoute } from './http/routes/userinfo-route.ts'
import { createPasswords, defaultPasswordOptions, type PasswordOptions, type Passwords } from './passwords/password.ts'
import { createThrottle } from './throttle/database-throttle.ts'
import { purgeAttempts } from './throttle/purge-attempts.ts'
import { defaultThrottleOptions, type Throttle, type ThrottleOptions } from './throttle/throttle.ts'
import { defaultTokenOptions } from './tokens/default-token-options.ts'
import { listLiveTokens } from './tokens/list-tokens.ts'
import { createKeyLister } from './tokens/published-keys.ts'
import { createSeatRevoker, createTokenRevoker } from './tokens/revoke-token.ts'
import { createValueReader } from './tokens/signed-value.ts'
import { createSigningKeyFinder } from './tokens/signing-keys.ts'
import { createTokenCache, type TokenCache } from './tokens/token-cache.ts'
import { createDeviceFinder } from './users/authenticate-device.ts'
import { createCredentialsFinder } from './users/find-credentials.ts'
import { findHashCosts } from './users/find-hash-costs.ts'

/** The options of the token server. The caller that opened the database closes it. */
export interface TokenServerOptions {
  readonly database: Database
  readonly dialects: readonly Dialect[]
  /** The lifetime of a token in seconds, unless its client has its own. Default: 1209600, which is 14 days. */
  readonly lifetimeSeconds?: number
  /** Maximum number of seats (devices) for each user. A new one replaces the one with the oldest sign-in. Default: 50. */
  readonly maxSeatsPerUser?: number
  /** 32 bytes that encrypt the customer keys of devices and the signing keys. The `device` dialect needs it. */
  readonly encryptionKey?: Buffer | undefined
  /** The limits on failed attempts: see docs/operations/throttling.md. `false` switches them off, for tests and benchmarks. */
  readonly throttle?: Partial<ThrottleOptions> | boolean
  /** The cost and the queue of password hashes. Default: a cost that OWASP recommends, one hash at a time on each core. */
  readonly passwords?: Partial<PasswordOptions>
  /** Origins whose pages may send sign-ins and client credentials. Others get a 403. Default: none. */
  readonly corsOrigins?: readonly string[]
  /** Finds and caches tokens. Share it with the guards in the same process. Default: a cache of its own, for 5 seconds. */
  readonly tokenCache?: TokenCache
  /** The public origin of the server, for its metadata. Default: the address that it listens on. */
  readonly publicUrl?: string | undefined
  /** Receives every event of the server: sign-ins, refusals, revocations. The log receives them too. */
  readonly emit?: Emit | undefined
  /** The path of the documentation page, for the metadata. Default: none. */
  readonly documentationPath?: string | undefined
}

/**
 * Mounts the token server as a Fastify plugin: each dialect's endpoint, `/userinfo`, `/seats`, `/introspect`, `/revoke` and
 * the metadata. It stays in its own scope and does not touch the host's parsers, hooks, error handler or routes. It needs a
 * migrated database. Throws Error if two dialects share a path, or if the `device` dialect has no encryption key.
 */
export const tokenServer = fastifyPlugin(mountTokenServer, {
  name: 'fastify-password-grant',
  fastify: '5.x',
  encapsulate: true,
})

async function mountTokenServer(scope: FastifyInstance, options: TokenServerOptions): Promise<void> {
  requireMountable(options)
  scope.addHook('onRequest', (request, reply, done) => takeTurn(request.raw, reply.raw, done))
  const parts = await createParts(scope, options)
  deleteExpiredHourly(scope, options)
  noteHashCosts(scope, options.database.writes, parts.passwords)
  scope.addHook('onRequest', refuseCrossSite(options.corsOrigins ?? [], options.publicUrl))
  await mountTokenRoutes(scope, options, parts)
  await mountHolderRoutes(scope, options, parts)
  await mountClientRoutes(scope, options, parts)
  const { dialects, publicUrl, documentationPath } = options
  await scope.register(metadataRoute, { logSerializers, dialects, publicUrl, documentationPath })
}

/** The parts that the routes share. */
interface Parts {
  readonly passwords: Passwords
  readonly throttle: Throttle
  readonly batching: Batching
  readonly tokenCache: TokenCache
  readonly emit: EmitFrom
}

async function createParts(scope: FastifyInstance, options: TokenServerOptions): Promise<Parts> {
  const { database, encryptionKey } = options
  const passwords = await startPasswords(scope, options)
  const batching = { ...forSignIns, findBacklogMs: passwords.findBacklogMs }
  const logEvent = createEventLog(scope)
  return {
    passwords,
    batching,
    throttle: createThrottle(database.writes, encryptionKey, readThrottle(options), batching),
    tokenCache: options.tokenCache ?? createTokenCache(database),
    emit: (event, from) => {
      logEvent(event, from)
      if (options.emit) tellReader(options.emit, event)
    },
  }
}

async function startPasswords(scope: FastifyInstance, options: TokenServerOptions): Promise<Passwords> {
  const concurrency = options.passwords?.concurrency ?? availableCores()
  const passwords = await createPasswords({ ...defaultPasswordOptions, ...options.passwords, concurrency })
  scope.log.info({ event: 'hashing', argon2: passwords.binding, concurrency }, `hashing with ${passwords.binding}`)
  warnOfSmallThreadPool(scope, concurrency)
  return passwords
}

async function mountTokenRoutes(scope: FastifyInstance, options: TokenServerOptions, parts: Parts): Promise<void> {
  const { database, dialects, maxSeatsPerUser = defaultTokenOptions.maxSeatsPerUser } = options
  const { lifetimeSeconds = defaultTokenOptions.lifetimeSeconds } = options
  const { passwords, throttle, batching, tokenCache, emit } = parts
  const { writes } = database
  const tools = {
    database,
    passwords,
    throttle,
    findCredentials: createCredentialsFinder(writes, batching),
    seats: new SeatTaker(database, throttle, passwords.findBacklogMs),
    maxSeats: maxSeatsPerUser,
    signing: createSigning(options),
    inBackground: createBackground(scope),
  }
  // This look-up does not pause longer behind a backlog. The server refuses most requests of a flood right after it, and a
  // long pause would gather their refusals into bursts.
  const authenticateClient = createClientCheck({ query: writes, passwords, throttle, batching: forSignIns })
  for (const dialect of dialects) {
    await scope.register(tokenRoute, {
      logSerializers,
      dialect,
      mounted: dialects,
      authenticateClient,
      tools: { ...tools, lifetimeSeconds: dialect.lifetimeSeconds ?? lifetimeSeconds },
      forgetToken: tokenCache.forgetToken,
      emit,
    })
  }
}

function createSigning({ database: { writes }, encryptionKey }: TokenServerOptions): SigningTools | null {
  if (!encryptionKey) return null
  return {
    encryptionKey,
    findDevice: createDeviceFinder(writes),
    findSigningKey: createSigningKeyFinder(writes, encryptionKey),
  }
}

/** Mounts the endpoints for holders of a token. */
async function mountHolderRoutes(scope: FastifyInstance, options: TokenServerOptions, parts: Parts): Promise<void> {
  const { database, dialects } = options
  const { emit, tokenCache } = parts
  const tools = { logSerializers, findToken: tokenCache.findToken, dialects, emit }
  await scope.register(userinfoRoute, tools)
  const listing = boundQuery(database.lookups)
  await scope.register(seatsRoute, {
    ...tools,
    listSeats: (userId) => listLiveTokens(listing, userId),
    revokeSeat: createSeatRevoker(database),
    forgetToken: tokenCache.forgetToken,
  })
}

/** Mounts the endpoints for clients that check or end a token. They use the `lookups` lane, so sign-ins do not delay them. */
async function mountClientRoutes(scope: FastifyInstance, options: TokenServerOptions, parts: Parts): Promise<void> {
  const { database, dialects } = options
  const { passwords, throttle, tokenCache, emit } = parts
  const { lookups } = database
  const authenticateClient = createClientCheck({ query: lookups, passwords, throttle })
  const { findToken, forgetToken } = tokenCache
  await scope.register(introspectionRoute, { logSerializers, authenticateClient, findToken, emit })
  await scope.register(revocationRoute, {
    logSerializers,
    authenticateClient,
    readValue: createValueReader(lookups),
    revokeToken: createTokenRevoker(database),
    forgetToken,
    emit,
  })
  if (dialects.some(signsTokens)) {
    await scope.register(jwksRoute, { logSerializers, listKeys: createKeyLister(lookups), emit })
  }
}

function requireMountable({
  dialects,
  encryptionKey,
  maxSeatsPerUser = defaultTokenOptions.maxSeatsPerUser,
}: TokenServerOptions): void {
  if (!Number.isInteger(maxSeatsPerUser) || maxSeatsPerUser < 1) {
    throw new TypeError('tokenServer: maxSeatsPerUser must be a whole number of at least 1.')
  }
  const shared = findSharedPath(dialects)
  if (shared) throw new Error(`Two dialects on one path: ${shared.names.join(' and ')} are both at ${shared.path}.`)
  if (encryptionKey?.length !== 32 && dialects.some(signsTokens)) {
    throw new Error('The device dialect needs an encryptionKey of 32 bytes.')
  }
}

function readThrottle({ throttle = true }: TokenServerOptions): ThrottleOptions | false {
  return throttle && { ...defaultThrottleOptions, ...(throttle === true ? {} : throttle) }
}

const hourMs = 3_600_000

/** Deletes expired counts at start-up and every hour. After an outage it tries again an hour later. */
function deleteExpiredHourly(scope: FastifyInstance, options: TokenServerOptions): void {
  const limits = readThrottle(options) || defaultThrottleOptions // an earlier server may have left counts
  const closing = new AbortController()
  let underWay = Promise.resolve()
  const purge = () => {
    underWay = purgeAttempts(options.database.writes, limits, closing.signal).catch((error: Error) => {
      const reason = error instanceof OAuthError ? error.reason : error.message
      scope.log.warn({ event: 'purge', reason }, `could not delete expired counts: ${reason}`)
    })
  }
  const timer = setInterval(purge, hourMs).unref()
  scope.addHook('onReady', async () => purge())
  scope.addHook('onClose', async () => {
    clearInterval(timer)
    closing.abort()
    await underWay
  })
}

const minuteMs = 60_000

/** Reads the costs of all stored hashes every minute, since other processes store hashes too. */
function noteHashCosts(scope: FastifyInstance, query: Query, passwords: Passwords): void {
  const note = async () => passwords.noteStoredCosts(await findHashCosts(query))
  const noteOrWait = () => note().catch(() => undefined) // during an outage no password is checked
  const timer = setInterval(noteOrWait, minuteMs).unref()
  scope.addHook('onReady', noteOrWait)
  scope.addHook('onClose', async () => clearInterval(timer))
}

/** Omits the query string from the host's log, since it may contain a password or a token. */
function writeRequestLine({ method, url, ip }: FastifyRequest): object {
  return { method, url: url.split('?', 1).join(), remoteAddress: showAddress(ip) }
}

const logSerializers = { req: writeRequestLine as never } // Fastify's type allows only strings; pino also takes objects

/**
 * Creates a runner for work after the answer. It runs one piece at a time and skips the others, so that a burst of sign-ins
 * does not fill the hash queue with renewals. The next sign-in makes up for skipped work. A failure only writes a warning,
 * and closing waits for the work under way.
 */
function createBackground(scope: FastifyInstance): (work: () => Promise<void>) => void {
  let underWay: Promise<void> | null = null
  scope.addHook('onClose', async () => {
    await underWay
  })
  return (work) => {
    underWay ??= work()
      .catch((error: unknown) => scope.log.warn({ event: 'renewal', err: error }, 'could not renew a password hash'))
      .finally(() => {
        underWay = null
      })
  }
}

/** Warns if hashes can fill libuv's thread pool, since all other work on the pool would then wait. */
function warnOfSmallThreadPool(scope: FastifyInstance, concurrency: number): void {
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  if (threads >= concurrency + 2) return
  scope.log.warn(
    { threads, concurrency },
    `UV_THREADPOOL_SIZE is ${threads}. Set it to ${concurrency + 2} before Node starts, or token checks wait for hashing.`,
  )
}
