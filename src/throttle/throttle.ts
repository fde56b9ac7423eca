import { type Batching, batchLookups, forSignIns } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { keyedHash } from '../secrets.ts'
import { type Allowance, fullAllowance } from './allowance.ts'
import { type Attempt, nameClientAttempt, nowhere, readKeys, UserAttempt, writeKeys } from './attempt.ts'
import { type AttemptState, allClear, findAttemptStates } from './attempt-state.ts'
import { type CountedFailure, clearEndedFailures, clearFailures, countFailure } from './failures.ts'
import { KeyedQueue } from './keyed-queue.ts'
import { rememberNetworks, type SignIn } from './known-networks.ts'
import { createNetworkKeyFinder, type FindNetworkKey } from './network-key.ts'
import { RateLimit } from './rate-limit.ts'
import { requireThrottleOptions, type ThrottleOptions } from './throttle-options.ts'
import { WaitMemory } from './wait-memory.ts'

export type { Attempt } from './attempt.ts'
export type { AttemptState } from './attempt-state.ts'
export type { SignIn } from './known-networks.ts'
export { defaultThrottleOptions, type ThrottleOptions } from './throttle-options.ts'

/**
 * Limits guesses at users' passwords, devices' signatures and clients' secrets, and the requests of devices. Name an
 * attempt, `check` it before the credentials are compared and once more when they were right, and `record` the result
 * before you answer. The throttle throws no refusal: it returns seconds to wait. Its statements throw OAuthError
 * `temporarily_unavailable` in an outage.
 */
export interface Throttle {
  /** Names an attempt at a user or a device. `nameKey` is the folded name, which need not exist. */
  nameUserAttempt(nameKey: string, network: string): Promise<Attempt>
  /** Names an attempt at a client's secret. The client need not exist. */
  nameClientAttempt(clientId: string, network: string): Promise<Attempt>

  /** Returns the seconds left of a wait that this process remembers, 0 for none. Asks no database. */
  checkMemory(attempt: Attempt): number
  /** Finds what the database has about an attempt, once the failures that this process is counting are counted. */
  check(attempt: Attempt): Promise<AttemptState>
  /** Checks attempts in one statement, at once. */
  checkAll(attempts: readonly Attempt[]): Promise<AttemptState[]>

  /** Counts a failure. Returns more than 0 seconds where a wait began meanwhile: then keep the result from the caller. */
  recordFailure(attempt: Attempt, state?: AttemptState): Promise<number>
  /** Clears the failures of an attempt at a client. */
  recordSuccess(attempt: Attempt): Promise<void>
  /** Remembers the networks of attempts that `checkAll` allowed just before, in the transaction that issues the tokens. */
  recordSignIns(query: Query, signIns: readonly SignIn[]): Promise<void>
  /**
   * Clears the failures and remembers the network, in the transaction that issues the token. Returns more than 0 seconds
   * where a wait began meanwhile: then roll back.
   */
  recordLateSignIn(query: Query, signIn: SignIn): Promise<number>
  /** Counts a request for a name from a network, right or wrong, of which `limit` are let in a minute. Never rejects. */
  recordRequest(name: string, network: string, limit: number): Promise<Allowance>
}

/** A throttle that limits nothing, for tests and benchmarks. */
export const noThrottle: Throttle = {
  nameUserAttempt: async () => nowhere,
  nameClientAttempt: async () => nowhere,
  checkMemory: () => 0,
  check: async () => allClear,
  checkAll: async (attempts) => attempts.map(() => allClear),
  recordFailure: async () => 0,
  recordSuccess: async () => undefined,
  recordSignIns: async () => undefined,
  recordLateSignIn: async () => 0,
  recordRequest: async (_name, _network, limit) => fullAllowance(limit),
}

/**
 * Creates one throttle for all dialects and clients of a server, and for all servers of a database that have the same
 * encryption key. `false` limits nothing. Throws TypeError for a number that is out of range.
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
 * Counts failures by user and network together, so that failures elsewhere do not make the owner wait, and limits the
 * guesses of strangers. The database decides one guess after the other, so a burst over several servers gains nothing.
 */
class DatabaseThrottle implements Throttle {
  readonly #query: Query
  readonly #findKey: FindNetworkKey
  readonly #options: ThrottleOptions
  readonly #requests: RateLimit
  readonly #waits = new WaitMemory()
  /** The failures of one key are counted one by one: a burst costs as many statements as there are free attempts. */
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
    return (await this.check(attempt)).waitSeconds || 1 // a guess may have left the window just now
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
