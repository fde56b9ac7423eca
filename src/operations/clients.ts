import {
  insertClient,
  type NewClient,
  prepareClient,
  type RegisteredClient,
  removeClient as removeRow,
  rotateClient as rotateSecret,
  setClientEnabled,
} from '../clients/register-client.ts'
import { isShortSecret } from '../secrets.ts'
import { revokeTokensOfClient } from '../tokens/revoke-token.ts'
import type { HashingOperator, Operator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/** A client that was added. */
export interface AddedClient {
  readonly client: RegisteredClient
  /** The generated secret, here and never again; null for a public client and for a chosen secret. */
  readonly secret: string | null
  /** Whether a chosen secret has fewer than 16 characters and can be guessed. */
  readonly hasShortSecret: boolean
}

/**
 * Adds a client. `secret` is `'generated'` (256 bits), `'public'` (none) or a chosen one of an older system; only a hash is
 * stored. `lifetimeSeconds` is how long its tokens live, by default the server's setting. Emits `client.created`.
 *
 * Throws OAuthError `invalid_request` for an id, a secret or a lifetime that the product refuses, with the status 409 for
 * an id that is taken. Throws OAuthError `temporarily_unavailable` when the database is away or the hash queue full.
 */
export async function addClient(
  operator: HashingOperator,
  id: string,
  options: Omit<NewClient, 'id'>,
): Promise<AddedClient> {
  const prepared = await prepareClient(operator.passwords, { ...options, id })
  const hasShortSecret = typeof options.secret === 'object' && isShortSecret(options.secret.chosen)
  return runOperation(operator, async (query) => {
    const client = await insertClient(query, prepared)
    return {
      result: { client, secret: prepared.generatedSecret, hasShortSecret },
      event: { type: 'client.created', clientId: id },
    }
  })
}

/**
 * Gives a client a new generated secret and resolves with it, here and never again. The old one counts for
 * `overlapSeconds` more, by default 0, which also refuses sign-ins under way. Its tokens live on. Emits `client.rotated`.
 *
 * Throws OAuthError `invalid_request` for a public client and for an overlap that is no whole number of seconds, with the
 * status 404 when there is no such client. Throws OAuthError `temporarily_unavailable` when the database is away.
 */
export async function rotateClient(
  operator: Operator,
  id: string,
  { overlapSeconds = 0 }: { overlapSeconds?: number | undefined } = {},
): Promise<string> {
  return runOperation(operator, async (query) => {
    const secret = await rotateSecret(query, id, overlapSeconds)
    return { result: secret, event: { type: 'client.rotated', clientId: id, overlapSeconds } }
  })
}

/**
 * Refuses a client from now on, sign-ins under way included, and ends its tokens in the same transaction. Of a built-in
 * client it closes the dialect. Emits `client.disabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such client, and `temporarily_unavailable` when
 * the database is away.
 */
export async function disableClient(operator: Operator, id: string): Promise<RegisteredClient> {
  return runOperation(operator, async (query) => {
    const client = await setClientEnabled(query, id, false) // first: it refuses the sign-ins under way
    const endedTokens = await revokeTokensOfClient(query, id)
    return { result: client, event: { type: 'client.disabled', clientId: id, endedTokens } }
  })
}

/**
 * Lets a disabled client ask again; tokens that have ended stay ended. Emits `client.enabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such client, and `temporarily_unavailable` when
 * the database is away.
 */
export async function enableClient(operator: Operator, id: string): Promise<RegisteredClient> {
  return runOperation(operator, async (query) => {
    const client = await setClientEnabled(query, id, true)
    return { result: client, event: { type: 'client.enabled', clientId: id } }
  })
}

/**
 * Removes a client with all its tokens. Resolves with the client as it was. Emits `client.removed`.
 *
 * Throws OAuthError `invalid_request` for a built-in client, with the status 404 when there is no such client. Throws
 * OAuthError `temporarily_unavailable` when the database is away.
 */
export async function removeClient(operator: Operator, id: string): Promise<RegisteredClient> {
  return runOperation(operator, async (query) => {
    const client = await removeRow(query, id)
    return { result: client, event: { type: 'client.removed', clientId: id } }
  })
}
