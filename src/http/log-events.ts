import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Event, OfRequest, Refusal } from '../events.ts'
import { createBoundedLog, overload, type WriteCausedLine } from './bounded-log.ts'
import { showAddress } from './network.ts'

/** Tells the log and the reader of the host about an event of a request. */
export type EmitFrom = (event: Event, from: LogContext) => void

/** The log of the request, and the error beneath a refusal, which only the log is told. */
export interface LogContext {
  readonly log: FastifyBaseLogger
  readonly cause?: unknown
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

/** Creates the reader of events that writes the log: one line for each, in the log's words. */
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

/** At `info`, for an outage at `warn` without a stack, for a fault of this program at `error` with its cause. */
function logRefusal(write: WriteCausedLine, log: FastifyBaseLogger, refusal: Refusal, cause: unknown): void {
  const { code, status, reason, userId, clientId, isOverload, durationMs, place } = refusal
  const level = isOverload || status === 503 ? 'warn' : cause === undefined ? 'info' : 'error'
  write(log, {
    level,
    event: isOverload ? overload : 'refusal', // a refusal for want of room is only counted
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
