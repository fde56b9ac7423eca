import type { Query } from '../database/database.ts'
import { gatherRows, mostForFlood } from '../database/gather-rows.ts'
import { isOutage } from '../errors.ts'
import { keyedHash } from '../secrets.ts'
import { createFailureCount, type WaitOptions } from './failure-count.ts'
import type { FindNetworkKey } from './network-key.ts'

/** Limits guesses at clients' secrets. */
export interface ClientThrottle {
  /**
   * Opens an attempt at a client, which need not exist, from a network. Throws OAuthError `slow_down` while a wait runs that
   * this process remembers, `temporarily_unavailable` when the network key must be read and the database is away.
   */
  open(clientId: string, network: string): Promise<SecretAttempt>
}

/** One attempt at a client's secret. Record its result before you answer. */
export interface SecretAttempt {
  /** Counts the failure. Throws OAuthError `slow_down` while a wait runs that any server began. */
  recordFailure(): Promise<void>
  /** Clears the failures. Throws OAuthError `slow_down` while a wait runs that any server began. */
  recordSuccess(): Promise<void>
}

/** A throttle that limits nothing, for tests and benchmarks. */
export const noClientThrottle: ClientThrottle = {
  open: async () => ({ recordFailure: async () => undefined, recordSuccess: async () => undefined }),
}

/** Counts wrong secrets by client and network together, in the database, so that all servers obey the same waits. */
export function createClientThrottle(query: Query, findKey: FindNetworkKey, options: WaitOptions): ClientThrottle {
  const failures = createFailureCount(query, options)
  const findFailures = createFailuresFinder(query, options)
  return {
    open: async (clientId, network) => {
      const key = keyedHash(await findKey(), `client\n${clientId}\n${network}`)
      failures.requireNoWait(key)
      return {
        recordFailure: async () => {
          await failures.countFailure(key)
        },
        recordSuccess: async () => {
          await failures.settleFailures(key) // a burst that holds the right secret learns nothing
          const found = await findFailures(key)
          if (!found) return
          failures.noteWait(key, found.waitSeconds)
          failures.requireNoWait(key)
          await failures.forgetFailures(key).catch(passOutage)
        },
      }
    },
  }
}

/** A database that only reads still authenticates clients; the next right secret clears the failures. */
function passOutage(error: unknown): void {
  if (!isOutage(error)) throw error
}

interface Failures {
  readonly key: string
  readonly waitSeconds: number
}

/** Finds the failures that count at this moment; look-ups at the same time share a statement. */
function createFailuresFinder(
  query: Query,
  { forgetSeconds }: WaitOptions,
): (key: string) => Promise<Failures | undefined> {
  return gatherRows(async (keys) => {
    const rows = await query<Failures>(
      'find_failures',
      `select key, greatest(0, coalesce(extract(epoch from wait_until - now()), 0))::float8 as "waitSeconds"
      from password_grant.failures
      where key = any ($1::text[]) and (failed_at > now() - make_interval(secs => $2) or wait_until > now())`,
      [keys, forgetSeconds],
    )
    return new Map(rows.map((row) => [row.key, row]))
  }, mostForFlood)
}
