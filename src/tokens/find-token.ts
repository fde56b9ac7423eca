import { batchLookups } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { matchHash } from '../secrets.ts'
import { createValueReader } from './signed-value.ts'
import type { Token, TokenEnd } from './token.ts'
import { tokenColumns, tokenTables } from './token-columns.ts'
import type { TokenValue } from './token-value.ts'

/** The live token of a value, or why there is none. */
export type FoundToken = { readonly token: Token } | { readonly ended: TokenEnd; readonly userId?: string }

/** Finds the live token of a value. Throws OAuthError `temporarily_unavailable` when the database is away. */
export type FindToken = (value: string) => Promise<FoundToken>

/**
 * Finds the live token of a value: looks up the row that the value names and compares the hash of the secret. Tells expired,
 * superseded (the value replaced last) and revoked apart. Any other value is unknown.
 */
export async function findToken(query: Query, value: string): Promise<FoundToken> {
  const named = await createValueReader(query)(value)
  return named ? judgeToken(named, await createRowFinder(query)(named.id)) : { ended: 'unknown' }
}

/** Decides from its row whether a value is live, and if not, why. */
export function judgeToken(named: TokenValue, row: TokenRow | undefined): FoundToken {
  if (!row) return { ended: 'unknown' }
  const { secretHash, replacedSecretHash, secondsLeft, state, ...token } = row
  if (!matchHash(secretHash, named.secretHash)) {
    const isReplaced = replacedSecretHash !== null && matchHash(replacedSecretHash, named.secretHash)
    return isReplaced ? { ended: 'superseded', userId: row.userId } : { ended: 'unknown' }
  }
  return state === 'live' ? { token } : { ended: state, userId: row.userId }
}

/** Finds a seat's row by its id. */
export type FindTokenRow = (id: string) => Promise<TokenRow | undefined>

/** Creates a look-up of rows by id. Concurrent look-ups share a statement. */
export function createRowFinder(query: Query): FindTokenRow {
  return batchLookups(async (ids) => {
    const rows = await query<TokenRow>('find_token', text, [ids])
    return new Map(rows.map((row) => [row.id, row]))
  })
}

/** A seat's row, in any state. */
export interface TokenRow extends Token {
  readonly secretHash: Buffer
  readonly replacedSecretHash: Buffer | null
  readonly state: 'live' | 'expired' | 'revoked'
  /** Seconds until the token expires, by the database's clock. */
  readonly secondsLeft: number
}

const text = `
select ${tokenColumns},
  t.secret_hash as "secretHash",
  t.replaced_secret_hash as "replacedSecretHash",
  extract(epoch from t.expires_at - now())::float8 as "secondsLeft"
from ${tokenTables}
where t.id = any ((select $1::uuid[])::uuid[])`
