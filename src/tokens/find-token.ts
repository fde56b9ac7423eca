import { batchLookups } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { matchHash } from '../secrets.ts'
import { createValueReader } from './signed-value.ts'
import type { Token, TokenEnd } from './token.ts'
import { tokenColumns, tokenTables } from './token-columns.ts'
import type { TokenValue } from './token-value.ts'

/** The live token behind a value, or why there is none. */
export type FoundToken = { readonly token: Token } | { readonly ended: TokenEnd; readonly userId?: string }

/** Finds the live token behind a value. Throws OAuthError `temporarily_unavailable` when the database is away. */
export type FindToken = (value: string) => Promise<FoundToken>

/**
 * Looks a value up by the row it names: a primary-key look-up and a comparison of hashes. The row tells
 * live, expired, superseded (the value replaced last) and revoked apart; everything else is unknown.
 */
export async function findToken(query: Query, value: string): Promise<FoundToken> {
  const named = await createValueReader(query)(value)
  return named ? judgeToken(named, await createRowFinder(query)(named.id)) : { ended: 'unknown' }
}

/** What its row says of a value. */
export function judgeToken(named: TokenValue, row: TokenRow | undefined): FoundToken {
  if (!row) return { ended: 'unknown' }
  const { secretHash, replacedSecretHash, secondsLeft, state, ...token } = row
  if (!matchHash(secretHash, named.secretHash)) {
    const isReplaced = replacedSecretHash !== null && matchHash(replacedSecretHash, named.secretHash)
    return isReplaced ? { ended: 'superseded', userId: row.userId } : { ended: 'unknown' }
  }
  return state === 'live' ? { token } : { ended: state, userId: row.userId }
}

/** Looks up a seat's row by its id. */
export type FindTokenRow = (id: string) => Promise<TokenRow | undefined>

/** Finds rows by id; those asked for at the same time share a statement. */
export function createRowFinder(query: Query): FindTokenRow {
  return batchLookups(async (ids) => {
    const rows = await query<TokenRow>('find_token', text, [ids])
    return new Map(rows.map((row) => [row.id, row]))
  })
}

/** A seat's row, whatever its state. */
export interface TokenRow extends Token {
  readonly secretHash: Buffer
  readonly replacedSecretHash: Buffer | null
  readonly state: 'live' | 'expired' | 'revoked'
  /** Until it expires, by the database's clock. */
  readonly secondsLeft: number
}

const text = `
select ${tokenColumns},
  t.secret_hash as "secretHash",
  t.replaced_secret_hash as "replacedSecretHash",
  extract(epoch from t.expires_at - now())::float8 as "secondsLeft"
from ${tokenTables}
where t.id = any ((select $1::uuid[])::uuid[])`
