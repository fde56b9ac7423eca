import { OAuthError } from '../errors.ts'

/** Runs `job` when its turn comes; rejects with OAuthError `temporarily_unavailable` when too many wait. */
export type HashQueue = <T>(job: () => Promise<T>) => Promise<T>

/**
 * The gate before argon2: `concurrency` hashes at once (more is slower and costs memory each), `limit`
 * waiting in order, everyone after that is refused at once instead of late.
 */
export function createHashQueue(concurrency: number, limit: number): HashQueue {
  const waiting: (() => void)[] = []
  let running = 0

  async function takeTurn(): Promise<void> {
    if (running < concurrency) {
      running += 1
      return
    }
    if (waiting.length >= limit) throw queueIsFull()
    await new Promise<void>((resolve) => waiting.push(resolve))
  }

  function passTurn(): void {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  return async (job) => {
    await takeTurn()
    try {
      return await job()
    } finally {
      passTurn()
    }
  }
}

function queueIsFull(): OAuthError {
  return new OAuthError('temporarily_unavailable', 'Too many sign-ins are waiting. Try again shortly.', {
    reason: 'hash queue full',
    retryAfterSeconds: 1,
  })
}
