import type { Query } from '../database/database.ts'
import { type Allowance, fullAllowance } from './allowance.ts'
import { type Attempt, nowhere } from './attempt.ts'
import type { SignIn } from './known-networks.ts'

export type { Attempt } from './attempt.ts'
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

/** What the throttle has about an attempt. */
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

/** The state of an attempt that nothing is known against. */
export const allClear: AttemptState = { waitSeconds: 0, isKnown: true, hasFailed: false, hasNews: false }
