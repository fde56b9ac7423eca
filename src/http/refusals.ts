import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { refuseClient } from '../clients/client.ts'
import { OAuthError } from '../errors.ts'
import type { OfRequest } from '../events.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import { refuseLength } from './body.ts'
import { describeOrigin, type EmitFrom } from './log-events.ts'
import { sendReply } from './send-reply.ts'

/** How the endpoints of a scope refuse. */
export interface RefusalOptions {
  /** Reads what was thrown as a refusal. Default: `toOAuthError`. */
  readonly read?: (thrown: unknown, request: FastifyRequest) => OAuthError
  /** Tells the log, and the readers of events. */
  readonly report: (error: OAuthError, request: FastifyRequest, reply: FastifyReply) => void
  /** Returns the headers that say how to authenticate. Default: none. */
  readonly challenge?: (error: OAuthError, request: FastifyRequest) => Readonly<Record<string, string>>
  /** Says the refusal in the words of the endpoint. */
  readonly write: (error: OAuthError, request: FastifyRequest) => WireReply
  /** Sends these words. Default: `sendReply`, which lets no cache keep them. */
  readonly send?: typeof sendReply
}

/** Refuses every request for which an endpoint or a hook of the scope throws. */
export function writeRefusals(scope: FastifyInstance, options: RefusalOptions): void {
  const { read = toOAuthError, report, challenge, write, send } = options
  scope.setErrorHandler((thrown, request, reply) => {
    const error = read(thrown, request)
    report(error, request, reply)
    if (challenge) reply.headers(challenge(error, request))
    sendRefusal(reply, error, write(error, request), send) // returned, Fastify would wait for its end
  })
}

/** Sends one refusal: the headers that belong to it, then the words of the endpoint. */
export function sendRefusal(
  reply: FastifyReply,
  { retryAfterSeconds, headers }: OAuthError,
  words: WireReply,
  send = sendReply,
): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  return send(reply.headers({ ...headers }), words)
}

/** What is known of the caller when an endpoint refuses. */
export interface Caller {
  /** The id of the client. */
  readonly client: string
  /** The address of the end user. */
  readonly address: string
}

/** Creates the report of a place: an event for each refusal. */
export function reportTo(
  emit: EmitFrom,
  place: OfRequest['place'],
  findCaller: (request: FastifyRequest) => Caller | null = () => null,
): RefusalOptions['report'] {
  const type = 'dialect' in place ? 'user.sign_in_failed' : 'request.refused'
  return (error, request, reply) => {
    const { code, status, reason = error.description, userId, isOverload, cause } = error
    const caller = findCaller(request)
    const clientId = caller?.client ?? error.clientId
    const origin = describeOrigin(request, reply, place, caller?.address)
    emit({ type, code, status, reason, userId, clientId, isOverload, ...origin }, { log: request.log, cause })
  }
}

/** Reads anything thrown as the one error type. An unforeseen error is `server_error`; its cause is for the log only. */
export function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refuseLength()
  if (code.startsWith('FST_BASIC_AUTH_')) return refuseClient('Authorization header unreadable')
  if (code.startsWith('FST_ERR_CTP_') || code === 'ECONNRESET') {
    return new OAuthError('invalid_request', 'The body could not be read.', { reason: code })
  }
  return (
    fromHost(error) ??
    new OAuthError('server_error', 'Something went wrong here.', { reason: 'unforeseen', cause: error })
  )
}

/** A hook of the host said no, in Fastify's way: anything thrown with a status. */
function fromHost(error: unknown): OAuthError | null {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? Number(error.statusCode) : 500
  const reason = 'refused by a hook of the host'
  if (status === 503)
    return new OAuthError('temporarily_unavailable', 'Try again shortly.', { reason, retryAfterSeconds: 1 })
  return status >= 400 && status < 500
    ? new OAuthError('invalid_request', 'The request was refused.', { status, reason })
    : null
}
