import type { FastifyInstance } from 'fastify'
import type { Dialect } from '../dialects/dialect.ts'
import { OAuthError } from '../errors.ts'
import { type Allowance, fullAllowance } from '../throttle/allowance.ts'
import type { Throttle } from '../throttle/throttle.ts'
import type { Fields } from '../wire/fields.ts'
import { type Asked, describeRequest } from './client-endpoint.ts'
import { networkOf } from './network.ts'

/**
 * Limits the requests of a scope by a field and the network. Returns a function that counts a request, and throws
 * OAuthError `slow_down` when the limit is reached. Every answer states the remaining requests. So a request that is
 * refused before it is counted is counted when its answer is sent, unless it came from a page of another site.
 */
export function limitRequests(
  scope: FastifyInstance,
  limit: RequestLimit,
  throttle: Throttle,
): (asked: Asked) => Promise<void> {
  scope.decorateRequest(isCounted, false)
  scope.addHook('onSend', async (request, reply) => {
    if (request[isCounted]) return
    const allowance =
      reply.statusCode === 403
        ? fullAllowance(limit.attempts)
        : await recordRequest(throttle, limit, describeRequest(request).fields, request.ip)
    reply.headers(writeAllowance(allowance))
  })
  return async ({ request, reply, fields }) => {
    const allowance = await recordRequest(throttle, limit, fields, request.ip)
    request[isCounted] = true
    reply.headers(writeAllowance(allowance))
    requireAllowance(allowance)
  }
}

type RequestLimit = NonNullable<Dialect['limit']>

function recordRequest(throttle: Throttle, limit: RequestLimit, fields: Fields, address: string): Promise<Allowance> {
  const { field, attempts } = limit
  return throttle.recordRequest(fields.get(field) ?? '', networkOf(address), attempts)
}

/** Writes an allowance as the usual rate-limit headers. */
function writeAllowance({ limit, remaining, resetAt }: Allowance): Record<string, string> {
  return {
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(resetAt),
  }
}

function requireAllowance({ waitSeconds }: Allowance): void {
  if (waitSeconds <= 0) return
  throw new OAuthError('slow_down', 'Too many requests in this time frame.', {
    reason: 'too many attempts',
    retryAfterSeconds: Math.ceil(waitSeconds),
  })
}

const isCounted = Symbol('request counted')

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the request has been counted. Only in scopes of a dialect with a limit. */
    [isCounted]: boolean
  }
}
