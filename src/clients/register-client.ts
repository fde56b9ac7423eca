import type { DateTime } from 'luxon'
import { pageSize, type Query, violates } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import { generateSecret, hashSecret, isShortSecret, minSecretLength } from '../secrets.ts'
import { isClientId } from './client-id.ts'

/** A client as an administrator sees it, without its secret. */
export interface RegisteredClient {
  readonly id: string
  readonly isPublic: boolean
  /** Whether it belongs to a dialect that authenticates no client. It can be disabled but not removed. */
  readonly isBuiltIn: boolean
  /** Whether the server takes the end user's address from its `X-Forwarded-For`. */
  readonly isTrusted: boolean
  readonly isEnabled: boolean
  /** The lifetime of its tokens; null for the server's default. */
  readonly lifetimeSeconds: number | null
  readonly createdAt: DateTime
}

/** A client to add. */
export interface NewClient {
  readonly id: string
  /**
   * `public`: no secret. `generated`: 256 random bits. `{ chosen }`: a secret from an older system, of at least 16
   * characters unless `allowShort` is true, which is only for migrations.
   */
  readonly secret: 'public' | 'generated' | { readonly chosen: string; readonly allowShort?: boolean | undefined }
  readonly lifetimeSeconds?: number | undefined
  /** Marks your own backend, which signs in on behalf of its users. Never for a public client. Default: no. */
  readonly isTrusted?: boolean | undefined
}

const columns = `id, is_public as "isPublic", is_built_in as "isBuiltIn", is_trusted as "isTrusted", is_enabled as "isEnabled",
  lifetime_seconds as "lifetimeSeconds", created_at as "createdAt"`

/** The names of the dialects. Three of them are the ids of built-in clients. */
const reservedIds = ['webapi', 'webapi-session', 'envelope', 'device']

/**
 * Adds a client, and returns a generated secret this one time. Throws OAuthError `invalid_request` for an id that is
 * taken, reserved or malformed, and for an invalid secret or lifetime.
 */
export async function registerClient(
  query: Query,
  passwords: Pick<Passwords, 'hash'>,
  client: NewClient,
): Promise<{ client: RegisteredClient; secret: string | null }> {
  const prepared = await prepareClient(passwords, client)
  return { client: await insertClient(query, prepared), secret: prepared.generatedSecret }
}

/** A client to add, with its secret already generated or hashed. */
export interface PreparedClient extends Omit<NewClient, 'secret'> {
  readonly generatedSecret: string | null
  /** Null for a public client. */
  readonly secretHash: string | null
}

/**
 * Checks a client and hashes its secret, so that no connection waits for the hash. Throws OAuthError `invalid_request`
 * for an id that is reserved or malformed, and for an invalid secret or lifetime.
 */
export async function prepareClient(passwords: Pick<Passwords, 'hash'>, client: NewClient): Promise<PreparedClient> {
  const { secret, ...rest } = client
  requireClientId(client.id)
  requireLifetime(client.lifetimeSeconds)
  if (client.isTrusted && secret === 'public') throw refuse('A public client proves nothing, so it cannot be trusted.')
  const generatedSecret = secret === 'generated' ? generateSecret() : null
  const secretHash =
    typeof secret === 'object' ? await hashChosen(passwords, secret) : generatedSecret && fastHash(generatedSecret)
  return { ...rest, generatedSecret, secretHash }
}

/** Adds a prepared client. Throws OAuthError `invalid_request` with the status 409 for an id that is taken. */
export async function insertClient(query: Query, client: PreparedClient): Promise<RegisteredClient> {
  const { id, secretHash, lifetimeSeconds = null, isTrusted = false } = client
  const [row] = await query<RegisteredClient>(
    'register_client',
    `insert into password_grant.clients (id, is_public, secret_hash, lifetime_seconds, is_trusted)
    values ($1, $2, $3, $4, $5)
    returning ${columns}`,
    [id, secretHash === null, secretHash, lifetimeSeconds, isTrusted],
  ).catch((error: unknown) => {
    if (violates(error, 'clients_pkey')) throw refuse('A client with that id already exists.', 409)
    throw error
  })
  return row as RegisteredClient // an insert that does not throw returns its row
}

/**
 * Gives a client a new generated secret. The old one stays valid for `overlapSeconds`; with 0, even sign-ins in
 * progress are refused. The client's tokens stay valid. Throws OAuthError `invalid_request` for an unknown or a public
 * client, and for an invalid overlap.
 */
