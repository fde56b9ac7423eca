import type { Query } from '../database/database.ts'
import type { Token } from './token.ts'

/** A seat's token as the command line shows it: never its value, live or not. */
export interface ListedToken extends Token {
  readonly state: 'live' | 'expired' | 'revoked'
}

/** The tokens of one user, or of all (`null`), ordered by user name and device. */
export async function listTokens(query: Query, userId: string | null): Promise<ListedToken[]> {
  return query<ListedToken>(
    'list_tokens',
    `select
      t.id,
      t.client_id as "clientId",
      t.user_id as "userId",
      u.name as "userName",
      u.role,
      t.device,
      t.issued_at as "issuedAt",
      t.expires_at as "expiresAt",
      case
        when t.revoked_at is not null then 'revoked'
        when t.expires_at <= now() then 'expired'
        else 'live'
      end as state
    from password_grant.tokens t
    join password_grant.users u on u.id = t.user_id
    where $1::uuid is null or t.user_id = $1
    order by u.name_key, t.device`,
    [userId],
  )
}
