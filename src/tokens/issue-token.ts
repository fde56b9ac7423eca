import type { Query } from '../database/database.ts'
import { generateId, hashSecret } from '../secrets.ts'
import type { Clearance, Wait } from '../throttle/sign-in-throttle.ts'
import type { IssuedToken, Token } from './token.ts'

/** Who takes the seat, and under which facts they were authenticated. */
export interface TokenSubject {
  readonly userId: string
  /** The `credential_version` read with the password's hash: a change since then refuses the seat. */
  readonly credentialVersion: string
  readonly clientId: string
  /** Likewise, read with the client's secret. */
  readonly clientVersion: string
  readonly device: string
  /** Used unless the client has a lifetime of its own. */
  readonly lifetimeSeconds: number
  /** Seats a user may have; the one taken longest ago gives way. */
  readonly mostSeats: number
}

/** What the holder of a seat is told, but for the value, which is made of its row's id and the secret. */
export type Seat = Omit<IssuedToken, 'value'>

/** The seat, taken. Otherwise which of the two changed while the password was being checked. */
export type Issue = { readonly seat: Seat } | { readonly changed: 'user' | 'client' }

/**
 * Takes the seat in one statement, whoever sat there is out. The user's row and then the client's are
 * looked at again under locks (the foreign keys' own are too weak), so that no token outlives a change
 * of password or role, a disabling or a revocation that happened meanwhile. Of the secret only a hash is kept. With a
 * `clearance` the statement takes no seat while a wait runs, and otherwise clears the failures and remembers the network.
 */
export async function issueToken(query: Query, subject: TokenSubject, secret: Buffer): Promise<Issue>
export async function issueToken(
  query: Query,
  subject: TokenSubject,
  secret: Buffer,
  clearance: Clearance | null,
): Promise<Issue | Wait>
export async function issueToken(
  query: Query,
  subject: TokenSubject,
  secret: Buffer,
  clearance: Clearance | null = null,
): Promise<Issue | Wait> {
  const [row] = await query<IssueRow>('issue_token', text, [
    subject.userId,
    subject.credentialVersion,
    subject.clientId,
    generateId(),
    subject.device,
    hashSecret(secret),
    subject.lifetimeSeconds,
    subject.clientVersion,
    subject.mostSeats,
    clearance?.pair ?? null,
    clearance?.buckets ?? null,
    clearance?.limits ?? null,
    clearance?.network ?? null,
    clearance?.networkNames ?? null,
    clearance?.forgetSeconds ?? null,
    clearance?.knownNetworkDays ?? null,
    clearance?.strangersSeconds ?? null,
    clearance?.maxNetworks ?? null,
  ])
  if (!row?.userIsCurrent) return { changed: 'user' }
  if (row.waitSeconds) return { waitSeconds: row.waitSeconds }
  if (row.id === null) return { changed: 'client' }
  return { seat: { ...row, signInId: generateId() } }
}

type IssueRow = { userIsCurrent: boolean | null; waitSeconds: number | null } & (
  | (Token & { lifetimeSeconds: number })
  | { [field in keyof Token]: null }
)

const text = `
with current_user_row as materialized (
  select id, name, role
  from password_grant.users
  where id = $1 and credential_version = $2 and is_enabled
  for no key update
), current_client_row as materialized (
  select id, coalesce(lifetime_seconds, $7) as lifetime_seconds
  from password_grant.clients
  where id = $3 and credential_version = $8 and is_enabled and exists (select from current_user_row)
  for share
), wait as materialized (
  select case when $10::text is null then 0 else
    password_grant.settle_sign_in($10, $11::text[], $12::integer[], $13, $14, u.id, $15, $16, $17, $18)
  end as seconds
  from current_user_row u
  cross join current_client_row c
), room as materialized (
  select password_grant.make_room(u.id, $5::text, $9)
  from current_user_row u
  cross join wait
  where wait.seconds = 0
), seat as (
  insert into password_grant.tokens as kept
    (id, user_id, device, client_id, secret_hash, issued_at, expires_at, signed_in_at)
  select $4::uuid, u.id, $5::text, c.id, $6::bytea,
    date_trunc('second', now()),
    date_trunc('second', now()) + make_interval(secs => c.lifetime_seconds),
    clock_timestamp()
  from current_user_row u
  cross join current_client_row c
  cross join room
  on conflict (user_id, device) do update
  set client_id = excluded.client_id,
    replaced_secret_hash = kept.secret_hash,
    secret_hash = excluded.secret_hash,
    issued_at = excluded.issued_at,
    expires_at = excluded.expires_at,
    signed_in_at = excluded.signed_in_at,
    revoked_at = null
  returning id, client_id, device, issued_at, expires_at
)
select
  (select true from current_user_row) as "userIsCurrent",
  (select seconds from wait) as "waitSeconds",
  seat.id,
  seat.client_id as "clientId",
  u.id as "userId",
  u.name as "userName",
  u.role,
  seat.device,
  seat.issued_at as "issuedAt",
  seat.expires_at as "expiresAt",
  c.lifetime_seconds as "lifetimeSeconds"
from (select) always
left join seat on true
left join current_user_row u on true
left join current_client_row c on true`
