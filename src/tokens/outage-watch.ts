import { elapsedMs } from '../elapsed-clock.ts'
import { isOutage } from '../errors.ts'

/** Milliseconds between two questions during an outage. */
const pauseMs = 250
/** How long an outage is taken for granted: where no caller has asked for so long, it may well be over. */
const awayMs = 10_000

/** Knows from the answers to questions whether the database is away. */
export class OutageWatch {
  #awayUntil = 0
  #isProbing = false
  #probeAgainAt = 0

  /** Tells whether the last question failed on an outage, ten seconds ago at most. */
  isAway(): boolean {
    return elapsedMs() < this.#awayUntil
  }

  /** Asks and notes whether that met an outage. Rejects as the question does. */
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

  /** Asks without a caller who waits, to find out when the outage is over: one question at a time, four a second at most. */
  async probe(question: () => Promise<unknown>): Promise<void> {
    if (this.#isProbing || elapsedMs() < this.#probeAgainAt) return
    this.#isProbing = true
    await this.ask(question).catch(() => undefined) // a caller without a stale token is told
    this.#isProbing = false
    this.#probeAgainAt = elapsedMs() + pauseMs
  }

  /** Forgets the outage, so that the next question is asked with its caller waiting. */
  reset(): void {
    this.#awayUntil = 0
  }
}
