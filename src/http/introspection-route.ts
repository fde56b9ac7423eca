import type { FastifyInstance } from 'fastify'
import { refuseClient } from '../clients/client.ts'
import { requiredField } from '../dialects/fields.ts'
import { readForm } from '../dialects/read-form.ts'
import { writeJson, writeRefusal } from '../dialects/reply.ts'
import type { AuthenticateClient } from '../grants/authenticate-client.ts'
import type { FindToken, FoundToken } from '../tokens/find-token.ts'
import type { Token } from '../tokens/token.ts'
import { byCredentials } from './client-auth.ts'
import { type Asked, fieldsRoute } from './fields-route.ts'
import { showAddress } from './network.ts'

/** Who may ask, and how tokens are found. */
export interface IntrospectionRouteOptions {
  readonly authenticateClient: AuthenticateClient
  readonly findToken: FindToken
}

const example = 'token=...'

/** Where it is. */
export const introspectionPath = '/introspect'

/**
 * `POST /introspect` (RFC 7662): any confidential client asks about any client's token. Whatever is not a live token is
 * `{"active":false}` and nothing more (§2.2); why stands in the log.
 */
export async function introspectionRoute(scope: FastifyInstance, options: IntrospectionRouteOptions): Promise<void> {
  const { findToken } = options
  await scope.register(fieldsRoute, {
    urls: [introspectionPath],
    methods: ['POST'],
    example,
    decode: ({ text }) => readForm(text, example),
    logged: { endpoint: 'introspection' },
    identifyClient: byCredentials(options.authenticateClient),
    answer: async (asked) => {
      const { client, fields } = asked
      // §2.1: who only says its id could scan for tokens
      if (client.isPublic) throw refuseClient('public client at introspection', { clientId: client.id })
      const found = await findToken(requiredField(fields, 'token'))
      logInactive(asked, found)
      return writeJson(200, 'token' in found ? describe(found.token) : { active: false })
    },
    refuse: writeRefusal,
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

function logInactive({ client, request, write }: Asked, found: FoundToken): void {
  if ('token' in found) return
  const { ended, userId } = found
  write(request.log, {
    level: 'info',
    event: 'introspection',
    reason: `token ${ended}`,
    message: `inactive: token ${ended}`,
    facts: { userId, client: client.id, address: showAddress(request.ip) },
  })
}
