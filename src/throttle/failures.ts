import type { Query } from '../database/database.ts'
import type { Attempt } from './attempt.ts'
import { nameParameters } from './name-parameters.ts'
import type { ThrottleOptions } from './throttle-options.ts'

/** What became of a failure: counted, or refused by a running wait, which is then longer than 0 seconds. */
export interface CountedFailure {
  readonly waitSeconds: number
  /** The wait that runs now, for the next attempt. */
  readonly nextWaitSeconds: number
  /** Whether the buckets had room for the guess. */
  readonly hasRoom: boolean
}

/** Seconds for a wait that ended while it was read. */
const shortestWaitSeconds = 0.001

/**
 * Counts a failure, and in the same statement the guess in its buckets: first at its source, then with all guesses at the
 * user, then its name at the network. Counts nothing while a wait runs that any server began.
 */
export async function countFailure(
  query: Query,
  attempt: Attempt,
  isKnown: boolean,
  options: ThrottleOptions,
): Promise<CountedFailure> {
  const { freeAttempts, longestWaitSeconds, forgetSeconds, strangersSeconds } = options
  const [row] = await query<CountedRow>(
    'count_failure',
    countText,
    order({
      key: attempt.subjectAndNetwork,
      freeAttempts,
      waits: listWaits(longestWaitSeconds),
      forgetSeconds,
      windowSeconds: strangersSeconds,
      ...findBuckets(attempt, isKnown, options),
    }),
  )
  const { isCounted = false, waitSeconds = null, hasRoom = false } = row ?? {}
  const nextWaitSeconds = waitSeconds ?? 0
  return { waitSeconds: isCounted ? 0 : Math.max(nextWaitSeconds, shortestWaitSeconds), nextWaitSeconds, hasRoom }
}

/** Clears failures on all servers. */
export async function clearFailures(query: Query, { subjectAndNetwork }: Attempt): Promise<void> {
  await query('clear_failures', 'delete from password_grant.failures where key = $1', [subjectAndNetwork])
}

/** Clears failures within a transaction, unless a wait runs. Waits for a session that counts another: its result decides. */
export async function clearEndedFailures(query: Query, { subjectAndNetwork }: Attempt): Promise<void> {
  await query(
    'clear_ended_failures',
    `delete from password_grant.failures
    where key = $1 and (wait_until is null or wait_until <= clock_timestamp())`,
    [subjectAndNetwork],
  )
}

/** A longer wait has no meaning, and PostgreSQL no such moment. */
const maxWaitSeconds = 2 ** 30

/** The waits in seconds from the last free failure on: 1, 2, 4 … up to the longest, which then stays. */
function listWaits(longestWaitSeconds: number): number[] {
  const longest = Math.min(longestWaitSeconds, maxWaitSeconds)
  const waits: number[] = []
  for (let wait = 1; wait < longest; wait *= 2) waits.push(wait)
  return [...waits, longest]
}

/** Where a guess is counted besides its failures, each with a limit within the window. Null stands for no bucket. */
interface GuessBuckets {
  readonly source: string | null
  readonly sourceLimit: number
  readonly all: string | null
  readonly allLimit: number
  /** Counts different names, not guesses. */
  readonly names: string | null
  readonly namesLimit: number
}

/** A known network has an allowance of its own, and strangers cannot use it up. An attempt at a client is no guess. */
function findBuckets(attempt: Attempt, isKnown: boolean, options: ThrottleOptions): GuessBuckets {
  const { subjectAndNetwork, user, userAndSource, network } = attempt
  const { strangersSourceLimit: sourceLimit, strangersLimit: allLimit, networkNames: namesLimit } = options
  const limits = { sourceLimit, allLimit, namesLimit }
  if (user === '') return { source: null, all: null, names: null, ...limits }
  if (isKnown) return { source: null, all: subjectAndNetwork, names: null, ...limits }
  return { source: userAndSource, all: user, names: network === '' ? null : network, ...limits }
}

interface CountedRow {
  readonly isCounted: boolean
  readonly waitSeconds: number | null
  readonly hasRoom: boolean
}

const { places, order } = nameParameters([
  'key',
  'freeAttempts',
  'waits',
  'forgetSeconds',
  'windowSeconds',
  'source',
  'sourceLimit',
  'all',
  'allLimit',
  'names',
  'namesLimit',
])

/** The wait after a number of failures: none while attempts are free. */
const waitAfter = (failures: string) => `make_interval(
  secs => (${places.waits}::float8[])[least(${failures} - ${places.freeAttempts} + 1, cardinality(${places.waits}::float8[]))]
)`

/** The part of a list of times that is within the window. */
const recent = (times: string) =>
  `unnest(${times}) at where at > clock_timestamp() - make_interval(secs => ${places.windowSeconds})`

/** Counts a guess under a key, up to a limit, where `condition` holds. */
const writeGuess = (key: string, limit: string, condition: string) => `
  insert into password_grant.guesses as g (key, guessed_at)
  select ${key}, array[clock_timestamp()] from failed where ${key}::text is not null and ${condition}
  on conflict (key) do update
  set guessed_at = array(select at from ${recent('g.guessed_at')} order by at) || clock_timestamp()
  where (select count(*) from ${recent('g.guessed_at')}) < ${limit}::integer
  returning key`

/** The names at a network that failed within the window, but for the one that fails now. */
const otherNames = `unnest(n.names, n.failed_at) recent (name, at)
    where at > clock_timestamp() - make_interval(secs => ${places.windowSeconds}) and name <> ${places.key}`

// clock_timestamp, not now: a statement that waited for the row judges by the time after the wait
const countText = `
with failed as (
  insert into password_grant.failures as f (key, count, failed_at, wait_until)
  values (${places.key}, 1, clock_timestamp(), clock_timestamp() + ${waitAfter('1')})
  on conflict (key) do update
  set (count, failed_at, wait_until) = (
    select number, clock_timestamp(), clock_timestamp() + ${waitAfter('number')}
    from (
      select case when f.failed_at > clock_timestamp() - make_interval(secs => ${places.forgetSeconds})
        then f.count + 1 else 1 end
    ) failure (number)
  )
  where f.wait_until is null or f.wait_until <= clock_timestamp()
  returning coalesce(extract(epoch from f.wait_until - clock_timestamp()), 0)::float8 as seconds
), at_source as (${writeGuess(places.source, places.sourceLimit, 'true')}
), at_user as (${writeGuess(places.all, places.allLimit, `(${places.source}::text is null or exists (select from at_source))`)}
), at_network as (
  insert into password_grant.network_names as n (key, names, failed_at)
  select ${places.names}, array[${places.key}], array[clock_timestamp()]
  from failed where ${places.names}::text is not null and exists (select from at_user)
  on conflict (key) do update
  set (names, failed_at) = (
    select array_agg(name order by at), array_agg(at order by at)
    from (
      select name, at from ${otherNames}
      union all
      select ${places.key}, clock_timestamp()
    ) names (name, at)
  )
  where (select count(*) from ${otherNames}) < ${places.namesLimit}::integer
  returning key
)
select true as "isCounted", seconds as "waitSeconds",
  (${places.all}::text is null or exists (select from at_user))
  and (${places.names}::text is null or exists (select from at_network)) as "hasRoom"
from failed
union all
select false, extract(epoch from wait_until - clock_timestamp())::float8, false
from password_grant.failures
where key = ${places.key} and not exists (select from failed)`
