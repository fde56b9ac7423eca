import type { FastifyReply, FastifyRequest } from 'fastify'
import { refuseClient } from '../clients/client.ts'
import { OAuthError } from '../errors.ts'
import type { OfRequest, Refusal } from '../events.ts'
import { refuseLength } from './body.ts'
import { showAddress } from './network.ts'

/** Anything thrown → the one error type. What nobody foresaw is `server_error`, its cause for the log only. */
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

/** Describes the request that causes an event; `address` is given where it is not the address the request came from. */
export function describeOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  place: OfRequest['place'],
  address = request.ip,
): OfRequest {
  return { requestId: request.id, address: showAddress(address), durationMs: Math.round(reply.elapsedTime), place }
}

/** Describes a refusal for its event; `client` is known where the request was refused after the client. */
export function describeRefusal(error: OAuthError, origin: OfRequest, client?: string): Refusal {
  const { code, status, reason = error.description, userId, isOverload } = error
  return { code, status, reason, userId, clientId: client ?? error.clientId, isOverload, ...origin }
}
