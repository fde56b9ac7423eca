import type { Query } from '../database/database.ts'
import type { ThrottleOptions } from './throttle-options.ts'

/** Deletes expired failures, guesses and networks until aborted. Throws OAuthError `temporarily_unavailable`. */
export async function purgeAttempts(query: Query, options: ThrottleOptions, signal: AbortSignal): Promise<void> {
  const { forgetSeconds, strangersSeconds, knownNetworkDays } = options
  const removals = [
    deleteExpired(query, signal, knownNetworkDays, purgeNetworks),
    deleteExpired(query, signal, forgetSeconds, purgeFailures),
    deleteExpired(query, signal, strangersSeconds, purgeGuesses),
    deleteExpired(query, signal, strangersSeconds, purgeNames),
  ]
  const [failed] = (await Promise.allSettled(removals)).filter(({ status }) => status === 'rejected')
  if (failed && 'reason' in failed) throw failed.reason
}

const maxAtOnce = 50_000

/** Deletes in batches, since an attack may leave millions of rows and no statement must take long. */
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

/** Writes a statement that deletes expired rows. It skips locked rows: a session that counts in a row is renewing it. */
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
