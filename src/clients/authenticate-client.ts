import type { Query } from '../database/database.ts'
import { gatherRows, mostForFlood } from '../database/gather-rows.ts'
import { OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import { generateBytes, hashSecret, keyedHash, matchHash } from '../secrets.ts'
import { isClientId } from './client-id.ts'
import { isShortSecret } from './client-secret.ts'

/** An application that proved who it is, or a public one that only said so. */
export interface Client {
  readonly id: string
  readonly isPublic: boolean
  /** Stands for everybody who uses the dialect of its name, and counts nowhere else. */
  readonly isBuiltIn: boolean
  /** Says for whom it asks: the address before its own in `X-Forwarded-For` counts. */
  readonly isTrusted: boolean
  /** Changes with whatever must end a sign-in under way. */
  readonly credentialVersion: string
}

/** What a request says of its client; no secret for a public one. */
export interface ClientCredentials {
  readonly id: string
  readonly secret: string | null
}

/**
 * Credentials, and the network they come from → client. Throws OAuthError `invalid_client`, the same for unknown, wrong
 * and disabled (RFC 6749 §5.2), or `temporarily_unavailable`.
 */
export type AuthenticateClient = (credentials: ClientCredentials, network: string) => Promise<Client>

const longestMemory = 10_000

/**
 * Checks clients against the database. What a check costs depends on what was sent and not on what is stored: a long
 * secret costs a fast hash, a short one argon2id, whether there is such a client or not. A short one that was right is
 * then remembered under a key that only this check has. Where sign-ins may flood it (`isFloodable`), few statements look
 * clients up at a time.
 */
export function createClientCheck(query: Query, passwords: Passwords, isFloodable = false): AuthenticateClient {
  const findClient = createClientFinder(query, isFloodable ? mostForFlood : undefined)
  const key = generateBytes(32)
  const remembered = new Map<string, Promise<boolean>>()

  async function matchShort(id: string, storedHash: string | null, secret: string, network: string): Promise<boolean> {
    const name = keyedHash(key, `${storedHash}\n${id}\n${secret}`)
    const known = remembered.get(name)
    if (known) return known
    const matching = passwords.match(storedHash, secret, { client: '', network }).catch((error: unknown) => {
      if (error instanceof OAuthError) throw error
      throw refuseClient('stored secret hash unreadable', { clientId: id, cause: error })
    })
    if (remembered.size >= longestMemory) remembered.clear()
    remembered.set(name, matching)
    const matches = await matching.catch((error: unknown) => {
      remembered.delete(name)
      throw error
    })
    if (!matches) remembered.delete(name)
    return matches
  }

  /** Of a client's two hashes at most one is argon2id: rotating makes secrets that need none. */
  async function matchSecret(
    { id, secret }: { id: string; secret: string },
    client: ClientRow | undefined,
    network: string,
  ): Promise<boolean> {
    const hashes = [client?.secretHash ?? null, client?.previousHash ?? null]
    if (hashes.some((hash) => hash !== null && matchFast(hash, secret))) return true
    if (!isShortSecret(secret)) return false
    return matchShort(id, hashes.find((hash) => hash !== null && !isFast(hash)) ?? null, secret, network)
  }

  return async ({ id, secret }, network) => {
    if (id === '' && secret === null) throw refuseClient('no client credentials')
    const client = isClientId(id) ? await findClient(id) : undefined
    const matches = secret === null ? null : await matchSecret({ id, secret }, client, network)
    const reason = findFault(client, matches)
    if (!client || reason !== null) throw refuseClient(reason ?? '', { clientId: client?.id })
    const { isPublic, isBuiltIn, isTrusted, credentialVersion } = client
    return { id, isPublic, isBuiltIn, isTrusted, credentialVersion }
  }
}

/** Why a client is not let in, `matches` being null where it sent no secret; null when it is. */
function findFault(client: ClientRow | undefined, matches: boolean | null): string | null {
  if (!client) return 'unknown client'
  if (!client.isEnabled) return 'disabled client'
  if (client.isPublic) return matches === null ? null : 'public client with a secret'
  if (matches === null) return 'client secret missing'
  return matches ? null : 'wrong client secret'
}

function isFast(storedHash: string): boolean {
  return storedHash.startsWith('sha256:')
}

function matchFast(storedHash: string, secret: string): boolean {
  return isFast(storedHash) && matchHash(Buffer.from(storedHash.slice('sha256:'.length), 'hex'), hashSecret(secret))
}

/** The one answer for every client that is not let in; `reason` and the rest are for the log. */
export function refuseClient(
  reason: string,
  details: { clientId?: string | undefined; cause?: unknown } = {},
): OAuthError {
  return new OAuthError('invalid_client', 'Client authentication failed.', { reason, ...details })
}

interface ClientRow {
  id: string
  isPublic: boolean
  isBuiltIn: boolean
  isTrusted: boolean
  isEnabled: boolean
  credentialVersion: string
  secretHash: string | null
  previousHash: string | null
}

/** Finds clients by id; those asked for at the same time share a statement. */
function createClientFinder(
  query: Query,
  mostUnderWay: number | undefined,
): (id: string) => Promise<ClientRow | undefined> {
  return gatherRows(async (ids) => {
    const clients = await query<ClientRow>(
      'find_client',
      `select
        id,
        is_public as "isPublic",
        is_built_in as "isBuiltIn",
        is_trusted as "isTrusted",
        is_enabled as "isEnabled",
        credential_version as "credentialVersion",
        secret_hash as "secretHash",
        case when previous_secret_until > now() then previous_secret_hash end as "previousHash"
      from password_grant.clients
      where id = any ($1::text[])`,
      [ids],
    )
    return new Map(clients.map((client) => [client.id, client]))
  }, mostUnderWay)
}
