import { LRUCache } from 'lru-cache'
import type { Token } from './token.ts'

/** A live token, as it is found. */
export type LiveToken = { readonly token: Token }

/** Until when a token is fresh, and until when it may stand in for an answer that fails; moments of `elapsedMs`. */
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
 * Keeps live tokens under the names of their values: the caller uses a fresh one without asking, and a stale one where the
 * question fails (RFC 5861 §4). It keeps one value of a token, and 20,000 tokens; the least recently used go first.
 */
export class StaleCache {
  readonly #names = new Map<string, string>() // a token's id → the name of its value
  readonly #entries = new LRUCache<string, Entry>({
    max: maxTokens,
    dispose: ({ found }) => this.#names.delete(found.token.id),
  })
  #epoch = 0

  /** Returns the token of a name while it is fresh, else null. */
  getFresh(name: string, now: number): LiveToken | null {
    const entry = this.#entries.get(name)
    return entry !== undefined && now < entry.freshUntil && entry.epoch === this.#epoch ? entry.found : null
  }

  /** Returns the token of a name while it may stand in for an answer, else null. */
  getStale(name: string, now: number): LiveToken | null {
    const entry = this.#entries.get(name)
    return entry !== undefined && now < entry.staleUntil ? entry.found : null
  }

  /** Keeps a token under the name of its value, instead of the value before. */
  set(name: string, found: LiveToken, lifetimes: Lifetimes): void {
    const { id } = found.token
    this.deleteToken(id)
    this.#entries.set(name, { found, ...lifetimes, epoch: this.#epoch })
    this.#names.set(id, name)
  }

  /** Drops what is kept under a name. */
  delete(name: string): void {
    this.#entries.delete(name)
  }

  /** Drops a token by its id. */
  deleteToken(id: string): void {
    const name = this.#names.get(id)
    if (name !== undefined) this.#entries.delete(name)
  }

  /** Ends the fresh time of every token; what is stale stays. */
  expire(): void {
    this.#epoch += 1
  }

  /** Drops every token. */
  clear(): void {
    this.#entries.clear()
  }
}
