import { LRUCache } from 'lru-cache'

/** How many keys a process remembers. The database answers for the others. */
const maxKeys = 20_000

/** Remembers waits by key in this process, so that a flood during a wait asks no database. */
export class WaitMemory {
  readonly #ends = new LRUCache<string, number>({ max: maxKeys })

  /** Returns the seconds that are left of a wait, 0 for none. */
  left(key: string): number {
    return Math.max(0, (this.#ends.get(key) ?? 0) - performance.now()) / 1_000
  }

  /** Remembers a wait; 0 seconds is none. */
  remember(key: string, seconds: number): void {
    if (seconds > 0) this.#ends.set(key, performance.now() + seconds * 1_000, { ttl: Math.ceil(seconds * 1_000) })
  }

  /** Forgets a wait. */
  forget(key: string): void {
    this.#ends.delete(key)
  }
}
