import { type Batching, batchLookups, forSignIns } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { keyedHash } from '../secrets.ts'
import { FailureCount, type GuessBuckets, type WaitOptions } from './failure-count.ts'
import type { FindNetworkKey } from './network-key.ts'

/** Every number of the throttle. */
export interface ThrottleOptions extends WaitOptions {
  /** Guesses at one user that are checked within the window, from all networks together that are unknown to the user. */
  readonly strangersLimit: number
  /** How many of these one source may spend: an IPv4 address, or an IPv6 /48. */
  readonly strangersSourceLimit: number
  /** The window in seconds, for the three limits on guesses. */
  readonly strangersSeconds: number
  /** After how many different names failed from one network within the window it may try only names known from there. */
  readonly networkNames: number
  /** How many days a network stays known to a user after a sign-in. */
  readonly knownNetworkDays: number
}

/** Five failures are free, then 1, 2, 4 … 900 seconds; 100 guesses of strangers an hour; a network is known for 30 days. */
export const defaultThrottleOptions: ThrottleOptions = {
  freeAttempts: 5,
  longestWaitSeconds: 900,
  forgetSeconds: 3_600,
  strangersLimit: 100,
  strangersSourceLimit: 10,
  strangersSeconds: 3_600,
  networkNames: 100,
  knownNetworkDays: 30,
}

/**
 * Limits guesses at users' passwords, devices' signatures and clients' secrets. `check` an attempt before the credentials
 * are compared and once more when they were right; record the result before you answer. The throttle throws no refusal: it
 * returns seconds to wait. Its statements throw OAuthError `temporarily_unavailable` in an outage.
 */
export interface Throttle {
  /** Names an attempt at a user or a device. `nameKey` is the folded name, which need not exist. */
  signInAttempt(nameKey: string, network: string): Promise<Attempt>
  /** Names an attempt at a client's secret. The client need not exist. */
  secretAttempt(clientId: string, network: string): Promise<Attempt>
  /** Returns the seconds left of a wait that this process remembers, 0 for none. Asks no database. */
  rememberedWait(attempt: Attempt): number
  /** Finds what the database has about an attempt, once the failures that this process is counting are counted. */
  check(attempt: Attempt): Promise<AttemptState>
  /** Checks attempts in one statement, at once. */
  checkAll(attempts: readonly Attempt[]): Promise<AttemptState[]>
  /** Counts a failure. Returns more than 0 seconds where a wait began meanwhile: then keep the result from the caller. */
  recordFailure(attempt: Attempt, state?: AttemptState): Promise<number>
  /** Remembers the networks of attempts that `checkAll` allowed just before, in the transaction that issues the tokens. */
  recordSuccesses(query: Query, successes: readonly Success[]): Promise<void>
  /**
   * Clears the failures and remembers the network, in the transaction that issues the token. Returns more than 0 seconds
   * where a wait began meanwhile: then roll back.
   */
  recordLateSuccess(query: Query, success: Success): Promise<number>
  /** Clears the failures of an attempt at a secret. */
  forgetFailures(attempt: Attempt): Promise<void>
}

/** One attempt, by the keyed hashes that it is counted under. */
export interface Attempt {
  /** Of user and network, or of client and network. */
  readonly pair: string
  /** Of the user; empty for a secret. */
  readonly user: string
  /** Of the user and the IPv4 address or IPv6 /48; empty for a secret. */
  readonly source: string
  /** Of the network, under which different names are counted; empty for a secret and for an unreadable address. */
  readonly network: string
}

/** What the database has about an attempt. */
export interface AttemptState {
  /** Seconds until the next attempt is looked at; 0 when no wait runs. */
  readonly waitSeconds: number
  /** Whether the user signed in from the network lately. */
  readonly isKnown: boolean
  /** Whether there are failures to clear. */
  readonly hasFailed: boolean
  /** Whether a success changes anything: there are failures to clear, or a network to remember. */
  readonly hasNews: boolean
}

