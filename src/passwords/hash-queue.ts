import { OAuthError } from '../errors.ts'
import { createLine, createTurns } from './turns.ts'

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

/** The gate before argon2. */
export interface HashQueue {
  /**
   * Runs `job` when its turn comes. Rejects with OAuthError and never runs it: `temporarily_unavailable` when too many
   * wait or the wait is too long, `invalid_request` when the caller has hung up.
   */
  <T>(place: HashPlace, job: () => Promise<T>): Promise<T>
  /** Throws what a job would be refused with at this moment, before anything is done for it. */
  requireRoom(place: HashPlace): void
  /** Returns how many milliseconds the jobs that wait will take. */
  findBacklogMs(): number
}

/**
 * Lets `concurrency` hashes run at once (more are slower and cost memory each). Clients take turns, and of
 * each client the networks. Whoever would wait too long is refused at once instead of late; where too many wait, the
 * latest of those who have most waiting gives way.
 */
export function createHashQueue({ concurrency, queueLimit, queueSeconds }: HashQueueOptions): HashQueue {
  const waiting = createTurns<Waiting>(() => createTurns(() => createLine()))
  let running = 0
  let hashSeconds = 0 // of late

  const secondsFor = (hashes: number) => (hashes * hashSeconds) / concurrency
  const refuseForNow = (reason: string) => refuseWaiting(reason, secondsFor(waiting.size()))

  function requireRoom({ client, network, signal }: HashPlace): void {
    if (signal?.aborted) throw refuseHungUp()
    if (running < concurrency) return
    const path = [client, network]
    if (secondsFor(waiting.estimatePlace(path)) > queueSeconds / 2)
      throw refuseForNow('the wait for a hash is too long')
    if (waiting.size() >= queueLimit && waiting.givesWay(path)) throw refuseForNow('hash queue full')
  }

  async function takeTurn(place: HashPlace): Promise<void> {
    requireRoom(place)
    if (running < concurrency) {
      running += 1
      return
    }
    const { client, network, signal } = place
    const path = [client, network]
    await new Promise<void>((resolve, reject) => {
      const leave = (error: OAuthError) => {
        waiting.remove(path, entry)
        entry.settle(error)
      }
      const hangUp = () => leave(refuseHungUp())
      const timer = setTimeout(() => leave(refuseForNow('waited too long for a hash')), queueSeconds * 1_000)
      const entry: Waiting = {
        settle: (error) => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', hangUp)
          if (error) reject(error)
          else resolve()
        },
      }
      signal?.addEventListener('abort', hangUp)
      waiting.add(path, entry)
      if (waiting.size() > queueLimit) waiting.takeLatestOfMost(path)?.settle(refuseForNow('hash queue full'))
    })
  }

  function passTurn(): void {
    const next = waiting.takeNext()
    if (next) next.settle()
    else running -= 1
  }

  async function inTurn<T>(place: HashPlace, job: () => Promise<T>): Promise<T> {
    await takeTurn(place)
    const began = performance.now()
    try {
      return await job()
    } finally {
      const seconds = (performance.now() - began) / 1_000
      hashSeconds = hashSeconds === 0 ? seconds : hashSeconds * 0.9 + seconds * 0.1
      passTurn()
    }
  }

  return Object.assign(inTurn, { requireRoom, findBacklogMs: () => secondsFor(waiting.size()) * 1_000 })
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