export async function rotateClient(query: Query, id: string, overlapSeconds: number): Promise<string> {
  requireOverlap(overlapSeconds)
  const secret = generateSecret()
  const [row] = await query<{ isPublic: boolean }>(
    'rotate_client',
    `update password_grant.clients
    set secret_hash = case when is_public then null else $2 end,
      previous_secret_hash = case when $3 > 0 then secret_hash end,
      credential_version = case when $3 > 0 then credential_version else gen_random_uuid() end,
      previous_secret_until = case when $3 > 0 and not is_public then now() + make_interval(secs => $3) end
    where id = $1
    returning is_public as "isPublic"`,
    [id, fastHash(secret), overlapSeconds],
  )
  if (!row) refuseUnknown()
  if (row.isPublic) throw refuse('A public client has no secret to rotate.')
  return secret
}

/**
 * Enables or disables a client, and renews the credential version, which refuses its sign-ins in progress. Throws
 * OAuthError `invalid_request` with the status 404 when there is no such client.
 */
export async function setClientEnabled(query: Query, id: string, isEnabled: boolean): Promise<RegisteredClient> {
  const [client] = await query<RegisteredClient>(
    'set_client_enabled',
    `update password_grant.clients
    set is_enabled = $2, credential_version = gen_random_uuid()
    where id = $1
    returning ${columns}`,
    [id, isEnabled],
  )
  return client ?? refuseUnknown()
}

/**
 * Removes a client and, by the foreign key, all its tokens. Locks the tokens first, in the order of every statement
 * that ends several. Throws OAuthError `invalid_request` for a built-in client, with the status 404 when there is no
 * such client.
 */
export async function removeClient(query: Query, id: string): Promise<RegisteredClient> {
  const [client] = await query<RegisteredClient>(
    'remove_client',
    `with client as materialized (
      select id from password_grant.clients where id = $1 and not is_built_in for update
    ), locked as materialized (
      select t.id from password_grant.tokens t join client on client.id = t.client_id order by t.id for update of t
    )
    delete from password_grant.clients
    where id in (select id from client) and (select count(*) from locked) >= 0
    returning ${columns}`,
    [id],
  )
  if (!client && id !== 'webapi' && reservedIds.includes(id))
    throw refuse('That client is built in. Disable it to close its dialect.')
  return client ?? refuseUnknown()
}

/** Returns a page of the clients, ordered by id: the first page, or the one after a given client. */
export async function listClients(query: Query, after: RegisteredClient | null): Promise<RegisteredClient[]> {
  const text = `select ${columns} from password_grant.clients where id > $1 order by id limit ${pageSize}`
  return query<RegisteredClient>('list_clients', text, [after?.id ?? ''])
}

/** Hashes a chosen secret with argon2id. Even a long one may be easy to guess. */
async function hashChosen(
  passwords: Pick<Passwords, 'hash'>,
  { chosen, allowShort = false }: { chosen: string; allowShort?: boolean | undefined },
): Promise<string> {
  if (Buffer.byteLength(chosen) > 1024 || chosen === '' || /[\p{Cc}\p{Cs}]/u.test(chosen)) {
    throw refuse('A client secret has at most 1024 bytes of UTF-8 and no control characters.')
  }
  if (!allowShort && isShortSecret(chosen)) throw refuse(`A client secret has at least ${minSecretLength} characters.`)
  return passwords.hash(chosen)
}

function fastHash(secret: string): string {
  return `sha256:${hashSecret(secret).toString('hex')}`
}

function requireClientId(id: string): void {
  if (!isClientId(id)) throw refuse('A client id has 1 to 64 characters of A-Z a-z 0-9 . _ -')
  if (reservedIds.includes(id)) throw refuse('That client id is reserved: it is the name of a dialect.')
}

const longestLifetimeSeconds = 10 * 366 * 24 * 3600

function requireLifetime(seconds: number | undefined): void {
  if (seconds === undefined || (Number.isInteger(seconds) && seconds > 0 && seconds <= longestLifetimeSeconds)) return
  throw refuse(`A lifetime is a whole number of seconds from 1 to ${longestLifetimeSeconds}.`)
}

const longestOverlapSeconds = 999_999_999

function requireOverlap(seconds: number): void {
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= longestOverlapSeconds) return
  throw refuse(`An overlap is a whole number of seconds from 0 to ${longestOverlapSeconds}.`)
}

function refuseUnknown(): never {
  throw refuse('There is no client with that id.', 404)
}

function refuse(description: string, status = 400): OAuthError {
  return new OAuthError('invalid_request', description, { status })
}
