import { pageSize, type Query } from '../database/database.ts'
import type { Token } from './token.ts'
import { tokenColumns, tokenTables } from './token-columns.ts'

/** A seat's token in a list, live or not. It never contains the value. */
export interface ListedToken extends Token {
  readonly state: 'live' | 'expired' | 'revoked'
  /** Orders the list, together with `device`. */
  readonly userNameKey: string
}

/**
 * Lists one page of the tokens of one user, or of all users (`null`), by user name and device. `after` is the last token of
 * the previous page, or null for the first page.
 */
export async function listTokens(
  query: Query,
  userId: string | null,
  after: ListedToken | null,
): Promise<ListedToken[]> {
  const values = [after?.userNameKey ?? '', after?.device ?? '']
  if (userId === null) return query<ListedToken>('list_tokens', writePage('true'), values)
  return query<ListedToken>('list_tokens_of_user', writePage('t.user_id = $3'), [...values, userId])
}

// `u.name_key >= $1` lets PostgreSQL use the index over names; a row comparison with columns of two tables would not
const writePage = (condition: string) => `
select ${tokenColumns}, u.name_key as "userNameKey"
from ${tokenTables}
where ${condition} and u.name_key >= $1 and (u.name_key > $1 or t.device > $2)
order by u.name_key, t.device
limit ${pageSize}`

/** Lists the live tokens of one user, the latest sign-in first. */
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
