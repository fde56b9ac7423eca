import { boundQuery } from '../database/bound-query.ts'
import type { Database, Query } from '../database/database.ts'
import { createRowFinder, judgeToken } from './find-token.ts'
import type { TokenValue } from './token-value.ts'

/** Ends a client's live token and returns whose it was. Returns null if the value is not a live token. */
export type RevokeToken = (
  clientId: string,
  named: TokenValue,
) => Promise<{ id: string; userId: string } | 'of another client' | null>

/**
 * Creates a function that ends live tokens for the clients they were issued to, one at a time. It leaves another client's
 * token alone. It looks a token up first, in a batch, so that a dead value costs no statement of its own.
 */
export function createTokenRevoker({ lookups, writes }: Lanes): RevokeToken {
  const findRow = createRowFinder(lookups)
  const write = boundQuery(writes)
  return async (clientId, named) => {
    const found = judgeToken(named, await findRow(named.id))
    if (!('token' in found)) return null
    return found.token.clientId === clientId ? revokeToken(write, clientId, named) : 'of another client'
  }
}

type Lanes = Pick<Database, 'lookups' | 'writes'>

/** Ends one live token for the client it was issued to, in one statement. */
export async function revokeToken(query: Query, clientId: string, named: TokenValue): ReturnType<RevokeToken> {
  const [seat] = await query<{ id: string; userId: string; isRevoked: boolean }>(
    'revoke_token',
    `with seat as (
      select id, user_id, client_id
      from password_grant.tokens
      where id = $1 and secret_hash = $2 and revoked_at is null and expires_at > now()
      for update
    ), revoked as (
      update password_grant.tokens t
      set revoked_at = now()
      from seat
      where t.id = seat.id and seat.client_id = $3
      returning t.id
    )
    select id, user_id as "userId", exists (select from revoked) as "isRevoked" from seat`,
    [named.id, named.secretHash, clientId],
  )
  if (!seat) return null
  return seat.isRevoked ? { id: seat.id, userId: seat.userId } : 'of another client'
}

/** Ends the live token in one of a user's seats, by the token's id. Returns whether there was one. */
export type RevokeSeat = (userId: string, id: string) => Promise<boolean>

/** Creates a function that ends users' seats, one at a time. An id that is not live costs no statement of its own. */
export function createSeatRevoker({ lookups, writes }: Lanes): RevokeSeat {
  const findRow = createRowFinder(lookups)
  const write = boundQuery(writes)
  return async (userId, id) => {
    const row = await findRow(id)
    if (row?.userId !== userId || row.state !== 'live') return false
    return revokeTokenOfUser(write, userId, id)
  }
}

/** Ends the live token in one of a user's seats, in one statement. Returns whether there was one. */
export async function revokeTokenOfUser(query: Query, userId: string, id: string): Promise<boolean> {
  return (await query('revoke_token_of_user', revokeSeatWhere('id'), [userId, id])).length > 0
}

/** Ends the live token in the seat of a device. Returns how many there were. */
export async function revokeTokenOfDevice(query: Query, userId: string, device: string): Promise<number> {
  return (await query('revoke_token_of_device', revokeSeatWhere('device'), [userId, device])).length
}

function revokeSeatWhere(column: 'id' | 'device'): string {
  return `
update password_grant.tokens
set revoked_at = now()
where user_id = $1 and ${column} = $2 and revoked_at is null and expires_at > now()
returning id`
}

/** Ends every live token of a user. Returns how many. */
export async function revokeTokensOfUser(query: Query, userId: string): Promise<number> {
  return (await query('revoke_tokens_of_user', revokeWhere('user_id'), [userId])).length
}

/** Ends every live token issued to a client. Returns how many. */
export async function revokeTokensOfClient(query: Query, clientId: string): Promise<number> {
  return (await query('revoke_tokens_of_client', revokeWhere('client_id'), [clientId])).length
}

/** Writes a statement that ends several tokens. It locks them in the order of their ids, to avoid deadlocks. */
function revokeWhere(column: 'user_id' | 'client_id'): string {
  return `
with live as materialized (
  select id
  from password_grant.tokens
  where ${column} = $1 and revoked_at is null and expires_at > now()
  order by id
  for update
)
update password_grant.tokens t
set revoked_at = now()
from live
where t.id = live.id
returning t.id`
}