/** A user's right credentials. */
export interface Success {
  readonly attempt: Attempt
  readonly userId: string
}

const allClear: AttemptState = { waitSeconds: 0, isKnown: true, hasFailed: false, hasNews: false }
const unnamed: Attempt = { pair: '', user: '', source: '', network: '' }

/** A throttle that limits nothing, for tests and benchmarks. */
export const noThrottle: Throttle = {
  signInAttempt: async () => unnamed,
  secretAttempt: async () => unnamed,
  rememberedWait: () => 0,
  check: async () => allClear,
  checkAll: async (attempts) => attempts.map(() => allClear),
  recordFailure: async () => 0,
  recordSuccesses: async () => undefined,
  recordLateSuccess: async () => 0,
  forgetFailures: async () => undefined,
}

/**
 * Creates one throttle for all dialects and clients of a server, and for all servers of a database. `false` limits nothing.
 * Throws TypeError for a number that is out of range.
 */
export function createThrottle(
  query: Query,
  findKey: FindNetworkKey,
  options: ThrottleOptions | false,
  batching: Batching = forSignIns,
): Throttle {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isInteger(value) || value < 1) throw new TypeError(`throttle.${name} is a whole number of at least 1.`)
  }
  return options ? new DatabaseThrottle(query, findKey, options, batching) : noThrottle
}

/**
 * Counts failures by user and network together, so that failures elsewhere do not make the owner wait, and limits the
 * guesses of strangers. The database decides one guess after the other, so a burst over several servers gains nothing.
 */
class DatabaseThrottle implements Throttle {
  readonly #query: Query
  readonly #findKey: FindNetworkKey
  readonly #options: ThrottleOptions
  readonly #failures: FailureCount
  readonly #findFacts: (attempt: string) => Promise<Facts | undefined>

