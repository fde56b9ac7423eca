import { LRUCache } from 'lru-cache'
import type { Database } from '../database/database.ts'
import { elapsedMs } from '../elapsed-clock.ts'
import { nameValue } from '../secrets.ts'
import { defaultTokenOptions } from './default-token-options.ts'
import { createRowFinder, type FindToken, type FoundToken, judgeToken } from './find-token.ts'
import { createOutageLease } from './outage-lease.ts'
import { createValueReader } from './signed-value.ts'
import { watchStalls } from './stall-watch.ts'
import type { Token } from './token.ts'
import type { TokenValue } from './token-value.ts'

/** How long tokens are remembered. */
export interface TokenCacheOptions {
  /** Seconds; 0 asks the database every time. Default: 5. */
  readonly seconds?: number
  /** For how many seconds a token that the database has confirmed is accepted while it is away. Default: 0, not at all. */
  readonly outageLeaseSeconds?: number
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
 * remembered, and where they get lost unnoticed an ended token is accepted for `seconds` at the longest. After a stall of
 * the event loop of more than `endedTokenBoundMs` every token is looked up again.
 * Only hashes are kept. A refusal is never remembered. With `outageLeaseSeconds` a token that was live so recently is
 * accepted while the database is away, unless its end was heard of.
 */
export function createTokenCache(
  { tokenQuery, listen }: Pick<Database, 'tokenQuery' | 'listen'>,
  {
    seconds = defaultTokenOptions.cacheSeconds,
    outageLeaseSeconds = defaultTokenOptions.outageLeaseSeconds,
  }: TokenCacheOptions = {},
): TokenCache {
  const findRow = createRowFinder(tokenQuery)
  const readValue = createValueReader(tokenQuery)
  const names = new Map<string, string>() // a token's id → the name under which it is remembered
  const remembered = new LRUCache<string, Remembered>({
    max: mostTokens,
    perf: { now: elapsedMs },
    dispose: ({ token }) => names.delete(token.id),
  })
  const lease = outageLeaseSeconds > 0 ? createOutageLease(outageLeaseSeconds) : null
  const lookUps = new Set<LookUp>()
  const stallWatch = seconds > 0 || lease ? watchStalls() : null
  let stallsSeen = stallWatch?.countStalls()
  let isListening = false

  function forgetToken(id: string): void {
    lease?.drop(id)
    remembered.delete(names.get(id) ?? '')
    for (const lookUp of lookUps) if (lookUp.id === id) lookUp.isOutdated = lookUp.isInDoubt = true
  }

  function forgetAll(): void {
    remembered.clear()
    for (const lookUp of lookUps) lookUp.isOutdated = true
  }

  function endLeases(): void {
    lease?.dropAll()
    forgetAll()
  }

  /** Announcements that came during a stall may still be unread. */
  function noticeStalls(): void {
    const stalls = stallWatch?.countStalls()
    if (stalls === stallsSeen) return
    stallsSeen = stalls
    lease?.askAgain()
    forgetAll()
    for (const lookUp of lookUps) lookUp.isInDoubt = true
  }

  if (stallWatch) {
    listen({
      onNotice: (notice) => {
        if (notice === 'tokens') endLeases()
        else if (notice.startsWith('token ')) forgetToken(notice.slice('token '.length))
      },
      onListening: (isNowListening) => {
        isListening = isNowListening
        if (isListening)
          endLeases() // ends may have been missed
        else forgetAll()
      },
    })
  }

  function remember(name: string, found: Remembered, ms: number): void {
    const { id } = found.token
    remembered.delete(names.get(id) ?? '') // the value before
    remembered.set(name, found, { ttl: Math.floor(ms) })
    names.set(id, name)
  }

  async function findToken(value: string): Promise<FoundToken> {
    noticeStalls()
    const name = nameValue(value)
    const known = remembered.get(name)
    if (known) return known
    const named = await readValue(value)
    if (!named) return { ended: 'unknown' }
    return lease ? lease.find({ id: named.id, name }, () => lookUp(name, named)) : lookUp(name, named)
  }

  /** Asks a second time where the token may have ended while its row was on its way. */
  async function lookUp(name: string, named: TokenValue, isSecondTry = false): Promise<FoundToken> {
    const asked: LookUp = { id: named.id, isOutdated: false, isInDoubt: false }
    const mayRemember = isListening
    const began = elapsedMs()
    lookUps.add(asked)
    try {
      const row = await findRow(named.id)
      noticeStalls()
      const found = judgeToken(named, row)
      if ('token' in found && asked.isInDoubt && !isSecondTry) return lookUp(name, named, true)
      if (row && 'token' in found && !asked.isOutdated) {
        Object.freeze(found.token) // shared from here on
        lease?.renew(name, found, began, row.secondsLeft)
        // counted from before the question, so that nothing is remembered past its end
        const ms = Math.min(seconds, row.secondsLeft) * 1_000 - (elapsedMs() - began)
        if (mayRemember && ms >= 1) remember(name, found, ms)
      }
      return found
    } finally {
      lookUps.delete(asked)
    }
  }

  return { findToken, forgetToken }
}

type Remembered = { readonly token: Token }

/** A question under way. */
interface LookUp {
  readonly id: string
  /** Its answer may have been overtaken: it must not be remembered. */
  isOutdated: boolean
  /** The token may have ended meanwhile: the answer must not be given either. */
  isInDoubt: boolean
}
