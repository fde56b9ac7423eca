import type { Database } from '../database/database.ts'
import { elapsedMs } from '../elapsed-clock.ts'
import { isOutage } from '../errors.ts'
import { nameValue } from '../secrets.ts'
import { defaultTokenOptions } from './default-token-options.ts'
import { createRowFinder, type FindToken, type FindTokenRow, type FoundToken, judgeToken } from './find-token.ts'
import { OutageWatch } from './outage-watch.ts'
import { createValueReader, type ReadValue } from './signed-value.ts'
import { type LiveToken, StaleCache } from './stale-cache.ts'
import { type StallWatch, watchStalls } from './stall-watch.ts'
import type { TokenValue } from './token-value.ts'

/** How long to cache tokens. */
export interface TokenCacheOptions {
  /** Seconds. With 0, every check asks the database. Default: 5. */
  readonly seconds?: number
  /** Seconds for which a token that the database confirmed is accepted during an outage. Default: 0, not at all. */
  readonly outageLeaseSeconds?: number
}

/** Finds tokens and caches them for a few seconds. */
export interface TokenCache {
  readonly findToken: FindToken
  /** Drops a token from the cache by its id. Call it when this process has just ended the token. */
  readonly forgetToken: (id: string) => void
}

/**
 * Creates a cache that finds tokens and keeps live ones for a few seconds. It stores hashes of values, and no refusals.
 *
 * The database announces the end of every token, and the cache drops the token within milliseconds. It caches only while its
 * LISTEN connection works. If an announcement is lost unnoticed, an ended token is accepted for at most `seconds`. After a
 * stall of the event loop longer than `endedTokenBoundMs`, it looks up every token again.
 *
 * With `outageLeaseSeconds`, a token that was live that recently is accepted while the database is away, unless its end was
 * announced.
 */
export function createTokenCache(
  database: Pick<Database, 'lookups' | 'listen'>,
  options: TokenCacheOptions = {},
): TokenCache {
  const finder = new CachedFinder(database, options)
  return { findToken: (value) => finder.findToken(value), forgetToken: (id) => finder.forgetToken(id) }
}

class CachedFinder {
  readonly #freshSeconds: number
  readonly #staleSeconds: number
  readonly #findRow: FindTokenRow
  readonly #readValue: ReadValue
  readonly #cache = new StaleCache()
  readonly #outage = new OutageWatch()
  readonly #lookUps = new Set<LookUp>()
  readonly #stallWatch: StallWatch | null
  #stallsSeen = 0
  #isListening = false

  constructor({ lookups, listen }: Pick<Database, 'lookups' | 'listen'>, options: TokenCacheOptions) {
    this.#freshSeconds = options.seconds ?? defaultTokenOptions.cacheSeconds
    this.#staleSeconds = options.outageLeaseSeconds ?? defaultTokenOptions.outageLeaseSeconds
    this.#findRow = createRowFinder(lookups)
    this.#readValue = createValueReader(lookups)
    this.#stallWatch = this.#freshSeconds > 0 || this.#staleSeconds > 0 ? watchStalls() : null
    if (this.#stallWatch === null) return
    this.#stallsSeen = this.#stallWatch.countStalls()
    listen({
      onNotice: (notice) => {
        if (notice === 'tokens') this.#dropAll()
        else if (notice.startsWith('token ')) this.forgetToken(notice.slice('token '.length))
      },
      onListening: (isListening) => {
        this.#isListening = isListening
        if (isListening)
          this.#dropAll() // announcements may have been missed
        else this.#expire()
      },
    })
  }

  async findToken(value: string): Promise<FoundToken> {
    const now = elapsedMs()
    this.#noticeStalls(now)
    const name = nameValue(value)
    const fresh = this.#cache.getFresh(name, now)
    if (fresh) return fresh
    const named = await this.#readValue(value)
    if (!named) return { ended: 'unknown' }
    const ask = () => this.#lookUp(name, named)
    return this.#staleSeconds > 0 ? this.#findStaleIfError(name, ask) : ask()
  }

  forgetToken(id: string): void {
    this.#cache.deleteToken(id)
    for (const lookUp of this.#lookUps) if (lookUp.id === id) lookUp.isOutdated = lookUp.isInDoubt = true
  }

  #dropAll(): void {
    this.#cache.clear()
    this.#expire()
  }

  #expire(): void {
    this.#cache.expire()
    for (const lookUp of this.#lookUps) lookUp.isOutdated = true
  }

  /** Expires the cache after a stall, since announcements from that time may still be unread. */
  #noticeStalls(now: number): void {
    if (this.#stallWatch === null) return
    const stalls = this.#stallWatch.countStalls(now)
    if (stalls === this.#stallsSeen) return
    this.#stallsSeen = stalls
    this.#outage.reset()
    this.#expire()
    for (const lookUp of this.#lookUps) lookUp.isInDoubt = true
  }

  /** Answers from the cache if the database is away. During a known outage, a caller with a stale token does not wait. */
  async #findStaleIfError(name: string, ask: () => Promise<FoundToken>): Promise<FoundToken> {
    const known = this.#outage.isAway() ? this.#cache.getStale(name, elapsedMs()) : null
    if (known) {
      this.#outage.probe(ask)
      return known
    }
    try {
      return await this.#outage.ask(ask)
    } catch (error) {
      const stale = isOutage(error) ? this.#cache.getStale(name, elapsedMs()) : null // read again: the token may have been dropped meanwhile
      if (stale) return stale
      throw error
    }
  }

  /** Looks a token up, and once more if it may have ended before its row arrived. */
  async #lookUp(name: string, named: TokenValue, isSecondTry = false): Promise<FoundToken> {
    const asked: LookUp = { id: named.id, began: elapsedMs(), wasListening: this.#isListening, ...notEndedYet }
    this.#lookUps.add(asked)
    try {
      const row = await this.#findRow(named.id)
      this.#noticeStalls(elapsedMs())
      const found = judgeToken(named, row)
      if (!row || 'ended' in found) this.#cache.delete(name)
      else if (asked.isInDoubt && !isSecondTry) return this.#lookUp(name, named, true)
      else if (!asked.isOutdated) this.#keep(name, found, asked, row.secondsLeft)
      return found
    } finally {
      this.#lookUps.delete(asked)
    }
  }

  /** Caches a token. Lifetimes count from before the look-up, so that no token is kept past its expiry. */
  #keep(name: string, found: LiveToken, { began, wasListening }: LookUp, secondsLeft: number): void {
    Object.freeze(found.token) // shared by all callers from now on
    const until = (seconds: number) => began + Math.min(seconds, secondsLeft) * 1_000
    const freshUntil = wasListening ? until(this.#freshSeconds) : 0
    const staleUntil = until(this.#staleSeconds)
    if (Math.max(freshUntil, staleUntil) > elapsedMs()) this.#cache.set(name, found, { freshUntil, staleUntil })
  }
}

/** A look-up under way. */
interface LookUp {
  readonly id: string
  readonly began: number
  readonly wasListening: boolean
  /** The row may be out of date. It must not be cached. */
  isOutdated: boolean
  /** The token may have ended meanwhile. The row must not be used either. */
  isInDoubt: boolean
}

const notEndedYet = { isOutdated: false, isInDoubt: false }