  constructor(query: Query, findKey: FindNetworkKey, options: ThrottleOptions, batching: Batching) {
    this.#query = query
    this.#findKey = findKey
    this.#options = options
    this.#failures = new FailureCount(query, options)
    this.#findFacts = batchLookups(async (attempts) => {
      const facts = await findFacts(query, attempts.map(readAttempt), options)
      return new Map(facts.map((found, index) => [attempts[index] ?? '', found]))
    }, batching)
  }

  async signInAttempt(nameKey: string, network: string): Promise<Attempt> {
    return new SignInAttempt(await this.#findKey(), nameKey, network)
  }

  async secretAttempt(clientId: string, network: string): Promise<Attempt> {
    return { ...unnamed, pair: keyedHash(await this.#findKey(), `client\n${clientId}\n${network}`) }
  }

  rememberedWait({ pair }: Attempt): number {
    return this.#failures.rememberedWait(pair)
  }

  async check(attempt: Attempt): Promise<AttemptState> {
    await this.#failures.settle(attempt.pair)
    const waitSeconds = this.rememberedWait(attempt)
    if (waitSeconds > 0) return { ...allClear, waitSeconds }
    return this.#judge(attempt, await this.#findFacts(writeAttempt(attempt)))
  }

  async checkAll(attempts: readonly Attempt[]): Promise<AttemptState[]> {
    await Promise.all(attempts.map(({ pair }) => this.#failures.settle(pair)))
    return this.#checkNow(this.#query, attempts)
  }

  async recordFailure(attempt: Attempt, state = allClear): Promise<number> {
    const { waitSeconds, hasRoom } = await this.#failures.count(attempt.pair, this.#findBuckets(attempt, state))
    if (waitSeconds > 0 || hasRoom) return waitSeconds
    return (await this.check(attempt)).waitSeconds || 1 // a guess may have left the window just now
  }

  recordSuccesses(query: Query, successes: readonly Success[]): Promise<void> {
    return rememberNetworks(query, successes)
  }

  async recordLateSuccess(query: Query, success: Success): Promise<number> {
    const { attempt } = success
    await this.#failures.forgetEnded(attempt.pair, query) // waits for a session that counts a failure: its result decides
    const [state = allClear] = await this.#checkNow(query, [attempt])
    if (state.waitSeconds === 0 && state.hasNews) await rememberNetworks(query, [success])
    return state.waitSeconds
  }

  async #checkNow(query: Query, attempts: readonly Attempt[]): Promise<AttemptState[]> {
    const facts = await findFacts(query, attempts, this.#options)
    return attempts.map((attempt, place) => this.#judge(attempt, facts[place]))
  }

  forgetFailures({ pair }: Attempt): Promise<void> {
    return this.#failures.forget(pair)
  }

  #judge(attempt: Attempt, facts: Facts | undefined): AttemptState {
    if (!facts) throw new Error('find_attempts returned no row')
    const { failureAge, waitSeconds, signInAge, ownAge, userAge, sourceAge, networkAge } = facts
    const { forgetSeconds, strangersSeconds, knownNetworkDays } = this.#options
    const isKnown = signInAge !== null && signInAge < knownNetworkDays * daySeconds
    const isFresh = signInAge !== null && signInAge < hourSeconds
    const hasFailed = failureAge !== null && (failureAge < forgetSeconds || waitSeconds > 0)
    const fullAges = isKnown ? [ownAge] : [userAge, sourceAge, networkAge]
    const waits = fullAges.map((age) => (age === null ? 0 : strangersSeconds - age))
    this.#failures.rememberWait(attempt.pair, Math.max(waitSeconds, ...waits))
    return {
      waitSeconds: Math.max(0, waitSeconds, ...waits),
      isKnown,
      hasFailed,
      hasNews: hasFailed || (attempt.network !== '' && !isFresh),
    }
  }

  /** A known network has an allowance of its own, and strangers cannot use it up. */
  #findBuckets({ pair, user, source, network }: Attempt, { isKnown }: AttemptState): GuessBuckets | undefined {
    const { strangersLimit, strangersSourceLimit, networkNames, strangersSeconds: windowSeconds } = this.#options
    if (user === '') return undefined
    if (isKnown) return { all: { key: pair, limit: strangersLimit }, windowSeconds }
    return {
      source: { key: source, limit: strangersSourceLimit },
      all: { key: user, limit: strangersLimit },
      names: network === '' ? undefined : { key: network, limit: networkNames },
      windowSeconds,
    }
  }
}

/** An attempt whose hashes are made when they are needed: most of a flood is refused with the first of them. */
class SignInAttempt implements Attempt {
  readonly pair: string
  readonly #hashRest: () => Omit<Attempt, 'pair'>
  #rest: Omit<Attempt, 'pair'> | null = null

  constructor(key: Buffer, nameKey: string, network: string) {
    this.pair = keyedHash(key, `pair\n${nameKey}\n${network}`)
    this.#hashRest = () => ({
      user: keyedHash(key, `user\n${nameKey}`),
      source: keyedHash(key, `source\n${nameKey}\n${sourceOf(network)}`),
      network: isUnreadable(network) ? '' : keyedHash(key, `network\n${network}`),
    })
  }

  get user(): string {
    return this.#findRest().user
  }

  get source(): string {
    return this.#findRest().source
  }

  get network(): string {
    return this.#findRest().network
  }

  #findRest(): Omit<Attempt, 'pair'> {
    this.#rest ??= this.#hashRest()
    return this.#rest
  }
}

const hourSeconds = 3_600
const daySeconds = 86_400

/** Look-ups at the same time share a statement, under their keys. */
function writeAttempt({ pair, user, source, network }: Attempt): string {
  return `${pair} ${user} ${source} ${network}`
}

function readAttempt(text: string): Attempt {
  const [pair = '', user = '', source = '', network = ''] = text.split(' ')
  return { pair, user, source, network }
}

/** The IPv4 address or IPv6 /48 of a network; each text that names no address is a source of its own. */
function sourceOf(network: string): string {
  return isUnreadable(network) ? network : network.split(':').slice(0, 3).join(':')
}

