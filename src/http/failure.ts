import type { FastifyRequest } from 'fastify'
import { refuseClient } from '../clients/authenticate-client.ts'
import { OAuthError } from '../errors.ts'
import { refuseLength } from './body.ts'

/** Anything thrown → the one error type. What nobody foresaw is `server_error`, its cause for the log only. */
export function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refuseLength()
  if (code.startsWith('FST_BASIC_AUTH_')) return refuseClient('Authorization header unreadable')
  if (code.startsWith('FST_ERR_CTP_') || code === 'ECONNRESET') {
    return new OAuthError('invalid_request', 'The body could not be read.', { reason: code })
  }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) {
    // a hook of the host said no
    return new OAuthError('invalid_request', 'The request was refused.', {
      status,
      reason: code || 'refused by a hook',
    })
  }
  return new OAuthError('server_error', 'Something went wrong here.', { reason: 'unforeseen', cause: error })
}

/** What the one log line about a refusal adds to the error's own facts. */
export interface RefusalContext {
  readonly client?: string | undefined
  readonly dialect?: string
  readonly durationMs: number
}

/** One line a refusal: at `info`, an outage at `warn` without a stack a request, a fault of ours at `error` with its cause. */
export function logRefusal(request: FastifyRequest, error: OAuthError, context: RefusalContext): void {
  const level = error.status === 503 ? 'warn' : error.cause === undefined ? 'info' : 'error'
  request.log[level](
    {
      event: 'refusal',
      code: error.code,
      reason: error.reason ?? error.description,
      userId: error.userId,
      ...context,
      address: request.ip,
      ...(level === 'error' ? { err: error.cause } : {}),
    },
    `refused: ${error.reason ?? error.description}`,
  )
}
