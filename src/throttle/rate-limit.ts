import { LRUCache } from 'lru-cache'
import { forSignIns } from '../database/batch-lookups.ts'
import { boundQuery } from '../database/bound-query.ts'
import type { Query } from '../database/database.ts'
import { isAway } from '../database/to-outage.ts'
import { isOutage } from '../errors.ts'
import { type Allowance, fullAllowance } from './allowance.ts'

/** When the minute ends: in seconds since 1970, and by this process's monotonic clock. */
interface UsedUp {
  readonly resetAt: number
  readonly endsAt: number
}

const windowMs = 60_000
/** How many used-up keys a process caches. The database answers for the others. */
const maxKeys = 20_000

/**
 * Counts requests by key in PostgreSQL, so that all servers share the count. A minute begins with a key's first request.
 * A key that has used up its requests is refused from memory. During a database outage requests are not counted, since each
 * sign-in fails anyway. If the database is slow, or too many requests wait to be counted, a request is refused for a second.
 */
export class RateLimit {
  readonly #ask: Query
  readonly #count: Query
  readonly #usedUp = new LRUCache<string, UsedUp>({ max: maxKeys })
  #purgedAt = performance.now()

  constructor(query: Query) {
    this.#ask = query
    this.#count = boundQuery(query, forSignIns.maxUnderWay) // leaves the other connections to sign-ins
  }

  /** Counts a request. Never rejects. */
  async record(findKey: () => Promise<string>, limit: number): Promise<Allowance> {
    this.#purge()
    try {
      const key = await findKey()
      return this.#recall(key, limit) ?? (await this.#recordIn(key, limit))
    } catch (error) {
      if (isOutage(error) && !isAway(error)) return { ...fullAllowance(limit, 1), remaining: 0, waitSeconds: 1 }
      return fullAllowance(limit)
    }
  }

  #recall(key: string, limit: number): Allowance | null {
    const { resetAt = 0, endsAt = 0 } = this.#usedUp.get(key) ?? {}
    const waitSeconds = (endsAt - performance.now()) / 1_000
    return waitSeconds > 0 ? { limit, remaining: 0, resetAt, waitSeconds } : null
  }

  async #recordIn(key: string, limit: number): Promise<Allowance> {
    const [row] = await this.#count<CountedRow>('count_request', countText, [key, windowMs])
    if (!row) throw new Error('count_request returned no row')
    const { requests, resetMs, msLeft } = row
    const resetAt = Math.ceil(resetMs / 1_000)
    if (requests >= limit) this.#usedUp.set(key, { resetAt, endsAt: performance.now() + msLeft })
    const waitSeconds = requests > limit ? msLeft / 1_000 : 0
    return { limit, remaining: Math.max(0, limit - requests), resetAt, waitSeconds }
  }

  /** Deletes expired counts once a minute, since a stranger can invent any number of keys. */
  #purge(): void {
    if (performance.now() - this.#purgedAt < windowMs) return
    this.#purgedAt = performance.now()
    this.#ask('purge_requests', purgeText).catch(() => undefined) // the next minute tries again
  }
}

interface CountedRow {
  readonly requests: number
  readonly resetMs: number
  readonly msLeft: number
}

/** Milliseconds since 1970. */
const nowMs = '(extract(epoch from now()) * 1000)::bigint'

const countText = `
insert into password_grant.attempts as counted (key, points, expire)
values ($1, 1, ${nowMs} + $2)
on conflict (key) do update
set points = case when counted.expire > ${nowMs} then counted.points + 1 else 1 end,
  expire = case when counted.expire > ${nowMs} then counted.expire else excluded.expire end
returning points as requests, expire::float8 as "resetMs", (expire - ${nowMs})::float8 as "msLeft"`

const purgeText = `delete from password_grant.attempts where expire < ${nowMs}`
