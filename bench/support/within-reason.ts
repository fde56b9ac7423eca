import { setTimeout as sleep } from 'node:timers/promises'

/** Rejects when somebody wants this process to end. */
export const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => reject(new Error(`interrupted by ${signal}`)))
  }
})
interrupted.catch(() => undefined) // heard by what runs

/** Work that ends when it is done, when it takes longer than so many seconds, or when this process is to end. */
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
