import { LRUCache } from 'lru-cache'
import type { Query } from '../database/database.ts'

/** The waits after failures. */
export interface WaitOptions {
  /** Failures before the first wait, which lasts a second; each further failure doubles the wait. */
  readonly freeAttempts: number
  readonly longestWaitSeconds: number
  /** The count starts again after this time without a failure. */
  readonly forgetSeconds: number
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

/** What became of a failure: counted, or refused by a running wait, which is then longer than 0 seconds. */
export interface CountedFailure {
  readonly waitSeconds: number
  /** Whether the buckets had room for the guess. */
  readonly hasRoom: boolean
}

/** Seconds for a wait that ended while it was read. */
const shortestWaitSeconds = 0.001

/** How many keys a process remembers. The database answers for the others. */
const maxKeys = 20_000

/** Counts failures by key in PostgreSQL, so that all servers share them, and remembers waits in this process. */
export class FailureCount {
  readonly #query: Query
  readonly #options: WaitOptions
  readonly #waits = new LRUCache<string, number>({ max: maxKeys })
  readonly #underWay = new Map<string, Promise<unknown>>()

  constructor(query: Query, options: WaitOptions) {
    this.#query = query
    this.#options = options
  }

  /** Returns the seconds left of a wait that this process remembers, 0 for none. Asks no database. */
  rememberedWait(key: string): number {
    return Math.max(0, (this.#waits.get(key) ?? 0) - performance.now()) / 1_000
  }

  /** Remembers a wait; 0 seconds is none. */
  rememberWait(key: string, seconds: number): void {
    if (seconds > 0) this.#waits.set(key, performance.now() + seconds * 1_000, { ttl: Math.ceil(seconds * 1_000) })
  }

  /**
   * Counts a failure, and in the same statement the guess in its buckets. Counts nothing while a wait runs that any server
   * began. The failures of one key are counted one after the other: a burst costs as many statements as there are free
   * attempts. Later callers of the key also fail on an outage.
   */
  count(key: string, buckets?: GuessBuckets): Promise<CountedFailure> {
    const counted = this.settle(key).then(() => this.#count(key, buckets))
    const settled = counted.finally(() => {
      if (this.#underWay.get(key) === settled) this.#underWay.delete(key)
    })
    settled.catch(() => undefined) // the next caller in line receives it
    this.#underWay.set(key, settled)
    return counted
  }

  /** Waits for the failures that this process is counting under a key. */
  async settle(key: string): Promise<void> {
    await this.#underWay.get(key)
  }

  /** Clears the failures under a key on all servers. */
  async forget(key: string): Promise<void> {
    await this.#query('forget_failures', 'delete from password_grant.failures where key = $1', [key])
    this.#waits.delete(key)
  }

  /** Clears the failures under a key, within a transaction, unless a wait runs. Waits for a session that counts another. */
  async forgetEnded(key: string, query: Query): Promise<void> {
    await query(
      'forget_ended_failures',
      `delete from password_grant.failures
      where key = $1 and (wait_until is null or wait_until <= clock_timestamp())`,
      [key],
    )
  }

  async #count(key: string, buckets: GuessBuckets | undefined): Promise<CountedFailure> {
    const remembered = this.rememberedWait(key)
    if (remembered > 0) return { waitSeconds: remembered, hasRoom: false }
    const { freeAttempts, longestWaitSeconds, forgetSeconds } = this.#options
    const values = [key, freeAttempts, longestWaitSeconds, forgetSeconds, ...bucketValues(buckets)]
    const [row] = await this.#query<CountedRow>('count_failure', countText, values)
    const { isCounted = false, waitSeconds = null, hasRoom = false } = row ?? {}
    this.rememberWait(key, waitSeconds ?? 0)
    return { waitSeconds: isCounted ? 0 : Math.max(waitSeconds ?? 0, shortestWaitSeconds), hasRoom }
  }
}

function bucketValues(buckets: GuessBuckets | undefined): unknown[] {
  const { source, all, names, windowSeconds = 0 } = buckets ?? {}
  const pairs = [source, all, names].flatMap((bucket) => [bucket?.key ?? null, bucket?.limit ?? 0])
  return [windowSeconds, ...pairs]
}

interface CountedRow {
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

/** The wait after a number of failures: none while attempts are free, then 1 second, and twice as long with each. */
const waitAfter = (failures: string) => `
  case when ${failures} >= $2 then make_interval(secs => least($3, power(2, least(${failures} - $2, 30)))) end`

// clock_timestamp, not now: a statement that waited for the row judges by the time after the wait
const countText = `
with failed as (
  insert into password_grant.failures as f (key, count, failed_at, wait_until)
  values ($1, 1, clock_timestamp(), clock_timestamp() + ${waitAfter('1')})
  on conflict (key) do update
  set (count, failed_at, wait_until) = (
    select number, clock_timestamp(), clock_timestamp() + ${waitAfter('number')}
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
