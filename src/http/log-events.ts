import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Event, OfRequest, Refusal } from '../events.ts'
import { createBoundedLog, overload, type WriteCausedLine } from './bounded-log.ts'
import { showAddress } from './network.ts'

/** Sends an event of a request to the log and to the host's reader. */
export type EmitFrom = (event: Event, from: LogContext) => void

/** The log of the request, and the error that caused a refusal, which only the log gets. */
export interface LogContext {
  readonly log: FastifyBaseLogger
  readonly cause?: unknown
}

/** Describes the request that causes an event. `address` overrides the address of the request. */
export function describeOrigin(
  request: FastifyRequest,
  reply: FastifyReply,
  place: OfRequest['place'],
  address = request.ip,
): OfRequest {
  return { requestId: request.id, address: showAddress(address), durationMs: Math.round(reply.elapsedTime), place }
}

/** Creates the reader that writes one log line for each event. */
export function createEventLog(scope: FastifyInstance): EmitFrom {
  const write = createBoundedLog(scope)
  return (event, { log, cause }) => {
    switch (event.type) {
      case 'user.signed_in': {
        const { userId, clientId, place, durationMs } = event
        return log.info(
          { event: 'sign-in', userId, client: clientId, ...place, durationMs, ...writeOrigin(event) },
          'signed in',
        )
      }
      case 'user.sign_in_failed':
      case 'request.refused':
        return logRefusal(write, log, event, cause)
      case 'token.introspected_inactive': {
        const { reason, userId, clientId, place } = event
        const message = `inactive: ${reason}`
        const facts = { userId, client: clientId, ...writeOrigin(event) }
        return write(log, { level: 'info', event: 'introspection', reason, message, place, facts })
      }
      case 'token.revoked':
        return logRevocation(log, event)
      default: {
        const { type, ...facts } = event
        return log.info({ event: type, ...facts }, type)
      }
    }
  }
}

/**
 * Logs a refusal at `info`, an outage at `warn` without a stack, and a fault of this program at `error` with its cause.
 */
function logRefusal(write: WriteCausedLine, log: FastifyBaseLogger, refusal: Refusal, cause: unknown): void {
  const { code, status, reason, userId, clientId, isOverload, durationMs, place } = refusal
  const level = isOverload || status === 503 ? 'warn' : cause === undefined ? 'info' : 'error'
  write(log, {
    level,
    event: isOverload ? overload : 'refusal', // an overload is only counted
    reason,
    message: `refused: ${reason}`,
    place,
    facts: {
      code,
      userId,
      client: clientId,
      durationMs,
      ...writeOrigin(refusal),
      ...(level === 'error' ? { err: cause } : {}),
    },
  })
}

function logRevocation(log: FastifyBaseLogger, event: Event & { type: 'token.revoked' }): void {
  const { userId, by } = event
  if (by === 'operator') {
    const { device, endedTokens } = event
    log.info({ event: 'revocation', userId, device, endedTokens }, 'tokens revoked')
  } else if (by === 'client') {
    log.info({ event: 'revocation', userId, client: event.clientId, ...writeOrigin(event) }, 'token revoked')
  } else {
    log.info({ event: 'revocation', userId, seat: event.tokenId, ...writeOrigin(event) }, 'seat ended')
  }
}

function writeOrigin({ address, requestId }: OfRequest): object {
  return { address, requestId }
}
