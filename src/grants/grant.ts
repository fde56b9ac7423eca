import type { Client } from '../clients/client.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { type DeviceRequest, grantDevice } from './device-grant.ts'
import type { GrantTools } from './grant-tools.ts'
import { grantPassword, type PasswordRequest } from './password-grant.ts'
import type { Source } from './source.ts'

/** What is asked for, in our words: a union with one member for each way of earning a token. */
export type TokenRequest = PasswordRequest | DeviceRequest

/** Gives a token for a request that earned it. Throws OAuthError for every one that did not. */
export function grantToken(
  tools: GrantTools,
  client: Client,
  request: TokenRequest,
  source: Source,
): Promise<IssuedToken> {
  switch (request.grant) {
    case 'password':
      return grantPassword(tools, client, request, source)
    case 'device signature':
      return grantDevice(tools, client, request, source)
  }
}
