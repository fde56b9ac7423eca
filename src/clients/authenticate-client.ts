import type { Query } from '../database/database.ts'
import { gatherRows } from '../database/gather-rows.ts'
import { OAuthError } from '../errors.ts'
import type { Passwords } from '../passwords/password.ts'
import { generateBytes, hashSecret, keyedHash, matchHash } from '../secrets.ts'
import { isClientId } from './client-id.ts'

/** An application that proved who it is, or a public one that only said so. */
export interface Client {
  readonly id: string
  readonly isPublic: boolean
  /** Stands for everybody who uses the dialect of its name, and counts nowhere else. */
  readonly isBuiltIn: boolean
  /** Changes with whatever must end a sign-in under way. */
  readonly credentialVersion: string
}

/** What a request says of its client; no secret for a public one. */
export interface ClientCredentials {
  readonly id: string
  readonly secret: string | null
}

/**
 * Credentials → client. Throws OAuthError `invalid_client`, the same for unknown, wrong and disabled
 * (RFC 6749 §5.2), or `temporarily_unavailable`.
 */
export type AuthenticateClient = (credentials: ClientCredentials) => Promise<Client>

const longestMemory = 10_000

/**
 * Checks clients against the database. A secret with 256 bits of its own costs a fast hash; a short chosen
 * one costs argon2id once and is then remembered under a key that only this check has.
 */
export function createClientCheck(query: Query, passwords: Passwords): AuthenticateClient {
  const findClient = createClientFinder(query)
  const key = generateBytes(32)
  const remembered = new Map<string, Promise<boolean>>()

  async function matchChosen(clientId: string, storedHash: string, secret: string): Promise<boolean> {
    const name = keyedHash(key, `${storedHash}\n${secret}`)
    const known = remembered.get(name)
    if (known) return known
    const matching = passwords.match(storedHash, secret).catch((error: unknown) => {
      if (error instanceof OAuthError) throw error
      throw refuseClient('stored secret hash unreadable', { clientId, cause: error })
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

  async function matchSecret(clientId: string, storedHash: string | null, secret: string): Promise<boolean> {
    if (storedHash === null) return false
    if (!storedHash.startsWith('sha256:')) return matchChosen(clientId, storedHash, secret)
    return matchHash(Buffer.from(storedHash.slice('sha256:'.length), 'hex'), hashSecret(secret))
  }

  return async ({ id, secret }) => {
    if (id === '' && secret === null) throw refuseClient('no client credentials')
    const client = isClientId(id) ? await findClient(id) : undefined
    if (!client) throw refuseClient('unknown client')
    const { isPublic, isBuiltIn, credentialVersion } = client
    if (!client.isEnabled) throw refuseClient('disabled client', { clientId: id })
    if (isPublic) {
      if (secret !== null) throw refuseClient('public client with a secret', { clientId: id })
      return { id, isPublic, isBuiltIn, credentialVersion }
    }
    if (secret === null) throw refuseClient('client secret missing', { clientId: id })
    const matches =
      (await matchSecret(id, client.secretHash, secret)) || (await matchSecret(id, client.previousHash, secret))
    if (!matches) throw refuseClient('wrong client secret', { clientId: id })
    return { id, isPublic, isBuiltIn, credentialVersion }
  }
}

/** The one answer for every client that is not let in; `reason` and the rest are for the log. */
export function refuseClient(reason: string, details: { clientId?: string; cause?: unknown } = {}): OAuthError {
  return new OAuthError('invalid_client', 'Client authentication failed.', { reason, ...details })
}

interface ClientRow {
  id: string
  isPublic: boolean
  isBuiltIn: boolean
  isEnabled: boolean
  credentialVersion: string
  secretHash: string | null
  previousHash: string | null
}

/** Finds clients by id; those asked for at the same time share a statement. */
function createClientFinder(query: Query): (id: string) => Promise<ClientRow | undefined> {
  return gatherRows(async (ids) => {
    const clients = await query<ClientRow>(
      'find_client',
      `select
        id,
        is_public as "isPublic",
        is_built_in as "isBuiltIn",
        is_enabled as "isEnabled",
        credential_version as "credentialVersion",
        secret_hash as "secretHash",
        case when previous_secret_until > now() then previous_secret_hash end as "previousHash"
      from password_grant.clients
      where id = any ($1::text[])`,
      [ids],
    )
    return new Map(clients.map((client) => [client.id, client]))
  })
}
