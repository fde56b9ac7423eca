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

/** The result of adding a client. */
export interface AddedClient {
  readonly client: RegisteredClient
  /** The generated secret, available only here; null for a public client and for a chosen secret. */
  readonly secret: string | null
  /** Whether a chosen secret has fewer than 16 characters and can be guessed. */
  readonly hasShortSecret: boolean
}

/**
 * Adds a client. `secret` is `'generated'` (256 bits), `'public'` (none) or a chosen one of an older system; the
 * database stores only its hash. `lifetimeSeconds` sets the lifetime of its tokens; default: the server's. Emits
 * `client.created`.
 *
 * Throws OAuthError `invalid_request` for an invalid id, secret or lifetime, with the status 409 for an id that is
 * taken. Throws OAuthError `temporarily_unavailable` when the database is away or the hash queue is full.
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
 * Gives a client a new generated secret, and resolves with it this one time. The old secret stays valid for
 * `overlapSeconds`; the default, 0, also refuses sign-ins in progress. The client's tokens stay valid. Emits
 * `client.rotated`.
 *
 * Throws OAuthError `invalid_request` for a public client and for an overlap that is not a whole number of seconds,
 * with the status 404 when there is no such client. Throws OAuthError `temporarily_unavailable` when the database is
 * away.
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
 * Disables a client, refuses its sign-ins in progress and ends its tokens, all in one transaction. Disabling a built-in
 * client closes its dialect. Emits `client.disabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such client, and `temporarily_unavailable`
 * when the database is away.
 */
export async function disableClient(operator: Operator, id: string): Promise<RegisteredClient> {
  return runOperation(operator, async (query) => {
    const client = await setClientEnabled(query, id, false) // first, since it refuses the sign-ins in progress
    const endedTokens = await revokeTokensOfClient(query, id)
    return { result: client, event: { type: 'client.disabled', clientId: id, endedTokens } }
  })
}

/**
 * Enables a disabled client. Its ended tokens stay ended. Emits `client.enabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such client, and `temporarily_unavailable`
 * when the database is away.
 */
export async function enableClient(operator: Operator, id: string): Promise<RegisteredClient> {
  return runOperation(operator, async (query) => {
    const client = await setClientEnabled(query, id, true)
    return { result: client, event: { type: 'client.enabled', clientId: id } }
  })
}

/**
 * Removes a client and all its tokens. Resolves with the removed client. Emits `client.removed`.
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
