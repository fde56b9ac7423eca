import { OAuthError } from '../errors.ts'
import { FairQueue, PlainQueue } from './fair-queue.ts'

/** The source of a hash request, by which the queue takes turns. */
export interface HashPlace {
  /** The client of the request. */
  readonly client: string
  /** The network of the request. */
  readonly network: string
  /** Aborts when the caller disconnects. */
  readonly signal?: AbortSignal | undefined
}

/** The place of hashes without a request, for example those of commands and renewals. */
export const nobody: HashPlace = { client: '', network: '' }

/** The limits of the hash queue. */
export interface HashQueueOptions {
  /** Maximum number of hashes that run at the same time. */
  readonly concurrency: number
  /** Maximum number of waiting hashes. One more causes a 503. */
  readonly queueLimit: number
  /** Maximum wait in seconds. A hash that is expected to wait for more than half of it gets a 503 at once. */
  readonly queueSeconds: number
}

/**
 * Queues argon2 hashes. It runs `concurrency` of them at the same time, since more would be slower and each needs memory.
 * Clients take turns, and so do the networks of each client. A caller that would wait too long is refused at once. When the
 * queue is full, it drops the latest hash of the client and network with the most waiting hashes.
 */
export class HashQueue {
  readonly #options: HashQueueOptions
  readonly #waiting = new FairQueue<Waiting>(() => new FairQueue(() => new PlainQueue()))
  #running = 0
  #hashSeconds = 0 // moving average

  constructor(options: HashQueueOptions) {
    this.#options = options
  }

  /**
   * Runs `job` when its turn comes. Rejects with OAuthError without running it: `temporarily_unavailable` if too many hashes
   * wait or the wait is too long, `invalid_request` if the caller has disconnected.
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

  /** Throws the refusal that `run` would give now. Call it before spending other work on a request. */
  requireRoom({ client, network, signal }: HashPlace): void {
    const { concurrency, queueLimit, queueSeconds } = this.#options
    if (signal?.aborted) throw refuseHungUp()
    if (this.#running < concurrency) return
    const path = [client, network]
    if (this.#secondsFor(this.#waiting.estimatePlace(path)) > queueSeconds / 2)
      throw this.#refuseForNow('the wait for a hash is too long')
    if (this.#waiting.size() >= queueLimit && this.#waiting.givesWay(path)) throw this.#refuseForNow('hash queue full')
  }

  /** Estimates how many milliseconds the waiting jobs will take. */
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

/** A waiting job. `settle` is called once: without an error when its turn comes, with one when the job is refused. */
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
