import type { Query } from '../database/database.ts'
import { generateId, hashSecret } from '../secrets.ts'
import type { IssuedToken, Token } from './token.ts'

/** The seat to take, and the versions of the user and client that were authenticated. */
export interface TokenOrder {
  readonly userId: string
  /** The `credential_version` read together with the password hash. A change since then refuses the seat. */
  readonly userVersion: string
  readonly clientId: string
  /** The `credential_version` read together with the client's secret. A change since then refuses the seat. */
  readonly clientVersion: string
  readonly device: string
  /** Applies unless the client has its own lifetime. */
  readonly lifetimeSeconds: number
  /** Maximum number of seats for the user. A new one replaces the seat with the oldest sign-in. */
  readonly maxSeats: number
  /** The random bytes in the token's value. Only their hash is stored. */
  readonly secret: Buffer
}

/** The issued token without its value, which the caller makes from the id and the secret. */
export type Seat = Omit<IssuedToken, 'value'>

/** The seat that was taken, or which of the two changed while the credentials were checked. */
export type Issue = { readonly seat: Seat } | { readonly changed: 'user' | 'client' }

/**
 * Takes a seat in one statement and ends the token that held it. Checks the rows of the user and the client again, under
 * locks, since those of the foreign keys are too weak. So no token outlives a concurrent change of the password or role, a
 * disabling or a revocation. Throws OAuthError `temporarily_unavailable`.
 */
export async function issueToken(query: Query, order: TokenOrder): Promise<Issue> {
  const [row] = await takeSeats(query, [order], 'issue_token')
  if (!row) throw new Error('issue_token returned no row')
  return toIssue(row)
}

/**
 * Takes the seats of different users in one statement and one commit. It skips rows that another session has locked. An
 * order that was not taken, for this or any other reason, results in null. Throws OAuthError `temporarily_unavailable`.
 */
export async function issueTokens(query: Query, orders: readonly TokenOrder[]): Promise<(Seat | null)[]> {
  const rows = await takeSeats(query, orders, 'issue_tokens')
  return rows.map((row) => {
    const issue = toIssue(row)
    return 'seat' in issue ? issue.seat : null
  })
}

type SeatRow = { readonly userIsCurrent: boolean; readonly room: string | null } & (
  | (Token & { readonly lifetimeSeconds: number })
  | { readonly [field in keyof Token | 'lifetimeSeconds']: null }
)

function toIssue({ userIsCurrent, room, ...row }: SeatRow): Issue {
  if (row.id === null) return { changed: userIsCurrent ? 'client' : 'user' }
  return { seat: { ...row, signInId: generateId() } }
}

/** Takes the seats of different users. Returns a row for each order, in order. */
function takeSeats(
  query: Query,
  orders: readonly TokenOrder[],
  name: 'issue_token' | 'issue_tokens',
): Promise<SeatRow[]> {
  return query<SeatRow>(name, name === 'issue_token' ? waitingText : skippingText, [
    orders.map(({ userId }) => userId),
    orders.map(({ userVersion }) => userVersion),
    orders.map(({ clientId }) => clientId),
    orders.map(({ clientVersion }) => clientVersion),
    orders.map(() => generateId()),
    orders.map(({ device }) => device),
    orders.map(({ secret }) => hashSecret(secret)),
    orders.map(({ lifetimeSeconds }) => lifetimeSeconds),
    orders.map(({ maxSeats }) => maxSeats),
  ])
}

// Sub-selects hide the arrays from the planner, so that it keeps one generic plan.
// To avoid deadlocks, every session locks in one order: users, clients, and tokens by id.
// A function removes the seats above the maximum. The statement itself cannot, since it does not see the seats that other
// sessions wrote while it waited for the row lock. An existing seat displaces others only after the maximum was lowered.
const writeText = (whereLocked: '' | 'skip locked') => `
with orders as (
  select * from unnest(
    (select $1::uuid[]), (select $2::uuid[]), (select $3::text[]), (select $4::uuid[]), (select $5::uuid[]),
    (select $6::text[]), (select $7::bytea[]), (select $8::integer[]), (select $9::integer[])
  ) with ordinality o (
    user_id, user_version, client_id, client_version, id, device, secret_hash, lifetime_seconds, max_seats, place
  )
), current_users as materialized (
  select u.id, u.name, u.role
  from orders o
  join password_grant.users u on u.id = o.user_id and u.credential_version = o.user_version
  where u.is_enabled
  order by u.id
  for no key update of u ${whereLocked}
), current_clients as materialized (
  select c.id, c.credential_version, c.lifetime_seconds
  from password_grant.clients c
  where c.id = any ((select $3::text[])::text[]) and c.is_enabled and exists (select from current_users)
  order by c.id
  for share ${whereLocked}
), locked as materialized (
  select t.user_id, t.device
  from orders o
  join current_users u on u.id = o.user_id
  join current_clients c on c.id = o.client_id and c.credential_version = o.client_version
  join password_grant.tokens t on t.user_id = o.user_id
  where t.device = o.device
    or (select count(*) from password_grant.tokens s where s.user_id = o.user_id) >= o.max_seats
  order by t.id
  for no key update of t ${whereLocked}
), taken as (
  insert into password_grant.tokens as kept
    (id, user_id, device, client_id, secret_hash, issued_at, expires_at, signed_in_at)
  select o.id, u.id, o.device, c.id, o.secret_hash,
    date_trunc('second', now()),
    date_trunc('second', now()) + make_interval(secs => coalesce(c.lifetime_seconds, o.lifetime_seconds)),
    clock_timestamp()
  from orders o
  join current_users u on u.id = o.user_id
  join current_clients c on c.id = o.client_id and c.credential_version = o.client_version
  where exists (select from locked l where l.user_id = o.user_id and l.device = o.device)
    or not exists (select from password_grant.tokens t where t.user_id = o.user_id and t.device = o.device)
  on conflict (user_id, device) do update
  set client_id = excluded.client_id,
    replaced_secret_hash = kept.secret_hash,
    secret_hash = excluded.secret_hash,
    issued_at = excluded.issued_at,
    expires_at = excluded.expires_at,
    signed_in_at = excluded.signed_in_at,
    revoked_at = null
  returning id, user_id, client_id, device, issued_at, expires_at, replaced_secret_hash is null as is_new
)
select
  u.id is not null as "userIsCurrent",
  t.id,
  t.client_id as "clientId",
  u.id as "userId",
  u.name as "userName",
  u.role,
  t.device,
  t.issued_at as "issuedAt",
  t.expires_at as "expiresAt",
  extract(epoch from t.expires_at - t.issued_at)::integer as "lifetimeSeconds",
  case when t.is_new or t.id is not null
    and (select count(*) from password_grant.tokens s where s.user_id = u.id) > o.max_seats
    then password_grant.make_room(u.id, o.device, o.max_seats)::text end as room
from orders o
left join current_users u on u.id = o.user_id
left join taken t on t.user_id = o.user_id
order by o.place`

const waitingText = writeText('')
const skippingText = writeText('skip locked')
