import type { Query } from '../database/database.ts'
import { type Allowance, fullAllowance } from './allowance.ts'
import { type Attempt, nowhere } from './attempt.ts'
import type { SignIn } from './known-networks.ts'

export type { Attempt } from './attempt.ts'
export type { SignIn } from './known-networks.ts'
export { defaultThrottleOptions, type ThrottleOptions } from './throttle-options.ts'

/**
 * Limits guesses at passwords, device signatures and client secrets, and the requests of devices. Name an attempt, `check` it
 * before you compare the credentials, and check it again when they are right. Record the result before you answer. The
 * throttle does not throw refusals: it returns seconds to wait. Its statements throw OAuthError `temporarily_unavailable` in
 * an outage.
 */
export interface Throttle {
  /** Creates an attempt at a user or a device. `nameKey` is the folded name. The user need not exist. */
  nameUserAttempt(nameKey: string, network: string): Promise<Attempt>
  /** Creates an attempt at a client's secret. The client need not exist. */
  nameClientAttempt(clientId: string, network: string): Promise<Attempt>

  /** Returns the seconds left of a wait that this process has cached, 0 for none. Does not ask the database. */
  checkMemory(attempt: Attempt): number
  /** Finds the state of an attempt in the database, after the failures that this process is still counting. */
  check(attempt: Attempt): Promise<AttemptState>
  /** Finds the states of several attempts in one statement, without batching. */
  checkAll(attempts: readonly Attempt[]): Promise<AttemptState[]>

  /** Counts a failure. Returns more than 0 seconds if a wait began meanwhile. Then do not tell the caller the result. */
  recordFailure(attempt: Attempt, state?: AttemptState): Promise<number>
  /** Clears the failures of an attempt at a client. */
  recordSuccess(attempt: Attempt): Promise<void>
  /** Stores the networks of attempts that `checkAll` has just allowed, in the transaction that issues the tokens. */
  recordSignIns(query: Query, signIns: readonly SignIn[]): Promise<void>
  /**
   * Clears the failures and stores the network, in the transaction that issues the token. Returns more than 0 seconds if a
   * wait began meanwhile. Then roll back.
   */
  recordLateSignIn(query: Query, signIn: SignIn): Promise<number>
  /** Counts a request for a name from a network, right or wrong. `limit` requests a minute are allowed. Never rejects. */
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

/** The state of an attempt. */
export interface AttemptState {
  /** Seconds until the next attempt is checked; 0 if no wait runs. */
  readonly waitSeconds: number
  /** Whether the user has recently signed in from the network. */
  readonly isKnown: boolean
  /** Whether there are failures to clear. */
  readonly hasFailed: boolean
  /** Whether a success has to be recorded: there are failures to clear, or a network to store. */
  readonly hasNews: boolean
}

/** The state of an attempt without failures or waits. */
export const allClear: AttemptState = { waitSeconds: 0, isKnown: true, hasFailed: false, hasNews: false }
