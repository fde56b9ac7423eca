import type { FastifyInstance } from 'fastify'
import { OAuthError } from '../../errors.ts'
import type { AuthenticateClient } from '../../grants/authenticate-client.ts'
import type { RevokeToken } from '../../tokens/revoke-token.ts'
import type { ReadValue } from '../../tokens/signed-value.ts'
import type { TokenCache } from '../../tokens/token-cache.ts'
import { requiredField } from '../../wire/fields.ts'
import { describeOrigin, type EmitFrom } from '../log-events.ts'
import { tokenValueEndpoint } from '../token-value-endpoint.ts'

/** The tools of the route. */
export interface RevocationRouteOptions {
  readonly authenticateClient: AuthenticateClient
  readonly readValue: ReadValue
  readonly revokeToken: RevokeToken
  readonly forgetToken: TokenCache['forgetToken']
  readonly emit: EmitFrom
}

const place = { endpoint: 'revocation' }

/** The path of the route. */
export const revocationPath = '/revoke'

/**
 * Registers `POST /revoke` (RFC 7009), where a client ends one of its own tokens. Answers 200 with an empty body, also
 * for a value that is not a live token (§2.2). Refuses to end another client's live token.
 */
export async function revocationRoute(scope: FastifyInstance, options: RevocationRouteOptions): Promise<void> {
  const { authenticateClient, readValue, revokeToken, forgetToken, emit } = options
  await tokenValueEndpoint(scope, {
    url: revocationPath,
    place,
    emit,
    authenticateClient,
    answer: async ({ client, fields, request, reply }) => {
      const named = await readValue(requiredField(fields, 'token'))
      const revoked = named && (await revokeToken(client.id, named))
      if (revoked === 'of another client') throw refuseForeign(client.id)
      if (revoked !== null) {
        forgetToken(revoked.id)
        const { id: tokenId, userId } = revoked
        const origin = describeOrigin(request, reply, place)
        emit({ type: 'token.revoked', by: 'client', userId, clientId: client.id, tokenId, ...origin }, request)
      }
      return { status: 200, headers: {}, body: '' }
    },
  })
}

/** RFC 7009 §2.1: a client revokes only its own tokens. */
function refuseForeign(clientId: string): OAuthError {
  return new OAuthError('unauthorized_client', 'The token was issued to another client.', { clientId })
}
