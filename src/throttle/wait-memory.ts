import { LRUCache } from 'lru-cache'

/** How many keys a process caches. The database answers for the others. */
const maxKeys = 20_000

/** Caches waits by key in this process, so that a flood during a wait costs no queries. */
export class WaitMemory {
  readonly #ends = new LRUCache<string, number>({ max: maxKeys })

  /** Returns the seconds left of a wait, 0 for none. */
  left(key: string): number {
    return Math.max(0, (this.#ends.get(key) ?? 0) - performance.now()) / 1_000
  }

  /** Caches a wait. Does nothing for 0 seconds. */
  remember(key: string, seconds: number): void {
    if (seconds > 0) this.#ends.set(key, performance.now() + seconds * 1_000, { ttl: Math.ceil(seconds * 1_000) })
  }

  /** Drops a wait. */
  forget(key: string): void {
    this.#ends.delete(key)
  }
}
