import { elapsedMs } from '../elapsed-clock.ts'
import { isOutage } from '../errors.ts'

/** Milliseconds between two probes during an outage. */
const pauseMs = 250
/** How long a failed look-up counts as an outage. If no caller asks for longer than this, the outage may be over. */
const awayMs = 10_000

/** Tracks from the results of look-ups whether the database is away. */
export class OutageWatch {
  #awayUntil = 0
  #isProbing = false
  #probeAgainAt = 0

  /** Tells whether the last look-up met an outage, at most ten seconds ago. */
  isAway(): boolean {
    return elapsedMs() < this.#awayUntil
  }

  /** Runs a look-up and notes whether it met an outage. Rejects as the look-up does. */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      const answer = await question()
      this.#awayUntil = 0
      return answer
    } catch (error) {
      if (isOutage(error)) this.#awayUntil = elapsedMs() + awayMs
      throw error
    }
  }

  /** Runs a look-up in the background to detect the end of the outage: one at a time, and at most four a second. */
  async probe(question: () => Promise<unknown>): Promise<void> {
    if (this.#isProbing || elapsedMs() < this.#probeAgainAt) return
    this.#isProbing = true
    await this.ask(question).catch(() => undefined) // a caller without a stale token sees the error itself
    this.#isProbing = false
    this.#probeAgainAt = elapsedMs() + pauseMs
  }

  /** Forgets the outage, so that the next caller waits for its look-up. */
  reset(): void {
    this.#awayUntil = 0
  }
}
