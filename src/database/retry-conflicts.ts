import { setTimeout as sleep } from 'node:timers/promises'
import { isConflict, isStale } from './to-outage.ts'

const maxTries = 3

/**
 * Tries again what the database has undone because of another session (a deadlock, a serialization failure, a migration
 * under a prepared statement), three times in all. The pauses are random, so that two who were in each other's way do not meet again.
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
