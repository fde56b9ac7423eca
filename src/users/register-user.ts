import type { DateTime } from 'luxon'
import { pageSize, type Query, violates } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { generateId } from '../secrets.ts'
import { isShortText } from '../short-text.ts'
import { requireUserName, userNameKey } from './user-name.ts'

/** A user as an administrator sees it. */
export interface User {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly isEnabled: boolean
  readonly createdAt: DateTime
}

/** A user to add, with the hash of the password. */
export interface NewUser {
  readonly name: string
  readonly role?: string | undefined
  readonly id?: string | undefined
  readonly passwordHash: string | null
}

const columns = 'id, name, role, is_enabled as "isEnabled", created_at as "createdAt"'

/**
 * Adds a user. Throws OAuthError `invalid_request` for a name or id that is taken or invalid, and for an invalid role.
 */
export async function registerUser(query: Query, user: NewUser): Promise<User> {
  requireUserName(user.name)
  requireRole(user.role ?? '')
  const id = user.id ?? generateId()
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) throw refuse('A user id is a UUID.')
  const [row] = await query<User>(
    'register_user',
    `insert into password_grant.users (id, name, name_key, role, password_hash)
    values ($1, $2, $3, $4, $5)
    returning ${columns}`,
    [id, user.name, userNameKey(user.name), user.role ?? '', user.passwordHash],
  ).catch((error: unknown) => {
    if (violates(error, 'users_name_key')) throw refuse('A user with that name already exists.', 409)
    if (violates(error, 'users_pkey')) throw refuse('A user with that id already exists.', 409)
    throw error
  })
  return row as User // an insert that does not throw returns its row
}

/**
 * Finds a user by name, in any letter case. Throws OAuthError `invalid_request` with the status 404 when there is none.
 */
export async function requireUser(query: Query, name: string): Promise<User> {
  const [user] = await query<User>('require_user', `select ${columns} from password_grant.users where name_key = $1`, [
    userNameKey(name),
  ])
  return user ?? refuseUnknown()
}

/** A user in a list, with the key that orders the list. */
export interface ListedUser extends User {
  readonly nameKey: string
}

/** Returns a page of the users, ordered by name: the first page, or the one after a given user. */
export async function listUsers(query: Query, after: ListedUser | null): Promise<ListedUser[]> {
  return query<ListedUser>(
    'list_users',
    `select ${columns}, name_key as "nameKey"
    from password_grant.users
    where name_key > $1
    order by name_key
    limit ${pageSize}`,
    [after?.nameKey ?? ''],
  )
}

/** A change of a user. Omitted fields keep their values. */
export interface UserChange {
  readonly passwordHash?: string
  readonly role?: string
  readonly isEnabled?: boolean
}

/**
 * Changes a user and renews the credential version, which refuses every sign-in in progress. A new password, and
 * disabling, also delete the user's known networks, since one may be a thief's. Throws OAuthError `invalid_request`
 * with the status 404 when there is no such user.
 */
export async function changeUser(query: Query, name: string, change: UserChange): Promise<User> {
  if (change.role !== undefined) requireRole(change.role)
  const [user] = await query<User>(
    'change_user',
    `with changed as (
      update password_grant.users
      set credential_version = gen_random_uuid(),
        password_hash = coalesce($2, password_hash),
        role = coalesce($3, role),
        is_enabled = coalesce($4, is_enabled)
      where name_key = $1
      returning ${columns}
    ), forgotten as (
      delete from password_grant.known_networks
      where user_id = (select id from changed where $2 is not null or not $4)
    )
    select * from changed`,
    [userNameKey(name), change.passwordHash ?? null, change.role ?? null, change.isEnabled ?? null],
  )
  return user ?? refuseUnknown()
}

/**
 * Refuses every sign-in of a user that is in progress, and changes nothing else. Throws OAuthError `invalid_request`
 * with the status 404 when there is no such user.
 */
export async function refuseSignInsUnderWay(query: Query, name: string): Promise<User> {
  return changeUser(query, name, {})
}

/**
 * Removes a user and, by the foreign key, all tokens of the user. Locks the tokens first, in the order of every
 * statement that ends several. Throws OAuthError `invalid_request` with the status 404 when there is no such user.
 */
export async function removeUser(query: Query, name: string): Promise<User> {
  const [user] = await query<User>(
    'remove_user',
    `with named as materialized (
      select id from password_grant.users where name_key = $1 for update
    ), locked as materialized (
      select t.id from password_grant.tokens t join named on named.id = t.user_id order by t.id for update of t
    )
    delete from password_grant.users
    where id in (select id from named) and (select count(*) from locked) >= 0
    returning ${columns}`,
    [userNameKey(name)],
  )
  return user ?? refuseUnknown()
}

function requireRole(role: string): void {
  if (!isShortText(role, 256)) {
    throw refuse('A role has at most 256 characters and no control characters.')
  }
}

function refuseUnknown(): never {
  throw refuse('There is no user with that name.', 404)
}

function refuse(description: string, status = 400): OAuthError {
  return new OAuthError('invalid_request', description, { status })
}
