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
  /** Removes what counts no more (networks not signed in from for so long, failures and guesses that are forgotten) until aborted. */
  purge(signal: AbortSignal): Promise<void>
}

/**
 * One throttle for all dialects and clients of a server, and for all servers of a database. `false`: nobody waits. Throws
 * TypeError for a number that cannot be one.
 */
export function createThrottle(query: Query, findKey: FindNetworkKey, options: ThrottleOptions | false): Throttle {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isInteger(value) || value < 1) throw new TypeError(`throttle.${name} is a whole number of at least 1.`)
  }
  const { forgetSeconds, strangersSeconds, knownNetworkDays } = options || defaultThrottleOptions
  return {
    passwords: options ? createPasswordThrottle(query, findKey, options) : noPasswordThrottle,
    clients: options ? createClientThrottle(query, findKey, options) : noClientThrottle,
    purge: async (signal) => {
      const removals = [
        removeAll(query, signal, 'purge_networks', networksText, knownNetworkDays),
        removeAll(query, signal, 'purge_failures', failuresText, forgetSeconds),
        removeAll(query, signal, 'purge_guesses', guessesText, strangersSeconds),
      ]
      const [failed] = (await Promise.allSettled(removals)).filter(({ status }) => status === 'rejected')
      if (failed && 'reason' in failed) throw failed.reason
    },
  }
}

const mostAtOnce = 50_000

/** A part at a time: under attack there may be millions, and no statement may take long. */
async function removeAll(query: Query, signal: AbortSignal, name: string, text: string, age: number): Promise<void> {
  for (let count = mostAtOnce; count === mostAtOnce && !signal.aborted; ) {
    const [removed] = await query<{ count: number }>(name, text, [age, mostAtOnce])
    count = removed?.count ?? 0
  }
}

/** Rows are skipped while somebody counts in them: those are not over. */
const writeRemoval = (table: string, isOver: string) => `
with removed as (
  delete from password_grant.${table}
  where key = any (array(
    select key from password_grant.${table} where ${isOver} limit $2 for update skip locked
  ))
  returning key
)
select count(*)::integer as count from removed`

const failuresText = writeRemoval(
  'failures',
  'failed_at < now() - make_interval(secs => $1) and (wait_until is null or wait_until < now())',
)
const guessesText = writeRemoval('guesses', 'guessed_at[cardinality(guessed_at)] < now() - make_interval(secs => $1)')
const networksText = writeRemoval('known_networks', 'signed_in_at < now() - make_interval(days => $1)')
