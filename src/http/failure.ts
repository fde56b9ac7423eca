import type { FastifyRequest } from 'fastify'
import { refuseClient } from '../clients/client.ts'
import { OAuthError } from '../errors.ts'
import { refuseLength } from './body.ts'
import { overload, type WriteCausedLine } from './bounded-log.ts'
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

/** What the one log line about a refusal adds to the error's own facts. */
export interface RefusalContext {
  readonly client?: string | undefined
  /** Whose, where that is not the address the request came from. */
  readonly address?: string
  readonly dialect?: string
  readonly durationMs: number
}

/**
 * One line for a refusal: at `info`, for an outage at `warn` without a stack, for a fault of this program at `error` with
 * its cause. A refusal for want of room is only counted.
 */
export function logRefusal(
  write: WriteCausedLine,
  request: FastifyRequest,
  error: OAuthError,
  context: RefusalContext,
): void {
  const level = error.isOverload || error.status === 503 ? 'warn' : error.cause === undefined ? 'info' : 'error'
  const reason = error.reason ?? error.description
  write(request.log, {
    level,
    event: error.isOverload ? overload : 'refusal',
    reason,
    message: `refused: ${reason}`,
    facts: {
      code: error.code,
      userId: error.userId,
      ...context,
      client: context.client ?? error.clientId,
      address: showAddress(context.address ?? request.ip),
      ...(level === 'error' ? { err: error.cause } : {}),
    },
  })
}