/**
 * Whether a proxy named no address. Several callers may share such a text, strangers and owner alike, so it never becomes a
 * known network and no name limit refuses it.
 */
function isUnreadable(network: string): boolean {
  return network.startsWith('?')
}

/** What the tables have under the keys of an attempt. Ages are in seconds; null means that there is no such row. */
interface Facts {
  readonly failureAge: number | null
  readonly waitSeconds: number
  /** Of the latest sign-in from the network. */
  readonly signInAge: number | null
  /** Of the oldest guess that must leave the window before the next; null while there is room. */
  readonly ownAge: number | null
  readonly userAge: number | null
  readonly sourceAge: number | null
  readonly networkAge: number | null
}

async function findFacts(query: Query, attempts: readonly Attempt[], options: ThrottleOptions): Promise<Facts[]> {
  const { strangersLimit, strangersSourceLimit, networkNames } = options
  const keys = [
    attempts.map(({ pair }) => pair),
    attempts.map(({ user }) => user),
    attempts.map(({ source }) => source),
    attempts.map(({ network }) => network),
  ]
  return query<Facts>('find_attempts', factsText, [...keys, strangersLimit, strangersSourceLimit, networkNames])
}

/** The age of the entry that must leave a list of times before the next one fits under a limit. */
const ageOfFull = (times: string, limit: string) =>
  `select extract(epoch from clock_timestamp() - ${times}[cardinality(${times}) - ${limit} + 1])::float8`

// In sub-selects, the arrays are the same to the planner in each execution: it plans the statement once for all.
const factsText = `
select
  (
    select extract(epoch from clock_timestamp() - failed_at)::float8
    from password_grant.failures where key = asked.pair
  ) as "failureAge",
  coalesce((
    select greatest(0, extract(epoch from wait_until - clock_timestamp()))::float8
    from password_grant.failures where key = asked.pair
  ), 0) as "waitSeconds",
  (
    select extract(epoch from clock_timestamp() - signed_in_at)::float8
    from password_grant.known_networks where key = asked.pair
  ) as "signInAge",
  (${ageOfFull('guessed_at', '$5::integer')} from password_grant.guesses where key = asked.pair) as "ownAge",
  (${ageOfFull('guessed_at', '$5::integer')} from password_grant.guesses where key = asked."user") as "userAge",
  (${ageOfFull('guessed_at', '$6::integer')} from password_grant.guesses where key = asked.source) as "sourceAge",
  (${ageOfFull('failed_at', '$7::integer')} from password_grant.network_names where key = asked.network) as "networkAge"
from unnest((select $1::text[]), (select $2::text[]), (select $3::text[]), (select $4::text[]))
  with ordinality as asked (pair, "user", source, network, place)
order by place`

/** Networks that stay known to one user; the newest ones. */
const maxNetworks = 100

/** Remembers where users signed in from. A text that names no address is no network. */
async function rememberNetworks(query: Query, successes: readonly Success[]): Promise<void> {
  const named = successes.filter(({ attempt }) => attempt.network !== '')
  if (named.length === 0) return
  await query(
    'remember_networks',
    `with signed_in as (
      select * from unnest((select $1::text[]), (select $2::uuid[])) as s (key, user_id)
    ), surplus as (
      delete from password_grant.known_networks
      where key in (
        select k.key
        from signed_in s
        cross join lateral (
          select key from password_grant.known_networks
          where user_id = s.user_id and key <> s.key
          order by signed_in_at desc
          offset $3
        ) k
      )
    )
    insert into password_grant.known_networks (key, user_id, signed_in_at)
    select key, user_id, clock_timestamp() from signed_in order by key
    on conflict (key) do update set user_id = excluded.user_id, signed_in_at = excluded.signed_in_at`,
    [named.map(({ attempt }) => attempt.pair), named.map(({ userId }) => userId), maxNetworks - 1],
  )
}
