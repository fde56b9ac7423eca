import basicAuth from '@fastify/basic-auth'
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthenticateClient } from '../clients/authenticate-client.ts'
import type { Dialect, Fields, WireReply } from '../dialects/dialect.ts'
import { OAuthError } from '../errors.ts'
import { grantToken } from '../grants/grant.ts'
import type { GrantTools } from '../grants/grant-tools.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { longestBody, readForm, readFormOf } from './body.ts'
import { authenticateRequest, basicCredentials, keepBasicCredentials } from './client-auth.ts'
import { logRefusal, toOAuthError } from './failure.ts'
import { pathInAnyCase } from './path-pattern.ts'

/** What one mounted dialect works with. */
export interface TokenRouteOptions {
  readonly dialect: Dialect
  readonly authenticateClient: AuthenticateClient
  readonly tools: GrantTools
}

/**
 * One dialect in a scope of its own: method, body, client, fields, grant, in the order in which the first
 * failure answers. Its parsers, error writer and headers touch no route of the host.
 */
export async function tokenRoute(scope: FastifyInstance, options: TokenRouteOptions): Promise<void> {
  const { dialect, authenticateClient, tools } = options
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: longestBody, parser: (text) => ({ form: readForm(text) }) })
  await scope.register(basicAuth, { validate: keepBasicCredentials, strictCredentials: false })
  scope.decorateRequest(basicCredentials, null)
  scope.decorateRequest(clientId, undefined)
  scope.decorateRequest(claimedType, undefined)

  scope.setErrorHandler((thrown, request, reply) => {
    const error = toOAuthError(thrown)
    logRefusal(request, error, { client: request[clientId], dialect: dialect.name, durationMs: duration(reply) })
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
    return send(reply.headers({ ...error.headers }), dialect.refuse(error))
  })

  const url = pathInAnyCase(dialect.path)
  scope.route({
    method: ['GET', 'POST'],
    url,
    exposeHeadRoute: false,
    onRequest: claimForm,
    onSend: returnClaim,
    handler: async (request, reply) => {
      const fields = await readFields(request)
      const client = await authenticateRequest(scope, authenticateClient, request, reply, fields)
      request[clientId] = client.id
      const token = await grantToken(tools, client, dialect.read(fields))
      logSignIn(request, reply, dialect, token)
      return send(reply, dialect.write(token))
    },
  })
  scope.route({
    method: scope.supportedMethods.filter((method) => method !== 'GET' && method !== 'POST'),
    url,
    onRequest: refuseMethod,
    handler: refuseMethod,
  })
}

const clientId = Symbol('client id')

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asked, once that is proven; only inside the token server's own scopes. */
    [clientId]: string | undefined
    /** What the content-type header said; only inside the token server's own scopes. */
    [claimedType]: string | undefined
  }
}

const claimedType = Symbol('content type as claimed')

/** The published example sends a form under a JSON header, so the header is not asked what the body is. */
async function claimForm(request: FastifyRequest): Promise<void> {
  request[claimedType] = request.raw.headers['content-type']
  request.raw.headers['content-type'] = 'application/x-www-form-urlencoded'
}

/** Whatever of the host looks at the request afterwards sees it as it was sent. */
async function returnClaim(request: FastifyRequest): Promise<void> {
  request.raw.headers['content-type'] = request[claimedType]
}

async function refuseMethod(): Promise<never> {
  const headers = { allow: 'GET, POST' }
  throw new OAuthError('invalid_request', 'Use POST, or GET with a body.', { status: 405, headers })
}

async function readFields(request: FastifyRequest): Promise<Fields> {
  const parsed = request.body as { form: Fields | OAuthError } | undefined // what our parser returned
  const form = request.method === 'GET' ? await readFormOf(request.raw) : (parsed?.form ?? new Map())
  if (form instanceof OAuthError) throw form
  return form
}

function send(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  return reply
    .code(status)
    .headers({ 'cache-control': 'no-store', pragma: 'no-cache', ...headers })
    .send(body)
}

function logSignIn(request: FastifyRequest, reply: FastifyReply, dialect: Dialect, token: IssuedToken): void {
  request.log.info(
    {
      event: 'sign-in',
      userId: token.userId,
      client: token.clientId,
      dialect: dialect.name,
      durationMs: duration(reply),
      address: request.ip,
    },
    'signed in',
  )
}

function duration(reply: FastifyReply): number {
  return Math.round(reply.elapsedTime)
}
