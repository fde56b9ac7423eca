import type { Query } from '../database/database.ts'
import { type ClientThrottle, createClientThrottle, noClientThrottle } from './client-throttle.ts'
import type { FindNetworkKey } from './network-key.ts'
import {
  createPasswordThrottle,
  noPasswordThrottle,
  type PasswordThrottle,
  type PasswordThrottleOptions,
} from './password-throttle.ts'

/** Every number of the throttle. */
export type ThrottleOptions = PasswordThrottleOptions

/** Five failures are free, then 1, 2, 4 … 900 seconds; 100 guesses of strangers an hour; a network is known for 30 days. */
export const defaultThrottleOptions: ThrottleOptions = {
  freeAttempts: 5,
  longestWaitSeconds: 900,
  forgetSeconds: 3_600,
  strangersLimit: 100,
  strangersSeconds: 3_600,
  knownNetworkDays: 30,
}

/** Who has to wait before an attempt is looked at. */
export interface Throttle {
  readonly passwords: PasswordThrottle
  readonly clients: ClientThrottle
  /** Removes what counts no more: networks not signed in from for so long, and failures and guesses that are forgotten. */
  purge(): Promise<void>
}

/** One throttle for all dialects and clients of a server, and for all servers of a database. `false`: nobody waits. */
export function createThrottle(query: Query, findKey: FindNetworkKey, options: ThrottleOptions | false): Throttle {
  const { forgetSeconds, strangersSeconds, knownNetworkDays } = options || defaultThrottleOptions
  return {
    passwords: options ? createPasswordThrottle(query, findKey, options) : noPasswordThrottle,
    clients: options ? createClientThrottle(query, findKey, options) : noClientThrottle,
    purge: async () => {
      await query('purge_failures', failuresText, [forgetSeconds])
      await query('purge_guesses', guessesText, [strangersSeconds])
      await query('purge_networks', networksText, [knownNetworkDays])
    },
  }
}

const failuresText = `
delete from password_grant.failures
where failed_at < now() - make_interval(secs => $1) and (wait_until is null or wait_until < now())`

const guessesText = `
delete from password_grant.guesses where guessed_at[cardinality(guessed_at)] < now() - make_interval(secs => $1)`

const networksText = `
delete from password_grant.known_networks where signed_in_at < now() - make_interval(days => $1)`
