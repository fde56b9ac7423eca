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

/** What the token server needs to know; the one who opened the database closes it. */
export interface TokenServerOptions {
  readonly database: Database
  readonly dialects: readonly Dialect[]
  /** Seconds a token lives, unless its client says otherwise. Default: 1209600, 14 days. */
  readonly lifetimeSeconds?: number
  /** Seats (devices) a user may be signed in from at a time; the one taken longest ago gives way. Default: 50. */
  readonly maxSeatsPerUser?: number
  /** 32 bytes that the keys of devices and the keys that sign are encrypted with; needed by the `device` dialect. */
  readonly encryptionKey?: Buffer | undefined
  /** How failed attempts are slowed down, see docs/operations/throttling.md; `false` lets everyone try, for tests and benchmarks. */
  readonly throttle?: Partial<ThrottleOptions> | boolean
  /** Cost and queue of password hashes. Default: OWASP's first choice, as many at once as there are cores. */
  readonly passwords?: Partial<PasswordOptions>
  /** Origins whose pages may send sign-ins and client credentials; others are refused with 403. Default: none. */
  readonly corsOrigins?: readonly string[]
  /** Where tokens are found; share it with the guards of the same process. Default: one of its own, for 5 seconds. */
  readonly tokenCache?: TokenCache
  /** The origin under which the server is known, for its metadata. Default: where it listens. */
  readonly publicUrl?: string | undefined
  /** Hears every event of the server: sign-ins, refusals, revocations. The log hears them too. */
  readonly emit?: Emit | undefined
  /** The path of a page for people, for the metadata. Default: none. */
  readonly documentationPath?: string | undefined
}

/**
 * The Fastify plugin: each dialect's endpoint, `/userinfo`, `/seats`, `/introspect`, `/revoke` and the metadata, in a scope of
 * their own, so that the host's parsers, hooks, error handler and routes are untouched. Expects a migrated database.
 * Throws Error for two dialects on one path, and for the `device` dialect without an encryption key.
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

/** What the routes share. */
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
  const authenticateClient = createClientCheck({ query: writes, passwords, throttle, batching })
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

/** Mounts the endpoints that a token opens. */
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

/** Mounts the endpoints that a client asks about a token, on the lane where no queue of sign-ins holds a check back. */
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
    throw new TypeError('tokenServer: maxSeatsPerUser is a whole number of at least 1.')
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

/** Deletes expired counts at the start and each hour; where the database is away, an hour later. */
function deleteExpiredHourly(scope: FastifyInstance, options: TokenServerOptions): void {
  const limits = readThrottle(options) || defaultThrottleOptions // an earlier server may have left counts
  const closing = new AbortController()
  let underWay = Promise.resolve()
  const purge = () => {
    underWay = purgeAttempts(options.database.writes, limits, closing.signal).catch((error: Error) => {
      const reason = error instanceof OAuthError ? error.reason : error.message
      scope.log.warn({ event: 'purge', reason }, `expired counts were not deleted: ${reason}`)
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

/** Refusals cost as much as the dearest stored hash, which other processes may have stored a minute ago. */
function noteHashCosts(scope: FastifyInstance, query: Query, passwords: Passwords): void {
  const note = async () => passwords.noteStoredCosts(await findHashCosts(query))
  const noteOrWait = () => note().catch(() => undefined) // during an outage no password is checked
  const timer = setInterval(noteOrWait, minuteMs).unref()
  scope.addHook('onReady', noteOrWait)
  scope.addHook('onClose', async () => clearInterval(timer))
}

/** Leaves the query out of a host's log: it may hold a password or a token, by design or by mistake. */
function writeRequestLine({ method, url, ip }: FastifyRequest): object {
  return { method, url: url.split('?', 1).join(), remoteAddress: showAddress(ip) }
}

const logSerializers = { req: writeRequestLine as never } // its type knows texts only, pino takes objects

/**
 * Work after the answer, one at a time: a burst of sign-ins with old hashes must not fill the hash queue with renewals,
 * and what is left out comes back with the next sign-in. A failure costs nobody their token; closing waits.
 */
function createBackground(scope: FastifyInstance): (work: () => Promise<void>) => void {
  let underWay: Promise<void> | null = null
  scope.addHook('onClose', async () => {
    await underWay
  })
  return (work) => {
    underWay ??= work()
      .catch((error: unknown) => scope.log.warn({ event: 'renewal', err: error }, 'a password hash was not renewed'))
      .finally(() => {
        underWay = null
      })
  }
}

/** Hashes run in libuv's thread pool; where they can fill it, everything else that needs it waits. */
function warnOfSmallThreadPool(scope: FastifyInstance, concurrency: number): void {
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  if (threads >= concurrency + 2) return
  scope.log.warn(
    { threads, concurrency },
    `UV_THREADPOOL_SIZE is ${threads}: set it to ${concurrency + 2} before Node starts, or token checks wait behind hashing`,
  )
}
