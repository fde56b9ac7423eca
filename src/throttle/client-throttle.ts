import type { Query } from '../database/database.ts'
import { keyedHash } from '../secrets.ts'
import { createFailureCount, type WaitOptions } from './failure-count.ts'
import type { FindNetworkKey } from './network-key.ts'

/** Decides whose client secrets are looked at. */
export interface ClientThrottle {
  /**
   * Runs a check of a secret, by what the request calls its client, whether there is one or not; a check that rejects as
   * `isFailure` says counts as failed. Throws OAuthError `slow_down` while a wait runs.
   */
  check<T>(id: string, network: string, check: () => Promise<T>, isFailure: (error: unknown) => boolean): Promise<T>
}

/** Lets every client try as often as it likes. */
export const noClientThrottle: ClientThrottle = { check: (_id, _network, check) => check() }

/**
 * Counts wrong client secrets by client and network together. Secrets of 256 bits need no throttle and clients ask often,
 * so a server hears of a wait that another one began with its first wrong secret, and a right one costs no question.
 */
export function createClientThrottle(query: Query, findKey: FindNetworkKey, options: WaitOptions): ClientThrottle {
  const failures = createFailureCount(options)
  return {
    check: async (id, network, check, isFailure) => {
      const key = keyedHash(await findKey(), `client\n${id}\n${network}`)
      failures.requireNoWait(key)
      const checked = await check().catch(async (error: unknown) => {
        if (isFailure(error)) await failures.countFailure(query, key)
        throw error
      })
      failures.requireNoWait(key) // so many sent at once gain nothing
      if (failures.hasFailed(key)) await failures.forgetFailures(query, key)
      return checked
    },
  }
}
