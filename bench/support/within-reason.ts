import { setTimeout as sleep } from 'node:timers/promises'

/** Rejects when a signal asks this process to end. */
export const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => reject(new Error(`interrupted by ${signal}`)))
  }
})
interrupted.catch(() => undefined) // reported by the work that runs

/** Waits for work. Rejects if it takes longer than `seconds`, or if this process is asked to end. */
export async function withinReason<T>(name: string, work: Promise<T>, seconds: number): Promise<T> {
  const timer = new AbortController()
  const late = sleep(seconds * 1_000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${name} took longer than ${seconds} seconds`)
  })
  try {
    return await Promise.race([work, late, interrupted])
  } finally {
    late.catch(() => undefined)
    timer.abort()
  }
}
