import { type Batching, batchLookups } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { isClientId } from './client-id.ts'

/** An application that has proved its identity, or a public one that has named itself. */
export interface Client {
  readonly id: string
  readonly isPublic: boolean
  /** Represents all callers of the dialect with the same name. No other endpoint but `/revoke` accepts it. */
  readonly isBuiltIn: boolean
  /** Sends its end user's address in `X-Forwarded-For`, before its own. */
  readonly isTrusted: boolean
  /** Renewed by every change that must refuse sign-ins in progress. */
  readonly credentialVersion: string
}

/**
 * Creates the refusal of a client (RFC 6749 §5.2). Every refusal has the same answer; only the log gets the details.
 */
export function refuseClient(
  reason: string,
  details: { clientId?: string | undefined; cause?: unknown } = {},
): OAuthError {
  return new OAuthError('invalid_client', 'Client authentication failed.', { reason, ...details })
}

/** A client as stored. */
export interface ClientRow extends Client {
  readonly isEnabled: boolean
  /** Null for a public client. */
  readonly secretHash: string | null
  /** The hash of the secret before the last rotation, while that secret is still valid. */
  readonly previousHash: string | null
}

/** Finds a client by id; null for an id that no client has. Throws OAuthError `temporarily_unavailable`. */
export type FindClient = (id: string) => Promise<ClientRow | null>

/** Creates a finder that batches concurrent look-ups into one statement. */
export function createClientFinder(query: Query, batching?: Batching): FindClient {
  const find = batchLookups(async (ids) => {
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
      where id = any ((select $1::text[])::text[])`,
      [ids],
    )
    return new Map(clients.map((client) => [client.id, client]))
  }, batching)
  return async (id) => (isClientId(id) ? ((await find(id)) ?? null) : null)
}
