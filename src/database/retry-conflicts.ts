import { setTimeout as sleep } from 'node:timers/promises'
import { isConflict, isStale } from './to-outage.ts'

const maxTries = 3

/**
 * Retries work that the database rolled back because of another session: after a deadlock, a serialization failure, or a
 * migration that changed a prepared statement's tables. It tries three times in all. Random pauses keep two sessions from
 * colliding again.
 */
export async function retryConflicts<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!(isConflict(error) || isStale(error)) || tries === maxTries) throw error
    }
    await sleep(Math.random() * 50 * tries)
  }
}
