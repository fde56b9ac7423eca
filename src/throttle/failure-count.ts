import { LRUCache } from 'lru-cache'
import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'

/** The waits after failures. */
export interface WaitOptions {
  /** Failures before the first wait, which lasts a second; each further failure doubles the wait. */
  readonly freeAttempts: number
  readonly longestWaitSeconds: number
  /** The count starts again after this time without a failure. */
  readonly forgetSeconds: number
}

/** Counts failures by key in PostgreSQL, so that all servers share them, and remembers waits in this process. */
export interface FailureCount {
  /** Throws OAuthError `slow_down` while a wait runs that this process remembers. Asks no database. */
  requireNoWait(key: string): void
  /** Remembers a wait; 0 seconds is none. */
  noteWait(key: string, seconds: number): void
  /**
   * Counts a failure, and in the same statement the guess in its buckets. Returns whether the buckets had room. Throws
   * OAuthError `slow_down` and counts nothing while a wait runs that any server began.
   */
  countFailure(key: string, buckets?: GuessBuckets): Promise<boolean>
  /** Waits for the failures that this process is counting under a key. Throws as `requireNoWait` does. */
  settleFailures(key: string): Promise<void>
  /** Clears the failures under a key on all servers. */
  forgetFailures(key: string): Promise<void>
}

/** Where a guess is counted: first at its source, then with all guesses at the user, then with its name at the network. */
export interface GuessBuckets {
  readonly source?: GuessBucket
  readonly all: GuessBucket
  /** Counts different names, not guesses. */
  readonly names?: GuessBucket | undefined
  readonly windowSeconds: number
}

/** A bucket allows `limit` guesses within the window. */
interface GuessBucket {
  readonly key: string
  readonly limit: number
}

/** How many keys a process remembers. The database answers for the others. */
const maxKeys = 20_000

/**
 * Counts the failures of one key one after the other. Later callers also fail on an outage; a `slow_down` does not block
 * them. A burst therefore costs as many statements as there are free attempts, and the refusal of a right guess comes no
 * sooner than that of a wrong one.
 */
export function createFailureCount(query: Query, options: WaitOptions): FailureCount {
  const { freeAttempts, longestWaitSeconds, forgetSeconds } = options
  const waits = new LRUCache<string, number>({ max: maxKeys })
  const underWay = new Map<string, Promise<unknown>>()

  function noteWait(key: string, seconds: number): void {
    if (seconds > 0) waits.set(key, performance.now() + seconds * 1_000, { ttl: Math.ceil(seconds * 1_000) })
  }

  function requireNoWait(key: string): void {
    const secondsLeft = ((waits.get(key) ?? 0) - performance.now()) / 1_000
    if (secondsLeft > 0) throw refuseForNow(secondsLeft)
  }

  async function count(key: string, buckets: GuessBuckets | undefined): Promise<boolean> {
    requireNoWait(key)
    const values = [key, freeAttempts, longestWaitSeconds, forgetSeconds, ...bucketValues(buckets)]
    const [row] = await query<Counted>('count_failure', countText, values)
    const { isCounted = false, waitSeconds = null, hasRoom = false } = row ?? {}
    noteWait(key, waitSeconds ?? 0)
    if (!isCounted) throw refuseForNow(waitSeconds ?? 0)
    return hasRoom
  }

  return {
    requireNoWait,
    noteWait,
    countFailure: (key, buckets) => {
      const counted = (underWay.get(key) ?? Promise.resolve()).then(() => count(key, buckets))
      const settled = counted.catch(passOutage).finally(() => {
        if (underWay.get(key) === settled) underWay.delete(key)
      })
      settled.catch(() => undefined) // the next caller in line receives it
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

function passOutage(error: unknown): void {
  if (!(error instanceof OAuthError && error.code === 'slow_down')) throw error
}

function bucketValues(buckets: GuessBuckets | undefined): unknown[] {
  const { source, all, names, windowSeconds = 0 } = buckets ?? {}
  const pairs = [source, all, names].flatMap((bucket) => [bucket?.key ?? null, bucket?.limit ?? 0])
  return [windowSeconds, ...pairs]
}

interface Counted {
  readonly isCounted: boolean
  readonly waitSeconds: number | null
  readonly hasRoom: boolean
}

/** Counts a guess under the key of one parameter, up to the limit of the next, where `condition` holds. */
const writeGuess = (key: string, limit: string, condition: string) => `
  insert into password_grant.guesses as g (key, guessed_at)
  select ${key}, array[clock_timestamp()] from failed where ${key}::text is not null and ${condition}
  on conflict (key) do update
  set guessed_at = array(
    select at from unnest(g.guessed_at) at where at > clock_timestamp() - make_interval(secs => $5) order by at
  ) || clock_timestamp()
  where (
    select count(*) from unnest(g.guessed_at) at where at > clock_timestamp() - make_interval(secs => $5)
  ) < ${limit}::integer
  returning key`

// clock_timestamp, not now: a statement that waited for the row judges by the time after the wait
const countText = `
with failed as (
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
  returning coalesce(extract(epoch from f.wait_until - clock_timestamp()), 0)::float8 as seconds
), at_source as (${writeGuess('$6', '$7', 'true')}
), at_user as (${writeGuess('$8', '$9', '($6::text is null or exists (select from at_source))')}
), at_network as (
  insert into password_grant.network_names as n (key, names, failed_at)
  select $10, array[$1], array[clock_timestamp()] from failed where $10::text is not null and exists (select from at_user)
  on conflict (key) do update
  set (names, failed_at) = (
    select array_agg(name order by at), array_agg(at order by at)
    from (
      select name, at from unnest(n.names, n.failed_at) recent (name, at)
      where at > clock_timestamp() - make_interval(secs => $5) and name <> $1
      union all
      select $1, clock_timestamp()
    ) names (name, at)
  )
  where (
    select count(*) from unnest(n.names, n.failed_at) recent (name, at)
    where at > clock_timestamp() - make_interval(secs => $5) and name <> $1
  ) < $11::integer
  returning key
)
select true as "isCounted", seconds as "waitSeconds",
  ($8::text is null or exists (select from at_user))
  and ($10::text is null or exists (select from at_network)) as "hasRoom"
from failed
union all
select false, extract(epoch from wait_until - clock_timestamp())::float8, false
from password_grant.failures
where key = $1 and not exists (select from failed)`

/** The refusal while a wait runs. */
export function refuseForNow(seconds: number): OAuthError {
  return new OAuthError('slow_down', 'Too many attempts.', {
    reason: 'too many failed attempts',
    retryAfterSeconds: Math.max(1, Math.ceil(seconds)),
  })
}
