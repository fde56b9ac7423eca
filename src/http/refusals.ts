import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { refuseClient } from '../clients/client.ts'
import { OAuthError } from '../errors.ts'
import type { OfRequest } from '../events.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import { refuseLength } from './body.ts'
import { describeOrigin, type EmitFrom } from './log-events.ts'
import { sendReply } from './send-reply.ts'

/** How the endpoints of a scope refuse requests. */
export interface RefusalOptions {
  /** Turns a thrown value into a refusal. Default: `toOAuthError`. */
  readonly read?: (thrown: unknown, request: FastifyRequest) => OAuthError
  /** Reports the refusal to the log and the readers of events. */
  readonly report: (error: OAuthError, request: FastifyRequest, reply: FastifyReply) => void
  /** Returns the headers of the authentication challenge. Default: none. */
  readonly challenge?: (error: OAuthError, request: FastifyRequest) => Readonly<Record<string, string>>
  /** Writes the refusal in the form of the endpoint. */
  readonly write: (error: OAuthError, request: FastifyRequest) => WireReply
  /** Sends the written refusal. Default: `sendReply`, which forbids caching. */
  readonly send?: typeof sendReply
}

/** Makes a scope answer every error of its endpoints and hooks with a refusal. */
export function writeRefusals(scope: FastifyInstance, options: RefusalOptions): void {
  const { read = toOAuthError, report, challenge, write, send } = options
  scope.setErrorHandler((thrown, request, reply) => {
    const error = read(thrown, request)
    report(error, request, reply)
    if (challenge) reply.headers(challenge(error, request))
    sendRefusal(reply, error, write(error, request), send) // not returned, or Fastify would wait for its end
  })
}

/** Sends one refusal, with its own headers, in the form of the endpoint. */
export function sendRefusal(
  reply: FastifyReply,
  { retryAfterSeconds, headers }: OAuthError,
  words: WireReply,
  send = sendReply,
): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  return send(reply.headers({ ...headers }), words)
}

/** What an endpoint knows about the caller when it refuses. */
export interface Caller {
  /** The id of the client. */
  readonly client: string
  /** The address of the end user. */
  readonly address: string
}

/** Creates a function that emits an event for each refusal at a place. */
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

/**
 * Turns any thrown value into an OAuthError. An unforeseen error becomes `server_error`, with its cause only for the
 * log.
 */
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

/** Translates the refusal of a host's hook, which throws anything with a status, as Fastify expects. */
function fromHost(error: unknown): OAuthError | null {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? Number(error.statusCode) : 500
  const reason = 'refused by a hook of the host'
  if (status === 503)
    return new OAuthError('temporarily_unavailable', 'Try again shortly.', { reason, retryAfterSeconds: 1 })
  return status >= 400 && status < 500
    ? new OAuthError('invalid_request', 'The request was refused.', { status, reason })
    : null
}
