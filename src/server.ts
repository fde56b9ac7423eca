import { createServer as createHttpServer, type IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
  LogController,
} from 'fastify'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { OAuthError } from './errors.ts'
import { BoundedRequest } from './http/body-pieces.ts'
import { createBoundedLog } from './http/bounded-log.ts'
import { afterAnswers, takeTurn } from './http/connection-turns.ts'
import { allowOrigins } from './http/cors.ts'
import { toOAuthError } from './http/failure.ts'
import { trustProxies } from './http/network.ts'
import { docsPath, docsRoute } from './http/routes/docs-route.ts'
import { healthRoute } from './http/routes/health-route.ts'
import { openapiRoute } from './http/routes/openapi-route.ts'
import { type TokenServerOptions, tokenServer } from './http/token-server.ts'
import { createTokenCache } from './tokens/token-cache.ts'

/** What the standalone server needs of the configuration. */
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
 * The standalone server: the token server, health and `openapi.yaml`, and JSON that repeats nothing for every
 * path that is none. Requests are not logged one by one, and no query ever is.
 */
export async function createServer(
  database: Database,
  logger: FastifyBaseLogger,
  options: ServerOptions,
): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }), // ours are one line a sign-in or refusal
    childLoggerFactory: (parent) => parent, // lines about requests name the request themselves
    trustProxy: trustProxies(options.trustProxy),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // what still arrives on an open connection is answered like everything before it
    serverFactory: (answer) =>
      createHttpServer(socketOptions, (request, response) =>
        takeTurn(request, response, () => answer(request, response)),
      ),
    frameworkErrors: (_error, _request, reply) => {
      reply.status(400 as never).send(notUnderstood as never) // its type knows no route, hence no reply
    },
    clientErrorHandler: refuseBrokenRequest,
  })
  app.server.on('checkExpectation', refuseExpectation)
  app.addHook('onRequest', async ({ raw }) => {
    if (raw.headers.host === undefined && raw.httpVersion === '1.1') refuseWithoutHost()
  })
  if (options.trustProxy.length === 0) warnOfUntrustedProxy(app)
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method) // for 405 to know it
  }
  const write = createBoundedLog(app)
  const refusePath = (request: FastifyRequest, reply: FastifyReply) =>
    reply.code(404).send(isKnownWithoutSlash(app, request) ? notFoundWithSlash : notFound)
  app.setNotFoundHandler(refusePath)
  app.setErrorHandler((thrown, request, reply) => {
    if (request.is404) return refusePath(request, reply) // Fastify read its body first, and could not
    const error = toOAuthError(thrown)
    if (error.status >= 500 && !error.isOverload)
      write(request.log, { ...unforeseen, facts: { err: thrown, requestId: request.id } })
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
    return reply.code(error.status).send({ error: error.code, error_description: error.description })
  })
  const { dialects, corsOrigins, docs } = options
  const { tokenCacheSeconds: seconds, outageLeaseSeconds } = options
  const tokenCache = createTokenCache(database, { seconds, outageLeaseSeconds })
  if (corsOrigins.length > 0) await allowOrigins(app, corsOrigins, dialects)
  const documentationPath = docs ? docsPath : undefined
  await app.register(tokenServer, { ...options, database, tokenCache, documentationPath })
  await app.register(healthRoute, { database })
  await app.register(openapiRoute)
  if (docs) await app.register(docsRoute, { dialects })
  return app
}

/** Fastify's own server would take the first three from its options, too. */
const socketOptions = {
  keepAliveTimeout: 72_000,
  requestTimeout: 30_000,
  headersTimeout: 30_000, // no longer than the time-out above, or Node exchanges the two
  connectionsCheckingInterval: 5_000, // how late Node may notice those
  requireHostHeader: false,
  IncomingMessage: BoundedRequest,
}

const unforeseen = { level: 'error', event: 'refusal', reason: 'unforeseen', message: 'unforeseen error' } as const
const notFound = { error: 'not_found', error_description: 'There is nothing at this path.' }
const notFoundWithSlash = {
  error: 'not_found',
  error_description: 'There is nothing at this path. Without the slash at its end there is.',
}
const notUnderstood = { error: 'invalid_request', error_description: 'The request could not be understood.' }

/** The commonest wrong path of such endpoints is the right one with a slash behind it. */
function isKnownWithoutSlash(app: FastifyInstance, request: FastifyRequest): boolean {
  const [path = ''] = request.url.split('?')
  const url = path.replace(/(?<!\/)\/+$/, '')
  return url !== path && url !== '' && app.findRoute({ url, method: request.method as HTTPMethods }) !== null
}

/** Told once: anybody can send the header, but where a proxy does, all callers look like one. */
function warnOfUntrustedProxy(app: FastifyInstance): void {
  let isTold = false
  app.addHook('onRequest', async ({ headers, log }) => {
    if (isTold || headers['x-forwarded-for'] === undefined) return
    isTold = true
    log.warn(
      'X-Forwarded-For came and is not believed: behind a proxy set TRUST_PROXY, or all callers count as one network, ' +
        'whose failed attempts make everybody wait',
    )
  })
}

/** RFC 9112 §3.2; Node's own refusal would be empty. */
function refuseWithoutHost(): never {
  throw new OAuthError('invalid_request', notUnderstood.error_description)
}

/** RFC 9110 §10.1.1: any expectation but 100-continue, to which Node's own refusal would be empty. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
  }
  response.writeHead(417, headers).end(JSON.stringify(notUnderstood))
}

/** For what is not HTTP at all. Nothing of it is logged: the raw bytes may hold a password. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  // the client must not take this answer for that of an earlier request
  if (afterAnswers(socket, () => socket.destroy())) return
  const body = JSON.stringify(notUnderstood)
  const status = brokenRequestStatus[error.code ?? ''] ?? '400 Bad Request'
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${body.length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
  )
}

const brokenRequestStatus: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}
