import { createServer as createHttpServer, METHODS } from 'node:http'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
  LogController,
} from 'fastify'
import type { Config } from './config/config.ts'
import type { Database } from './database/database.ts'
import { createReadinessCheck } from './database/readiness.ts'
import { OAuthError } from './errors.ts'
import { BoundedRequest } from './http/body-pieces.ts'
import { createBoundedLog } from './http/bounded-log.ts'
import { takeTurn } from './http/connection-turns.ts'
import { allowOrigins } from './http/cors.ts'
import { trustProxies } from './http/network.ts'
import { sendRefusal, toOAuthError, writeRefusals } from './http/refusals.ts'
import { notUnderstood, refuseBrokenRequest, refuseExpectation } from './http/refuse-broken-request.ts'
import { docsPath, docsRoute } from './http/routes/docs-route.ts'
import { healthRoute } from './http/routes/health-route.ts'
import { openapiRoute } from './http/routes/openapi-route.ts'
import { sendPlainReply } from './http/send-reply.ts'
import { type TokenServerOptions, tokenServer } from './token-server.ts'
import { createTokenCache } from './tokens/token-cache.ts'
import { writeError } from './wire/wire-reply.ts'

/** The part of the configuration that the standalone server uses. */
export type ServerOptions = Pick<
  Config,
  | 'trustProxy'
  | 'dialects'
  | 'lifetimeSeconds'
  | 'passwords'
  | 'publicUrl'
  | 'corsOrigins'
  | 'tokenCacheSeconds'
  | 'outageLeaseSeconds'
  | 'docs'
  | 'maxSeatsPerUser'
  | 'encryptionKey'
> &
  Pick<TokenServerOptions, 'throttle' | 'emit'>

/**
 * Creates the standalone server: the token server, the health endpoints, `openapi.yaml` and the docs page. It answers unknown
 * paths with JSON that repeats nothing from the request. It writes no log line for each request, and never logs a query.
 */
export async function createServer(
  database: Database,
  logger: FastifyBaseLogger,
  options: ServerOptions,
): Promise<FastifyInstance> {
  const app = createApp(logger, options)
  if (options.trustProxy.length === 0) warnOfUntrustedProxy(app)
  answerUnknownPaths(app)
  await mountRoutes(app, database, options)
  return app
}

function createApp(logger: FastifyBaseLogger, { trustProxy }: ServerOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }), // events write one line for each sign-in or refusal
    childLoggerFactory: (parent) => parent, // our log lines carry the request id themselves
    trustProxy: trustProxies(trustProxy),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // requests that still arrive on open connections get their normal answer
    serverFactory: (answer) =>
      createHttpServer(socketOptions, (request, response) =>
        takeTurn(request, response, () => answer(request, response)),
      ),
    frameworkErrors: (_error, _request, reply) => {
      sendRefusal(reply as unknown as FastifyReply, notUnderstood, writeError(notUnderstood), sendPlainReply) // the type here lacks the route
    },
    clientErrorHandler: refuseBrokenRequest,
  })
  app.server.on('checkExpectation', refuseExpectation)
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.headers.host === undefined && raw.httpVersion === '1.1') throw notUnderstood // RFC 9112 §3.2
  })
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method) // so that a 405 answers it
  }
  return app
}

/** Answers requests for unknown paths, and errors that the routes did not answer themselves. */
function answerUnknownPaths(app: FastifyInstance): void {
  const write = createBoundedLog(app)
  app.setNotFoundHandler((request, reply) => {
    const error = refusePath(app, request)
    return sendRefusal(reply, error, writeError(error), sendPlainReply)
  })
  writeRefusals(app, {
    // Fastify reads the body of an unknown path first, and that may fail
    read: (thrown, request) => (request.is404 ? refusePath(app, request) : toOAuthError(thrown)),
    report: (error, request) => {
      if (error.status < 500 || error.isOverload) return
      write(request.log, { ...unforeseen, facts: { err: error.cause ?? error, requestId: request.id } })
    },
    write: writeError,
    send: sendPlainReply,
  })
}

async function mountRoutes(app: FastifyInstance, database: Database, options: ServerOptions): Promise<void> {
  const { dialects, corsOrigins, docs, tokenCacheSeconds: seconds, outageLeaseSeconds } = options
  const tokenCache = createTokenCache(database, { seconds, outageLeaseSeconds })
  if (corsOrigins.length > 0) await allowOrigins(app, corsOrigins, dialects)
  const documentationPath = docs ? docsPath : undefined
  await app.register(tokenServer, { ...options, database, tokenCache, documentationPath })
  await app.register(healthRoute, { findProblem: createReadinessCheck(database.lookups) })
  await app.register(openapiRoute)
  if (docs) await app.register(docsRoute, { dialects })
}

/** The options of the HTTP server. Fastify applies its own only to a server that it creates itself. */
const socketOptions = {
  keepAliveTimeout: 72_000,
  requestTimeout: 30_000,
  headersTimeout: 30_000, // at most requestTimeout, or Node swaps the two
  connectionsCheckingInterval: 5_000, // how often Node checks both
  requireHostHeader: false,
  IncomingMessage: BoundedRequest,
}

const unforeseen = { level: 'error', event: 'refusal', reason: 'unforeseen', message: 'unforeseen error' } as const

/** Refuses an unknown path. Hints at the most common mistake, a slash at the end of the right path. */
function refusePath(app: FastifyInstance, request: FastifyRequest): OAuthError {
  const [path = ''] = request.url.split('?')
  const url = path.replace(/(?<!\/)\/+$/, '')
  const isKnown = url !== path && url !== '' && app.findRoute({ url, method: request.method as HTTPMethods }) !== null
  const hint = isKnown ? ' Leave out the slash at its end.' : ''
  return new OAuthError('not_found', `There is nothing at this path.${hint}`)
}

/** Warns once. Any caller can send the header, but if a proxy sends it, all callers seem to share one address. */
function warnOfUntrustedProxy(app: FastifyInstance): void {
  let isTold = false
  app.addHook('onRequest', async ({ headers, log }) => {
    if (isTold || headers['x-forwarded-for'] === undefined) return
    isTold = true
    log.warn(
      'Ignored an X-Forwarded-For header. Behind a proxy, set TRUST_PROXY. Without it, all callers count as one network and ' +
        'wait for the failed attempts of the others.',
    )
  })
}
