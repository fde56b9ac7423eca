import { LRUCache } from 'lru-cache'
import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'

/** The waits after failures. */
export interface WaitOptions {
  /** Failures without a wait after them but the last one's, which is a second; each more doubles it. */
  readonly freeAttempts: number
  readonly longestWaitSeconds: number
  /** Without a failure for so long, what was is forgotten. */
  readonly forgetSeconds: number
}

/** Failures in PostgreSQL, so that all servers share them, and the waits that this process has heard of. */
export interface FailureCount {
  /** Throws OAuthError `slow_down` while a wait runs of which this process has heard: no question to the database. */
  requireNoWait(key: string): void
  /** Remembers that a wait has so many seconds to run. */
  noteWait(key: string, seconds: number): void
  /** Counts a failure. Throws OAuthError `slow_down` instead while a wait runs, whatever server began it. */
  countFailure(key: string): Promise<void>
  /** Waits until what this process is counting for a key has been counted, and then as `requireNoWait`. */
  settleFailures(key: string): Promise<void>
  /** Forgets them, everywhere. */
  forgetFailures(key: string): Promise<void>
}

/** How many keys a process remembers something about; who is forgotten is asked for in the database again. */
export const mostKeys = 20_000

/**
 * Counts failures by key. Those of one key are counted one after the other, and whoever stands behind the one that begins
 * a wait is refused from memory: a flood costs the database as many statements as there are free attempts, and the
 * refusal of a right one comes no sooner than that of a wrong one.
 */
export function createFailureCount(query: Query, options: WaitOptions): FailureCount {
  const { freeAttempts, longestWaitSeconds, forgetSeconds } = options
  const waits = new LRUCache<string, number>({ max: mostKeys })
  const underWay = new Map<string, Promise<void>>()

  function noteWait(key: string, seconds: number): void {
    if (seconds > 0) waits.set(key, performance.now() + seconds * 1_000, { ttl: Math.ceil(seconds * 1_000) })
  }

  function requireNoWait(key: string): void {
    const secondsLeft = ((waits.get(key) ?? 0) - performance.now()) / 1_000
    if (secondsLeft > 0) throw refuseForNow(secondsLeft)
  }

  async function count(key: string): Promise<void> {
    requireNoWait(key)
    const values = [key, freeAttempts, longestWaitSeconds, forgetSeconds]
    const [row] = await query<{ isCounted: boolean; waitSeconds: number | null }>('count_failure', countText, values)
    const { isCounted = false, waitSeconds = null } = row ?? {}
    noteWait(key, waitSeconds ?? 0)
    if (!isCounted) throw refuseForNow(waitSeconds ?? 0)
  }

  return {
    requireNoWait,
    noteWait,
    countFailure: (key) => {
      const counted = (underWay.get(key) ?? Promise.resolve()).then(() => count(key))
      const settled = counted.catch(passOutage).finally(() => {
        if (underWay.get(key) === settled) underWay.delete(key)
      })
      settled.catch(() => undefined) // heard by whoever stands behind
      underWay.set(key, settled)
      return counted
    },
    settleFailures: async (key) => {
      await underWay.get(key)
      requireNoWait(key)
    },
    forgetFailures: async (key) => {
      await query('forget_failures', 'delete from password_grant.failures where key = $1', [key])
      waits.delete(key)
    },
  }
}

/** An outage is everybody's who stands behind; whoever is slowed down holds nobody up. */
function passOutage(error: unknown): void {
  if (!(error instanceof OAuthError && error.code === 'slow_down')) throw error
}

// by the clock and not by the transaction's beginning: who waited for the row is judged by what stands there then
const countText = `
with counted as (
  insert into password_grant.failures as f (key, count, failed_at, wait_until)
  values ($1, 1, clock_timestamp(), clock_timestamp() + password_grant.wait_after(1, $2, $3))
  on conflict (key) do update
  set (count, failed_at, wait_until) = (
    select number, clock_timestamp(), clock_timestamp() + password_grant.wait_after(number, $2, $3)
    from (
      select case when f.failed_at > clock_timestamp() - make_interval(secs => $4) then f.count + 1 else 1 end
    ) failure (number)
  )
  where f.wait_until is null or f.wait_until <= clock_timestamp()
  returning coalesce(extract(epoch from wait_until - clock_timestamp()), 0)::float8 as seconds
)
select true as "isCounted", seconds as "waitSeconds" from counted
union all
select false, extract(epoch from wait_until - clock_timestamp())::float8
from password_grant.failures
where key = $1 and not exists (select from counted)`

/** The refusal of whoever has to wait. */
export function refuseForNow(seconds: number): OAuthError {
  return new OAuthError('slow_down', 'Too many attempts.', {
    reason: 'too many failed attempts',
    retryAfterSeconds: Math.max(1, Math.ceil(seconds)),
  })
}
