import { LRUCache } from 'lru-cache'
import type { Token } from './token.ts'

/** A live token, in the shape that a look-up returns. */
export type LiveToken = { readonly token: Token }

/** How long a token is fresh, and how long it may replace a failed look-up; both by the clock `elapsedMs`. */
export interface Lifetimes {
  readonly freshUntil: number
  readonly staleUntil: number
}

interface Entry extends Lifetimes {
  readonly found: LiveToken
  readonly epoch: number
}

const maxTokens = 20_000

/**
 * Caches live tokens by the hashes of their values. The caller uses a fresh token without a look-up, and a stale one if the
 * look-up fails (RFC 5861 §4). It keeps one value for each token and at most 20,000 tokens, and evicts the least recently
 * used one.
 */
export class StaleCache {
  readonly #names = new Map<string, string>() // from a token's id to the hash of its value
  readonly #entries = new LRUCache<string, Entry>({
    max: maxTokens,
    dispose: ({ found }) => this.#names.delete(found.token.id),
  })
  #epoch = 0

  /** Returns the token of a value's hash while it is fresh, else null. */
  getFresh(name: string, now: number): LiveToken | null {
    const entry = this.#entries.get(name)
    return entry !== undefined && now < entry.freshUntil && entry.epoch === this.#epoch ? entry.found : null
  }

  /** Returns the token of a value's hash while it may replace a failed look-up, else null. */
  getStale(name: string, now: number): LiveToken | null {
    const entry = this.#entries.get(name)
    return entry !== undefined && now < entry.staleUntil ? entry.found : null
  }

  /** Caches a token by the hash of its value. Replaces an earlier value of the same token. */
  set(name: string, found: LiveToken, lifetimes: Lifetimes): void {
    const { id } = found.token
    this.deleteToken(id)
    this.#entries.set(name, { found, ...lifetimes, epoch: this.#epoch })
    this.#names.set(id, name)
  }

  /** Drops the token of a value's hash. */
  delete(name: string): void {
    this.#entries.delete(name)
  }

  /** Drops a token by its id. */
  deleteToken(id: string): void {
    const name = this.#names.get(id)
    if (name !== undefined) this.#entries.delete(name)
  }

  /** Ends the fresh time of every token. Stale tokens stay. */
  expire(): void {
    this.#epoch += 1
  }

  /** Drops every token. */
  clear(): void {
    this.#entries.clear()
  }
}
