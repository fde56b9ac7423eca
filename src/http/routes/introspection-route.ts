import type { FastifyInstance } from 'fastify'
import { refuseClient } from '../../clients/client.ts'
import type { AuthenticateClient } from '../../grants/authenticate-client.ts'
import type { FindToken } from '../../tokens/find-token.ts'
import type { Token } from '../../tokens/token.ts'
import { requiredField } from '../../wire/fields.ts'
import { writeJson } from '../../wire/wire-reply.ts'
import { describeOrigin, type EmitFrom } from '../log-events.ts'
import { tokenValueEndpoint } from '../token-value-endpoint.ts'

/** The tools of the route. */
export interface IntrospectionRouteOptions {
  readonly authenticateClient: AuthenticateClient
  readonly findToken: FindToken
  readonly emit: EmitFrom
}

const place = { endpoint: 'introspection' }

/** The path of the route. */
export const introspectionPath = '/introspect'

/**
 * Registers `POST /introspect` (RFC 7662), where any confidential client asks about any client's token. For a value
 * that is not a live token, answers only `{"active":false}` (§2.2); the log has the reason.
 */
export async function introspectionRoute(scope: FastifyInstance, options: IntrospectionRouteOptions): Promise<void> {
  const { authenticateClient, findToken, emit } = options
  await tokenValueEndpoint(scope, {
    url: introspectionPath,
    place,
    emit,
    authenticateClient,
    answer: async ({ client, fields, request, reply }) => {
      // §2.1: a public client proves nothing, so anyone could scan for tokens in its name
      if (client.isPublic) throw refuseClient('public client at introspection', { clientId: client.id })
      const found = await findToken(requiredField(fields, 'token'))
      if ('token' in found) return writeJson(200, describe(found.token))
      const { ended, userId } = found
      const origin = describeOrigin(request, reply, place)
      emit(
        { type: 'token.introspected_inactive', reason: `token ${ended}`, userId, clientId: client.id, ...origin },
        request,
      )
      return writeJson(200, { active: false })
    },
  })
}

/** RFC 7662 §2.2: times are whole seconds since 1970. */
function describe(token: Token): object {
  return {
    active: true,
    client_id: token.clientId,
    username: token.userName,
    sub: token.userId,
    role: token.role,
    token_type: 'bearer',
    iat: token.issuedAt.toUnixInteger(),
    exp: token.expiresAt.toUnixInteger(),
  }
}
