import { type Batching, batchLookups } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { isClientId } from './client-id.ts'

/** An application that proved its identity, or a public one that named itself. */
export interface Client {
  readonly id: string
  readonly isPublic: boolean
  /** Stands for all callers of the dialect of its name, and is accepted nowhere else. */
  readonly isBuiltIn: boolean
  /** Names its end user's address in `X-Forwarded-For`, before its own. */
  readonly isTrusted: boolean
  /** Changes with every change that must end a sign-in under way. */
  readonly credentialVersion: string
}

/** Refuses a client: one answer for all, `reason` and the rest are for the log (RFC 6749 §5.2). */
export function refuseClient(
  reason: string,
  details: { clientId?: string | undefined; cause?: unknown } = {},
): OAuthError {
  return new OAuthError('invalid_client', 'Client authentication failed.', { reason, ...details })
}

/** A client as its row tells it. */
export interface ClientRow extends Client {
  readonly isEnabled: boolean
  /** Null for a public client. */
  readonly secretHash: string | null
  /** Of the secret before the last rotation, while it counts. */
  readonly previousHash: string | null
}

/** Finds a client by id; null for an id that no client has. Throws OAuthError `temporarily_unavailable`. */
export type FindClient = (id: string) => Promise<ClientRow | null>

/** Creates a finder whose look-ups at the same time share a statement; `batching` says how. */
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
