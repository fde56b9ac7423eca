import type { Query } from '../database/database.ts'
import type { Token } from './token.ts'
import { tokenColumns, tokenTables } from './token-columns.ts'

/** A seat's token as the command line shows it: never its value, live or not. */
export interface ListedToken extends Token {
  readonly state: 'live' | 'expired' | 'revoked'
}

/** The tokens of one user, or of all (`null`), ordered by user name and device. */
export async function listTokens(query: Query, userId: string | null): Promise<ListedToken[]> {
  return query<ListedToken>(
    'list_tokens',
    `select ${tokenColumns}
    from ${tokenTables}
    where $1::uuid is null or t.user_id = $1
    order by u.name_key, t.device`,
    [userId],
  )
}

/** The live tokens of one user, the latest sign-in first. */
export async function listLiveTokens(query: Query, userId: string): Promise<Token[]> {
  return query<Token>(
    'list_live_tokens',
    `select ${tokenColumns}
    from ${tokenTables}
    where t.user_id = $1 and t.revoked_at is null and t.expires_at > now()
    order by greatest(t.signed_in_at, t.issued_at) desc, t.device`,
    [userId],
  )
}
