import { type Batching, batchLookups, forSignIns } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { keyedHash } from '../secrets.ts'
import type { Allowance } from './allowance.ts'
import { type Attempt, nameClientAttempt, readKeys, UserAttempt, writeKeys } from './attempt.ts'
import { KeyedQueue } from './keyed-queue.ts'
import { rememberNetworks, type SignIn } from './known-networks.ts'
import { nameParameters } from './name-parameters.ts'
import { createNetworkKeyFinder, type FindNetworkKey } from './network-key.ts'
import { RateLimit } from './rate-limit.ts'
import { type AttemptState, allClear, noThrottle, type Throttle } from './throttle.ts'
import { requireThrottleOptions, type ThrottleOptions } from './throttle-options.ts'
import { WaitMemory } from './wait-memory.ts'

/**
 * Creates the throttle of a server. All dialects and clients share its counts, and so do all servers with the same database
 * and encryption key. With `false` it limits nothing. Throws TypeError for a number out of range.
 */
export function createThrottle(
  query: Query,
  encryptionKey: Buffer | undefined,
  options: ThrottleOptions | false,
  batching: Batching = forSignIns,
): Throttle {
  if (options === false) return noThrottle
  requireThrottleOptions(options)
  return new DatabaseThrottle(query, createNetworkKeyFinder(query, encryptionKey), options, batching)
}

/**
 * Counts failures for each user and network together, so that failures from other networks do not make the user wait. It
 * also limits the guesses of strangers. The database counts guesses one after the other, so spreading a burst over several
 * servers gains nothing.
 */
class DatabaseThrottle implements Throttle {
  readonly #query: Query
  readonly #findKey: FindNetworkKey
  readonly #options: ThrottleOptions
  readonly #requests: RateLimit
  readonly #waits = new WaitMemory()
  /** Counts the failures of one key one by one, so that a burst costs only as many statements as there are free attempts. */
  readonly #counting = new KeyedQueue()
  readonly #findState: (keys: string) => Promise<AttemptState | undefined>

