import basicAuth from '@fastify/basic-auth'
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthenticateClient, Client } from '../clients/authenticate-client.ts'
import type { Fields, WireReply } from '../dialects/dialect.ts'
import type { OAuthError } from '../errors.ts'
import { longestBody, readForm, readTextOf } from './body.ts'
import { authenticateRequest, basicCredentials, keepBasicCredentials } from './client-auth.ts'
import { diagnose } from './diagnose.ts'
import { logRefusal, toOAuthError } from './failure.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { sendReply } from './send-reply.ts'

/** An endpoint that takes a form from a client. */
export interface FormRouteOptions {
  readonly url: string
  readonly methods: readonly ('GET' | 'POST')[]
  /** The form to send, for refusals that explain: `grant_type=password&username=...`. */
  readonly example: string
  /** What every line of the log about this endpoint says of it. */
  readonly logged: Readonly<Record<string, string>>
  readonly authenticateClient: AuthenticateClient
  readonly answer: (asked: Asked) => Promise<WireReply>
  readonly refuse: (error: OAuthError) => WireReply
}

/** What a client that proved itself asks. */
export interface Asked {
  readonly client: Client
  readonly fields: Fields
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * One endpoint in a scope of its own: method, body, client, and then what `answer` looks at, in the order in which
 * the first failure answers. Its parsers, error writer and headers touch no route of the host.
 */
export async function formRoute(scope: FastifyInstance, options: FormRouteOptions): Promise<void> {
  const { url, methods, example, logged, authenticateClient, answer, refuse } = options
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: longestBody, parser: (text) => ({ text }) })
  await scope.register(basicAuth, { validate: keepBasicCredentials, strictCredentials: false })
  scope.decorateRequest(basicCredentials, null)
  scope.decorateRequest(clientId, undefined)
  scope.decorateRequest(claimedType, undefined)
  scope.decorateRequest(bodyText, '')

  scope.setErrorHandler((thrown, request, reply) => {
    const error = diagnose(toOAuthError(thrown), { ...describeRequest(request), example })
    logRefusal(request, error, { client: request[clientId], ...logged, durationMs: Math.round(reply.elapsedTime) })
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
    return sendReply(reply.headers({ ...error.headers }), refuse(error))
  })

  scope.route({
    method: [...methods],
    url,
    exposeHeadRoute: false,
    onRequest: claimForm,
    onSend: returnClaim,
    handler: async (request, reply) => {
      request[bodyText] = await readText(request)
      const fields = readForm(request[bodyText], example)
      const client = await authenticateRequest(scope, authenticateClient, request, reply, fields)
      request[clientId] = client.id
      return sendReply(reply, await answer({ client, fields, request, reply }))
    },
  })
  refuseOtherMethods(scope, url, methods)
}

const clientId = Symbol('client id')
const claimedType = Symbol('content type as claimed')
const bodyText = Symbol('body as received')

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asked, once that is proven; only inside the token server's own scopes. */
    [clientId]: string | undefined
    /** What the content-type header said; only inside the token server's own scopes. */
    [claimedType]: string | undefined
    /** The body, unread; only inside the token server's own scopes. */
    [bodyText]: string
  }
}

/** The published example sends a form under a JSON header, so the header is not asked what the body is. */
async function claimForm(request: FastifyRequest): Promise<void> {
  request[claimedType] = request.raw.headers['content-type']
  request.raw.headers['content-type'] = 'application/x-www-form-urlencoded'
}

/** Whatever of the host looks at the request afterwards sees it as it was sent. */
async function returnClaim(request: FastifyRequest): Promise<void> {
  request.raw.headers['content-type'] = request[claimedType]
}

async function readText(request: FastifyRequest): Promise<string> {
  if (request.method === 'GET') return readTextOf(request.raw)
  return (request.body as { text: string } | undefined)?.text ?? '' // what our parser returned
}

function describeRequest(request: FastifyRequest) {
  return { text: request[bodyText], queryNames: Object.keys(request.query ?? {}), headers: request.headers }
}
