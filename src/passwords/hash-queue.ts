import { OAuthError } from '../errors.ts'
import { FairQueue, PlainQueue } from './fair-queue.ts'

/** For whom a hash is made. */
export interface HashPlace {
  /** The client that asks. */
  readonly client: string
  /** The network it is asked from. */
  readonly network: string
  /** Aborted when the caller has hung up. */
  readonly signal?: AbortSignal | undefined
}

/** No client and no network: the command line, and work that no request waits for. */
export const nobody: HashPlace = { client: '', network: '' }

/** How much may wait. */
export interface HashQueueOptions {
  /** Hashes at once. */
  readonly concurrency: number
  /** Hashes waiting before one is refused with 503. */
  readonly queueLimit: number
  /** Nobody waits longer. Who is likely to wait half of it is refused with 503 at once: better soon than in vain. */
  readonly queueSeconds: number
}

/**
 * The queue before argon2. It runs `concurrency` hashes at once: more are slower and cost memory each. Clients take turns, and
 * of each client the networks. A caller who would wait too long is refused at once instead of late; where too many wait, the
 * latest of those who have most waiting gives way.
 */
export class HashQueue {
  readonly #options: HashQueueOptions
  readonly #waiting = new FairQueue<Waiting>(() => new FairQueue(() => new PlainQueue()))
  #running = 0
  #hashSeconds = 0 // of late

  constructor(options: HashQueueOptions) {
    this.#options = options
  }

  /**
   * Runs `job` when its turn comes. Rejects with OAuthError and never runs it: `temporarily_unavailable` when too many
   * wait or the wait is too long, `invalid_request` when the caller has hung up.
   */
  async run<T>(place: HashPlace, job: () => Promise<T>): Promise<T> {
    this.requireRoom(place)
    if (this.#running < this.#options.concurrency) this.#running += 1
    else await this.#wait(place)
    const began = performance.now()
    try {
      return await job()
    } finally {
      const seconds = (performance.now() - began) / 1_000
      this.#hashSeconds = this.#hashSeconds === 0 ? seconds : this.#hashSeconds * 0.9 + seconds * 0.1
      this.#passTurn()
    }
  }

  /** Throws what a job would be refused with at this moment, before anything is done for it. */
  requireRoom({ client, network, signal }: HashPlace): void {
    const { concurrency, queueLimit, queueSeconds } = this.#options
    if (signal?.aborted) throw refuseHungUp()
    if (this.#running < concurrency) return
    const path = [client, network]
    if (this.#secondsFor(this.#waiting.estimatePlace(path)) > queueSeconds / 2)
      throw this.#refuseForNow('the wait for a hash is too long')
    if (this.#waiting.size() >= queueLimit && this.#waiting.givesWay(path)) throw this.#refuseForNow('hash queue full')
  }

  /** Returns how many milliseconds the jobs that wait will take. */
  findBacklogMs(): number {
    return this.#secondsFor(this.#waiting.size()) * 1_000
  }

  #wait({ client, network, signal }: HashPlace): Promise<void> {
    const { queueLimit, queueSeconds } = this.#options
    const path = [client, network]
    return new Promise<void>((resolve, reject) => {
      const leave = (error: OAuthError) => {
        this.#waiting.remove(path, entry)
        entry.settle(error)
      }
      const hangUp = () => leave(refuseHungUp())
      const timer = setTimeout(() => leave(this.#refuseForNow('waited too long for a hash')), queueSeconds * 1_000)
      const entry: Waiting = {
        settle: (error) => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', hangUp)
          if (error) reject(error)
          else resolve()
        },
      }
      signal?.addEventListener('abort', hangUp)
      this.#waiting.add(path, entry)
      if (this.#waiting.size() > queueLimit)
        this.#waiting.takeLatestOfLongest(path)?.settle(this.#refuseForNow('hash queue full'))
    })
  }

  #passTurn(): void {
    const next = this.#waiting.takeNext()
    if (next) next.settle()
    else this.#running -= 1
  }

  #secondsFor(hashes: number): number {
    return (hashes * this.#hashSeconds) / this.#options.concurrency
  }

  #refuseForNow(reason: string): OAuthError {
    return refuseWaiting(reason, this.#secondsFor(this.#waiting.size()))
  }
}

/** Someone in the queue: told once that it is their turn, or why it never is. */
interface Waiting {
  settle(error?: OAuthError): void
}

function refuseWaiting(reason: string, secondsUntilEmpty: number): OAuthError {
  return new OAuthError('temporarily_unavailable', 'Too many sign-ins are waiting. Try again shortly.', {
    reason,
    isOverload: true,
    retryAfterSeconds: Math.max(1, Math.ceil(secondsUntilEmpty)),
  })
}

function refuseHungUp(): OAuthError {
  return new OAuthError('invalid_request', 'The request was abandoned.', { reason: 'the caller has hung up' })
}
