import { setTimeout as sleep } from 'node:timers/promises'
import { isLockTimeout } from './to-outage.ts'

const patienceMs = 60_000

/**
 * Retries work that could not get its locks in time, for a minute. A change of a table should wait briefly and often, since
 * other sessions queue behind it while it waits.
 */
export async function retryLocked<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isLockTimeout(error) || Date.now() > deadline) throw error
    }
    await sleep(200 + Math.random() * 800)
  }
}
