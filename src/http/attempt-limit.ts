import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible'
import { forSignIns } from '../database/batch-lookups.ts'
import { boundQuery } from '../database/bound-query.ts'
import type { Query } from '../database/database.ts'
import { isAway } from '../database/to-outage.ts'
import { isOutage, OAuthError } from '../errors.ts'
import { keyedHash } from '../secrets.ts'
import type { FindNetworkKey } from '../throttle/network-key.ts'
import { networkOf } from './network.ts'

/** How attempts are counted. */
export interface AttemptLimitOptions {
  readonly query: Query
  readonly findKey: FindNetworkKey
  /** Attempts a minute. */
  readonly attempts: number
  /** Whether anybody is refused. */
  readonly isOn: boolean
}

/** What is left of an allowance. */
export interface Allowance {
  readonly isExceeded: boolean
  readonly limit: number
  readonly remaining: number
  /** Whole seconds since 1970. */
  readonly resetAt: number
}

/** Counts one attempt at `name` from the network of `address`. Never rejects. */
export type CountAttempt = (name: string, address: string | undefined) => Promise<Allowance>

const windowSeconds = 60

/**
 * Counts attempts in PostgreSQL, so that all servers share the count. A name that has used up its turns is refused from
 * memory until the next minute. While the database is away the sign-in itself fails, so nothing is counted; where it is
 * slow, or too many attempts wait to be counted, an attempt is refused for a second. Expired counts are deleted once a
 * minute.
 */
export function createAttemptLimit({ query: ask, findKey, attempts, isOn }: AttemptLimitOptions): CountAttempt {
  const query = boundQuery(ask, forSignIns.maxUnderWay) // a flood of attempts leaves the other connections to sign-ins
  const window = { points: attempts, duration: windowSeconds }
  const limiter = new RateLimiterPostgres({
    ...window,
    storeClient: {
      query: async ({ name, text, values }: { name: string; text: string; values: unknown[] }) => {
        const rows = await query(name, text, values)
        return { rows, rowCount: rows.length }
      },
    },
    storeType: 'client',
    schemaName: 'password_grant',
    tableName: 'attempts',
    tableCreated: true, // by a migration
    keyPrefix: '',
    clearExpiredByTimeout: false, // it would keep rows for an hour, and anybody can invent names
    inMemoryBlockOnConsumed: attempts,
  })
  let purgedAt = Date.now()
  const purge = () => {
    if (Date.now() - purgedAt < windowSeconds * 1_000) return
    purgedAt = Date.now()
    const text = 'delete from password_grant.attempts where expire < $1'
    ask('purge_attempts', text, [purgedAt]).catch(() => undefined) // the next minute tries again
  }

  return async (name, address) => {
    purge()
    if (!isOn) return untouched(attempts)
    try {
      return describe(
        await limiter.consume(keyedHash(await findKey(), `attempt\n${name}\n${networkOf(address)}`)),
        attempts,
        false,
      )
    } catch (error) {
      if (error instanceof RateLimiterRes) return describe(error, attempts, true)
      if (isOutage(error) && !isAway(error)) return describe(new RateLimiterRes(0, 1_000), attempts, true)
      return untouched(attempts) // no database, no sign-in either
    }
  }
}

/** The allowance before any attempt. */
export function untouched(attempts: number): Allowance {
  return describe(new RateLimiterRes(attempts, windowSeconds * 1_000), attempts, false)
}

function describe({ remainingPoints, msBeforeNext }: RateLimiterRes, limit: number, isExceeded: boolean): Allowance {
  return { isExceeded, limit, remaining: remainingPoints, resetAt: Math.ceil((Date.now() + msBeforeNext) / 1_000) }
}

/** The headers such APIs tell it by. */
export function writeAllowance({ limit, remaining, resetAt }: Allowance): Record<string, string> {
  return {
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(resetAt),
  }
}

/** The refusal of an attempt too many. */
export function refuseAttempt({ resetAt }: Allowance): OAuthError {
  return new OAuthError('slow_down', 'Too many requests in this time frame.', {
    reason: 'too many attempts',
    retryAfterSeconds: Math.max(1, resetAt - Math.floor(Date.now() / 1_000)),
  })
}
