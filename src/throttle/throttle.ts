import type { Query } from '../database/database.ts'
import { type ClientThrottle, createClientThrottle, noClientThrottle } from './client-throttle.ts'
import type { FindNetworkKey } from './network-key.ts'
import {
  createSignInThrottle,
  noSignInThrottle,
  type SignInThrottle,
  type SignInThrottleOptions,
} from './sign-in-throttle.ts'

/** Every number of the throttle. */
export type ThrottleOptions = SignInThrottleOptions

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

/** The limits on guesses, for users and for clients. */
export interface Throttle {
  readonly signIns: SignInThrottle
  readonly clients: ClientThrottle
  /** Deletes expired rows (networks, failures, guesses) until aborted. */
  purge(signal: AbortSignal): Promise<void>
}

/**
 * Creates one throttle for all dialects and clients of a server, and for all servers of a database. `false` limits nothing.
 * Throws TypeError for a number that is out of range.
 */
export function createThrottle(query: Query, findKey: FindNetworkKey, options: ThrottleOptions | false): Throttle {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isInteger(value) || value < 1) throw new TypeError(`throttle.${name} is a whole number of at least 1.`)
  }
  const { forgetSeconds, strangersSeconds, knownNetworkDays } = options || defaultThrottleOptions
  return {
    signIns: options ? createSignInThrottle(query, findKey, options) : noSignInThrottle,
    clients: options ? createClientThrottle(query, findKey, options) : noClientThrottle,
    purge: async (signal) => {
      const removals = [
        deleteExpired(query, signal, knownNetworkDays, purgeNetworks),
        deleteExpired(query, signal, forgetSeconds, purgeFailures),
        deleteExpired(query, signal, strangersSeconds, purgeGuesses),
        deleteExpired(query, signal, strangersSeconds, purgeNames),
      ]
      const [failed] = (await Promise.allSettled(removals)).filter(({ status }) => status === 'rejected')
      if (failed && 'reason' in failed) throw failed.reason
    },
  }
}

const maxAtOnce = 50_000

/** Deletes in parts: under attack there may be millions of rows, and no statement may take long. */
async function deleteExpired(query: Query, signal: AbortSignal, age: number, removal: Removal): Promise<void> {
  for (let count = maxAtOnce; count === maxAtOnce && !signal.aborted; ) {
    const [removed] = await query<{ count: number }>(removal.name, removal.text, [age, maxAtOnce])
    count = removed?.count ?? 0
  }
}

interface Removal {
  readonly name: string
  readonly text: string
}

/** Skips rows that another session is counting in: they have not expired. */
const writeRemoval = (name: string, table: string, isOver: string): Removal => ({
  name,
  text: `
with removed as (
  delete from password_grant.${table}
  where key = any (array(
    select key from password_grant.${table} where ${isOver} limit $2 for update skip locked
  ))
  returning key
)
select count(*)::integer as count from removed`,
})

const purgeFailures = writeRemoval(
  'purge_failures',
  'failures',
  'failed_at < now() - make_interval(secs => $1) and (wait_until is null or wait_until < now())',
)
const purgeGuesses = writeRemoval(
  'purge_guesses',
  'guesses',
  'guessed_at[cardinality(guessed_at)] < now() - make_interval(secs => $1)',
)
const purgeNames = writeRemoval(
  'purge_names',
  'network_names',
  'failed_at[cardinality(failed_at)] < now() - make_interval(secs => $1)',
)
const purgeNetworks = writeRemoval(
  'purge_networks',
  'known_networks',
  'signed_in_at < now() - make_interval(days => $1)',
)
