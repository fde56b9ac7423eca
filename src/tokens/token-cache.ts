import { LRUCache } from 'lru-cache'
import type { Database } from '../database/database.ts'
import { matchHash } from '../secrets.ts'
import { createRowFinder, type FindToken, type FoundToken, judgeToken, type TokenRow } from './find-token.ts'
import type { Token } from './token.ts'
import { readTokenValue } from './token-value.ts'

/** How long tokens are remembered. */
export interface TokenCacheOptions {
  /** Seconds; 0 asks the database every time. Default: 5. */
  readonly seconds?: number
}

/** Finds tokens and remembers them for a moment. */
export interface TokenCache {
  readonly findToken: FindToken
  /** Drops what is remembered of a token, by its id: for whoever has just ended it in this process. */
  readonly forgetToken: (id: string) => void
}

const mostTokens = 20_000

/**
 * Finds tokens, and remembers live ones in this process for a few seconds. What ends a token anywhere is announced
 * by the database and dropped here, within milliseconds; while announcements cannot be heard nothing is
 * remembered, and where they get lost unnoticed an ended token is accepted for `seconds` at the longest.
 * Only hashes are kept. A refusal is never remembered.
 */
export function createTokenCache(
  { tokenQuery, listen }: Pick<Database, 'tokenQuery' | 'listen'>,
  { seconds = 5 }: TokenCacheOptions = {},
): TokenCache {
  const findRow = createRowFinder(tokenQuery)
  const remembered = new LRUCache<string, Remembered>({ max: mostTokens })
  const lookUps = new Set<LookUp>()
  let isListening = false

  function forgetToken(id: string): void {
    remembered.delete(id)
    for (const lookUp of lookUps) if (lookUp.id === id) lookUp.isOutdated = true
  }

  function forgetAll(): void {
    remembered.clear()
    for (const lookUp of lookUps) lookUp.isOutdated = true
  }

  if (seconds > 0) {
    listen({
      onNotice: (notice) => {
        if (notice.startsWith('token ')) forgetToken(notice.slice('token '.length))
      },
      onListening: (isNowListening) => {
        isListening = isNowListening
        forgetAll()
      },
    })
  }

  /** An end that is announced while the row is on its way here must not be missed. */
  async function lookUp(id: string): Promise<{ row: TokenRow | undefined; rememberForMs: number }> {
    const asked: LookUp = { id, isOutdated: !isListening }
    const began = performance.now()
    lookUps.add(asked)
    try {
      const row = await findRow(id)
      // counted from before the question, so that nothing is remembered past its end
      const ms = Math.min(seconds, row?.secondsLeft ?? 0) * 1_000 - (performance.now() - began)
      return { row, rememberForMs: asked.isOutdated ? 0 : Math.floor(ms) }
    } finally {
      lookUps.delete(asked)
    }
  }

  async function findToken(value: string): Promise<FoundToken> {
    const named = readTokenValue(value)
    if (!named) return { ended: 'unknown' }
    const known = remembered.get(named.id)
    if (known && matchHash(known.secretHash, named.secretHash)) return known.found
    const { row, rememberForMs } = await lookUp(named.id)
    const found = judgeToken(named, row)
    if ('token' in found && rememberForMs > 0) {
      Object.freeze(found.token) // shared from here on
      remembered.set(named.id, { secretHash: named.secretHash, found }, { ttl: rememberForMs })
    }
    return found
  }

  return { findToken, forgetToken }
}

interface Remembered {
  readonly secretHash: Buffer
  readonly found: { readonly token: Token }
}

/** A question under way, and whether its answer may have been overtaken. */
interface LookUp {
  readonly id: string
  isOutdated: boolean
}
