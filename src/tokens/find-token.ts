import type { Query } from '../database/database.ts'
import { matchHash } from '../secrets.ts'
import type { Token, TokenEnd } from './token.ts'
import { tokenColumns, tokenTables } from './token-columns.ts'
import { readTokenValue } from './token-value.ts'

/** The live token behind a value, or why there is none. */
export type FoundToken = { readonly token: Token } | { readonly ended: TokenEnd; readonly userId?: string }

/** Finds the live token behind a value. Throws OAuthError `temporarily_unavailable` when the database is away. */
export type FindToken = (value: string) => Promise<FoundToken>

/**
 * Looks values up by the rows they name: a primary-key look-up and a comparison of hashes. The row tells
 * live, expired, superseded (the value replaced last) and revoked apart; everything else is unknown.
 */
export function createTokenFinder(query: Query): FindToken {
  const findRow = gatherRows(query)
  return async (value) => {
    const named = readTokenValue(value)
    if (!named) return { ended: 'unknown' }
    const row = await findRow(named.id)
    if (!row) return { ended: 'unknown' }
    const { secretHash, replacedSecretHash, state, ...token } = row
    if (!matchHash(secretHash, named.secretHash)) {
      const isReplaced = replacedSecretHash !== null && matchHash(replacedSecretHash, named.secretHash)
      return isReplaced ? { ended: 'superseded', userId: row.userId } : { ended: 'unknown' }
    }
    return state === 'live' ? { token } : { ended: state, userId: row.userId }
  }
}

/** Looks one value up, as a finder does. */
export function findToken(query: Query, value: string): Promise<FoundToken> {
  return createTokenFinder(query)(value)
}

/** What is asked for in one turn of the event loop is asked in one statement: a round trip costs more than a row. */
function gatherRows(query: Query): (id: string) => Promise<TokenRow | undefined> {
  let gathered: { ids: string[]; rows: Promise<Map<string, TokenRow>> } | null = null

  async function findRows(ids: string[]): Promise<Map<string, TokenRow>> {
    await new Promise((resolve) => setImmediate(resolve))
    gathered = null
    const rows = await query<TokenRow>('find_token', text, [ids])
    return new Map(rows.map((row) => [row.id, row]))
  }

  return async (id) => {
    if (gathered === null) {
      const ids: string[] = []
      gathered = { ids, rows: findRows(ids) }
    }
    gathered.ids.push(id)
    return (await gathered.rows).get(id)
  }
}

interface TokenRow extends Token {
  secretHash: Buffer
  replacedSecretHash: Buffer | null
  state: 'live' | 'expired' | 'revoked'
}

const text = `
select ${tokenColumns},
  t.secret_hash as "secretHash",
  t.replaced_secret_hash as "replacedSecretHash"
from ${tokenTables}
where t.id = any ($1::uuid[])`
