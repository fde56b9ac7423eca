import type { Query } from '../database/database.ts'
import { matchHash } from '../secrets.ts'
import type { Token, TokenEnd } from './token.ts'
import { tokenColumns, tokenTables } from './token-columns.ts'
import { readTokenValue } from './token-value.ts'

/** The live token behind a value, or why there is none. */
export type FoundToken = { readonly token: Token } | { readonly ended: TokenEnd }

/**
 * Looks a value up by the row it names: one primary-key look-up and a comparison of hashes. The row tells
 * live, expired, superseded (the value replaced last) and revoked apart; everything else is unknown.
 * Throws OAuthError `temporarily_unavailable` when the database is away.
 */
export async function findToken(query: Query, value: string): Promise<FoundToken> {
  const named = readTokenValue(value)
  if (!named) return { ended: 'unknown' }
  const [row] = await query<TokenRow>('find_token', text, [named.id])
  if (!row) return { ended: 'unknown' }
  const { secretHash, replacedSecretHash, state, ...token } = row
  if (!matchHash(secretHash, named.secretHash)) {
    const isReplaced = replacedSecretHash !== null && matchHash(replacedSecretHash, named.secretHash)
    return { ended: isReplaced ? 'superseded' : 'unknown' }
  }
  return state === 'live' ? { token } : { ended: state }
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
where t.id = $1`
