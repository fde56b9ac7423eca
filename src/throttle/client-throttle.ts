import { LRUCache } from 'lru-cache'
import type { Query } from '../database/database.ts'
import { keyedHash } from '../secrets.ts'
import { createFailureCount, mostKeys, type WaitOptions } from './failure-count.ts'
import type { FindNetworkKey } from './network-key.ts'

/** A client's secret that is to be looked at. */
export interface SecretCheck<T> {
  /** What the request calls its client, whether there is one or not. */
  readonly id: string
  readonly network: string
  /** Whether the secret is so short that somebody might guess it. */
  readonly isGuessable: boolean
  readonly check: () => Promise<T>
  /** Whether what the check rejected with says that the secret was wrong. */
  readonly isFailure: (error: unknown) => boolean
}

/** Decides whose client secrets are looked at. */
export interface ClientThrottle {
  /** Runs the check. Throws what it throws, and OAuthError `slow_down` while a wait runs. */
  check<T>(secret: SecretCheck<T>): Promise<T>
}

/** Lets every client try as often as it likes. */
export const noClientThrottle: ClientThrottle = { check: ({ check }) => check() }

/**
 * Counts wrong client secrets by client and network together: of secrets that might be guessed in the database, for all
 * servers, of longer ones in this process, since anybody can invent clients and none of it is worth a row. Clients ask
 * often: a right secret costs no question.
 */
export function createClientThrottle(query: Query, findKey: FindNetworkKey, options: WaitOptions): ClientThrottle {
  const { freeAttempts, longestWaitSeconds, forgetSeconds } = options
  const failures = createFailureCount(query, options)
  const counts = new LRUCache<string, number>({ max: mostKeys, ttl: forgetSeconds * 1_000 })

  async function countFailure(key: string, isGuessable: boolean): Promise<void> {
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    if (isGuessable) return failures.countFailure(key)
    failures.requireNoWait(key)
    if (count >= freeAttempts) failures.noteWait(key, Math.min(longestWaitSeconds, 2 ** (count - freeAttempts)))
  }

  return {
    check: async ({ id, network, isGuessable, check, isFailure }) => {
      const key = keyedHash(await findKey(), `client\n${id}\n${network}`)
      failures.requireNoWait(key)
      const checked = await check().catch(async (error: unknown) => {
        if (isFailure(error)) await countFailure(key, isGuessable)
        throw error
      })
      await failures.settleFailures(key) // so many sent at once gain nothing
      if (counts.delete(key)) await failures.forgetFailures(key).catch(() => counts.set(key, 1)) // later, where it cannot write
      return checked
    },
  }
}
