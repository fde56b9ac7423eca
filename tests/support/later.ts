import { vi } from 'vitest'

/** Does `work` as if the machine had been suspended for some milliseconds, which every lifetime kept in memory counts. */
export async function later<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + milliseconds })
  try {
    return await work()
  } finally {
    vi.useRealTimers()
  }
}
