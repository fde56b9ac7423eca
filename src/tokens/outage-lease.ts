import { LRUCache } from 'lru-cache'
import { elapsedMs } from '../elapsed-clock.ts'
import { isOutage } from '../errors.ts'
import type { FoundToken } from './find-token.ts'
import type { Token } from './token.ts'

/** Tokens that are accepted for a while although the database cannot be asked. */
export interface OutageLease {
  /**
   * Asks, and where the database is away answers from what it said last. While that is known nobody with a leased token
   * waits: one question at a time goes on to find out when it is back.
   */
  find(asked: AskedToken, ask: () => Promise<FoundToken>): Promise<FoundToken>
  /** The database, asked at `began` (by `elapsedMs`), said of a token that it lives for `secondsLeft` more seconds. */
  renew(name: string, found: LiveToken, began: number, secondsLeft: number): void
  /** A token has ended, by its id. */
  drop(id: string): void
  /** Ends may have been missed. */
  dropAll(): void
  /** Asks the database at the next look-up, also during an outage. */
  askAgain(): void
}

/** The token asked for: its id, and under which name its present value is known. */
interface AskedToken {
  readonly id: string
  readonly name: string
}

const mostTokens = 20_000
const pauseMs = 250
/** How long an outage is taken for granted: where nobody has asked for so long, it may well be over. */
const awayMs = 10_000

/** Leases for `seconds`, counted from the last time the database was asked about a token, and never past its end. */
export function createOutageLease(seconds: number): OutageLease {
  const leased = new LRUCache<string, Leased>({ max: mostTokens, perf: { now: elapsedMs }, ttlResolution: 0 })
  let awayUntil = 0
  let isAsking = false
  let askAgainAt = 0

  function answer({ id, name }: AskedToken): FoundToken | undefined {
    const known = leased.get(id)
    return known?.name === name ? known.found : undefined
  }

  async function confirm({ id, name }: AskedToken, ask: () => Promise<FoundToken>): Promise<FoundToken> {
    try {
      const found = await ask()
      awayUntil = 0
      if (!('token' in found) && leased.peek(id)?.name === name) leased.delete(id)
      return found
    } catch (error) {
      if (isOutage(error)) awayUntil = elapsedMs() + awayMs
      throw error
    }
  }

  async function probe(asked: AskedToken, ask: () => Promise<FoundToken>): Promise<void> {
    if (isAsking || elapsedMs() < askAgainAt) return
    isAsking = true
    await confirm(asked, ask).catch(() => undefined) // whoever has no lease is told
    isAsking = false
    askAgainAt = elapsedMs() + pauseMs
  }

  return {
    find: async (asked, ask) => {
      const known = elapsedMs() < awayUntil ? answer(asked) : undefined
      if (known) {
        probe(asked, ask)
        return known
      }
      try {
        return await confirm(asked, ask)
      } catch (error) {
        const lasting = isOutage(error) ? answer(asked) : undefined // not what was dropped meanwhile
        if (lasting) return lasting
        throw error
      }
    },
    renew: (name, found, began, secondsLeft) => {
      const ttl = Math.floor(Math.min(seconds, secondsLeft) * 1_000)
      if (ttl > 0) leased.set(found.token.id, { name, found }, { ttl, start: began })
    },
    drop: (id) => void leased.delete(id),
    dropAll: () => leased.clear(),
    askAgain: () => {
      awayUntil = 0
    },
  }
}

type LiveToken = { readonly token: Token }

interface Leased {
  readonly name: string
  readonly found: LiveToken
}