  constructor(query: Query, findKey: FindNetworkKey, options: ThrottleOptions, batching: Batching) {
    this.#query = query
    this.#findKey = findKey
    this.#options = options
    this.#requests = new RateLimit(query)
    this.#findState = batchLookups(async (keys) => {
      const states = await findAttemptStates(query, keys.map(readKeys), options)
      return new Map(keys.map((key, place) => [key, states[place] as AttemptState])) // there is a state for each
    }, batching)
  }

  async nameUserAttempt(nameKey: string, network: string): Promise<Attempt> {
    return new UserAttempt(await this.#findKey(), nameKey, network)
  }

  async nameClientAttempt(clientId: string, network: string): Promise<Attempt> {
    return nameClientAttempt(await this.#findKey(), clientId, network)
  }

  checkMemory({ subjectAndNetwork }: Attempt): number {
    return this.#waits.left(subjectAndNetwork)
  }

  async check(attempt: Attempt): Promise<AttemptState> {
    await this.#counting.drain(attempt.subjectAndNetwork)
    const waitSeconds = this.checkMemory(attempt)
    if (waitSeconds > 0) return { ...allClear, waitSeconds }
    const state = await this.#findState(writeKeys(attempt))
    if (!state) throw new Error('an attempt has no state')
    this.#waits.remember(attempt.subjectAndNetwork, state.waitSeconds)
    return state
  }

  async checkAll(attempts: readonly Attempt[]): Promise<AttemptState[]> {
    await Promise.all(attempts.map(({ subjectAndNetwork }) => this.#counting.drain(subjectAndNetwork)))
    return this.#checkNow(this.#query, attempts)
  }

  async recordFailure(attempt: Attempt, { isKnown } = allClear): Promise<number> {
    const { waitSeconds, hasRoom } = await this.#counting.run(attempt.subjectAndNetwork, () =>
      this.#countFailure(attempt, isKnown),
    )
    if (waitSeconds > 0 || hasRoom) return waitSeconds
    return (await this.check(attempt)).waitSeconds || 1 // the window may just have made room; refuse for a second
  }

  async recordSuccess(attempt: Attempt): Promise<void> {
    await clearFailures(this.#query, attempt)
    this.#waits.forget(attempt.subjectAndNetwork)
  }

  async recordSignIns(query: Query, signIns: readonly SignIn[]): Promise<void> {
    await rememberNetworks(query, signIns)
  }

  async recordLateSignIn(query: Query, signIn: SignIn): Promise<number> {
    const { attempt } = signIn
    await clearEndedFailures(query, attempt)
    const [state = allClear] = await this.#checkNow(query, [attempt])
    if (state.waitSeconds === 0 && state.hasNews) await rememberNetworks(query, [signIn])
    return state.waitSeconds
  }

  recordRequest(name: string, network: string, limit: number): Promise<Allowance> {
    const findKey = async () => keyedHash(await this.#findKey(), `attempt\n${name}\n${network}`)
    return this.#requests.record(findKey, limit)
  }

  async #checkNow(query: Query, attempts: readonly Attempt[]): Promise<AttemptState[]> {
    const states = await findAttemptStates(query, attempts, this.#options)
    for (const [place, { subjectAndNetwork }] of attempts.entries()) {
      this.#waits.remember(subjectAndNetwork, states[place]?.waitSeconds ?? 0)
    }
    return states
  }

  async #countFailure(attempt: Attempt, isKnown: boolean): Promise<CountedFailure> {
    const waitSeconds = this.checkMemory(attempt)
    if (waitSeconds > 0) return { waitSeconds, nextWaitSeconds: waitSeconds, hasRoom: false }
    const counted = await countFailure(this.#query, attempt, isKnown, this.#options)
    this.#waits.remember(attempt.subjectAndNetwork, counted.nextWaitSeconds)
    return counted
  }
}

const hourSeconds = 3_600
const daySeconds = 86_400

/** Finds the states of attempts in one statement, in their order. */
async function findAttemptStates(
  query: Query,
  attempts: readonly Attempt[],
  options: ThrottleOptions,
): Promise<AttemptState[]> {
  const { strangersLimit: userLimit, strangersSourceLimit: sourceLimit, networkNames: namesLimit } = options
  const values = orderAsked({
    subjectsAndNetworks: attempts.map(({ subjectAndNetwork }) => subjectAndNetwork),
    users: attempts.map(({ user }) => user),
    usersAndSources: attempts.map(({ userAndSource }) => userAndSource),
    networks: attempts.map(({ network }) => network),
    userLimit,
    sourceLimit,
    namesLimit,
  })
  const counts = await query<Counts>('find_attempts', findText, values)
  return attempts.map((attempt, place) => {
    const found = counts[place]
    if (!found) throw new Error('find_attempts returned too few rows')
    return judgeAttempt(attempt, found, options)
  })
}

/** The rows of an attempt's keys. Ages are in seconds, and null if there is no row. */
interface Counts {
  readonly failureAge: number | null
  readonly waitSeconds: number
  /** The age of the latest sign-in from the network. */
  readonly signInAge: number | null
  /** The age of the guess that must leave the window before the next one is allowed; null while there is room. */
  readonly ownAge: number | null
  readonly userAge: number | null
  readonly sourceAge: number | null
  readonly networkAge: number | null
}

function judgeAttempt({ network }: Attempt, counts: Counts, options: ThrottleOptions): AttemptState {
  const { failureAge, waitSeconds, signInAge, ownAge, userAge, sourceAge, networkAge } = counts
  const { forgetSeconds, strangersSeconds, knownNetworkDays } = options
  const isKnown = signInAge !== null && signInAge < knownNetworkDays * daySeconds
  const isFresh = signInAge !== null && signInAge < hourSeconds
  const hasFailed = failureAge !== null && (failureAge < forgetSeconds || waitSeconds > 0)
  const fullAges = isKnown ? [ownAge] : [userAge, sourceAge, networkAge]
  const waits = fullAges.map((age) => (age === null ? 0 : strangersSeconds - age))
  return {
    waitSeconds: Math.max(0, waitSeconds, ...waits),
    isKnown,
    hasFailed,
    hasNews: hasFailed || (network !== '' && !isFresh),
  }
}

const { places: asked, order: orderAsked } = nameParameters([
  'subjectsAndNetworks',
  'users',
  'usersAndSources',
  'networks',
  'userLimit',
  'sourceLimit',
  'namesLimit',
])

/** Selects the age of the entry that must leave a list of times before another one fits under the limit. */
const ageOfFull = (times: string, limit: string) =>
  `select extract(epoch from clock_timestamp() - ${times}[cardinality(${times}) - ${limit}::integer + 1])::float8`

// Sub-selects hide the arrays from the planner, so that it keeps one generic plan. The limit keeps it from joining the whole
// table.
const findText = `
select
  extract(epoch from clock_timestamp() - f.failed_at)::float8 as "failureAge",
  coalesce(extract(epoch from f.wait_until - clock_timestamp()), 0)::float8 as "waitSeconds",
  (
    select extract(epoch from clock_timestamp() - signed_in_at)::float8
    from password_grant.known_networks where key = asked.subject_and_network
  ) as "signInAge",
  (
    ${ageOfFull('guessed_at', asked.userLimit)} from password_grant.guesses where key = asked.subject_and_network
  ) as "ownAge",
  (${ageOfFull('guessed_at', asked.userLimit)} from password_grant.guesses where key = asked."user") as "userAge",
  (
    ${ageOfFull('guessed_at', asked.sourceLimit)} from password_grant.guesses where key = asked.user_and_source
  ) as "sourceAge",
  (
    ${ageOfFull('failed_at', asked.namesLimit)} from password_grant.network_names where key = asked.network
  ) as "networkAge"
from unnest(
  (select ${asked.subjectsAndNetworks}::text[]), (select ${asked.users}::text[]),
  (select ${asked.usersAndSources}::text[]), (select ${asked.networks}::text[])
) with ordinality as asked (subject_and_network, "user", user_and_source, network, place)
left join lateral (
  select failed_at, wait_until from password_grant.failures where key = asked.subject_and_network limit 1
) f on true
order by place`

/** The result of counting a failure. If a wait was running, the failure is not counted and `waitSeconds` is above 0. */
interface CountedFailure {
  readonly waitSeconds: number
  /** Seconds that the next attempt has to wait. */
  readonly nextWaitSeconds: number
  /** Whether the buckets had room for the guess. */
  readonly hasRoom: boolean
}

/** Stands in for a wait that ended while the statement read it. */
const shortestWaitSeconds = 0.001

/**
 * Counts a failure and, in the same statement, the guess in its buckets: the source, then all guesses at the user, then the
 * names tried from the network. Counts nothing while a wait runs, on whichever server it began.
 */
async function countFailure(
  query: Query,
  attempt: Attempt,
  isKnown: boolean,
  options: ThrottleOptions,
): Promise<CountedFailure> {
  const { freeAttempts, longestWaitSeconds, forgetSeconds, strangersSeconds } = options
  const [row] = await query<CountedRow>(
    'count_failure',
    countText,
    orderGuess({
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
async function clearFailures(query: Query, { subjectAndNetwork }: Attempt): Promise<void> {
  await query('clear_failures', 'delete from password_grant.failures where key = $1', [subjectAndNetwork])
}

/** Clears failures within a transaction, unless a wait runs. Waits for a session that counts a failure: it may begin a wait. */
async function clearEndedFailures(query: Query, { subjectAndNetwork }: Attempt): Promise<void> {
  await query(
    'clear_ended_failures',
    `delete from password_grant.failures
    where key = $1 and (wait_until is null or wait_until <= clock_timestamp())`,
    [subjectAndNetwork],
  )
}

/** Keeps the end of a wait within the range of PostgreSQL's timestamps. */
const maxWaitSeconds = 2 ** 30

/** Lists the waits in seconds from the last free failure on: 1, 2, 4 … up to the longest one, which then repeats. */
function listWaits(longestWaitSeconds: number): number[] {
  const longest = Math.min(longestWaitSeconds, maxWaitSeconds)
  const waits: number[] = []
  for (let wait = 1; wait < longest; wait *= 2) waits.push(wait)
  return [...waits, longest]
}

/** The keys and limits of the buckets that count a guess within the window. A null key means that there is no bucket. */
interface GuessBuckets {
  readonly source: string | null
  readonly sourceLimit: number
  readonly all: string | null
  readonly allLimit: number
  /** Counts different names, not guesses. */
  readonly names: string | null
  readonly namesLimit: number
}

/** Finds the buckets of a guess. A known network has its own, which strangers cannot fill. An attempt at a client has none. */
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

const { places: guess, order: orderGuess } = nameParameters([
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

/** Computes the wait after a number of failures; null while attempts are free. */
const waitAfter = (failures: string) => `make_interval(
  secs => (${guess.waits}::float8[])[least(${failures} - ${guess.freeAttempts} + 1, cardinality(${guess.waits}::float8[]))]
)`

/** Selects the times of a list that are within the window. */
const recent = (times: string) =>
  `unnest(${times}) at where at > clock_timestamp() - make_interval(secs => ${guess.windowSeconds})`

/** Counts a guess under a key, up to the limit, if `condition` holds. */
const writeGuess = (key: string, limit: string, condition: string) => `
  insert into password_grant.guesses as g (key, guessed_at)
  select ${key}, array[clock_timestamp()] from failed where ${key}::text is not null and ${condition}
  on conflict (key) do update
  set guessed_at = array(select at from ${recent('g.guessed_at')} order by at) || clock_timestamp()
  where (select count(*) from ${recent('g.guessed_at')}) < ${limit}::integer
  returning key`

/** Selects the names that failed from a network within the window, without the one that fails now. */
const otherNames = `unnest(n.names, n.failed_at) recent (name, at)
    where at > clock_timestamp() - make_interval(secs => ${guess.windowSeconds}) and name <> ${guess.key}`

// clock_timestamp, not now: the statement may wait for a row lock, and must use the time after that
const countText = `
with failed as (
  insert into password_grant.failures as f (key, count, failed_at, wait_until)
  values (${guess.key}, 1, clock_timestamp(), clock_timestamp() + ${waitAfter('1')})
  on conflict (key) do update
  set (count, failed_at, wait_until) = (
    select number, clock_timestamp(), clock_timestamp() + ${waitAfter('number')}
    from (
      select case when f.failed_at > clock_timestamp() - make_interval(secs => ${guess.forgetSeconds})
        then f.count + 1 else 1 end
    ) failure (number)
  )
  where f.wait_until is null or f.wait_until <= clock_timestamp()
  returning coalesce(extract(epoch from f.wait_until - clock_timestamp()), 0)::float8 as seconds
), at_source as (${writeGuess(guess.source, guess.sourceLimit, 'true')}
), at_user as (${writeGuess(guess.all, guess.allLimit, `(${guess.source}::text is null or exists (select from at_source))`)}
), at_network as (
  insert into password_grant.network_names as n (key, names, failed_at)
  select ${guess.names}, array[${guess.key}], array[clock_timestamp()]
  from failed where ${guess.names}::text is not null and exists (select from at_user)
  on conflict (key) do update
  set (names, failed_at) = (
    select array_agg(name order by at), array_agg(at order by at)
    from (
      select name, at from ${otherNames}
      union all
      select ${guess.key}, clock_timestamp()
    ) names (name, at)
  )
  where (select count(*) from ${otherNames}) < ${guess.namesLimit}::integer
  returning key
)
select true as "isCounted", seconds as "waitSeconds",
  (${guess.all}::text is null or exists (select from at_user))
  and (${guess.names}::text is null or exists (select from at_network)) as "hasRoom"
from failed
union all
select false, extract(epoch from wait_until - clock_timestamp())::float8, false
from password_grant.failures
where key = ${guess.key} and not exists (select from failed)`
