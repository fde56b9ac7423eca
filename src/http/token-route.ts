import type { FastifyInstance } from 'fastify'
import type { AuthenticateClient } from '../clients/authenticate-client.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { grantToken } from '../grants/grant.ts'
import type { GrantTools } from '../grants/grant-tools.ts'
import type { IssuedToken } from '../tokens/token.ts'
import type { TokenCache } from '../tokens/token-cache.ts'
import { type Asked, formRoute } from './form-route.ts'
import { pathInAnyCase } from './path-pattern.ts'

/** What one mounted dialect works with. */
export interface TokenRouteOptions {
  readonly dialect: Dialect
  readonly authenticateClient: AuthenticateClient
  readonly tools: GrantTools
  readonly forgetToken: TokenCache['forgetToken']
}

/** One dialect's endpoint: its words in, a grant, its words out. */
export async function tokenRoute(scope: FastifyInstance, options: TokenRouteOptions): Promise<void> {
  const { dialect, authenticateClient, tools, forgetToken } = options
  await scope.register(formRoute, {
    url: pathInAnyCase(dialect.path),
    methods: ['GET', 'POST'],
    example: 'grant_type=password&username=...&password=...',
    logged: { dialect: dialect.name },
    authenticateClient,
    answer: async (asked) => {
      const token = await grantToken(tools, asked.client, dialect.read(asked.fields))
      forgetToken(token.id) // nobody here is to be let in with the value it replaced
      logSignIn(asked, dialect, token)
      return dialect.write(token)
    },
    refuse: dialect.refuse,
  })
}

function logSignIn({ request, reply }: Asked, dialect: Dialect, token: IssuedToken): void {
  request.log.info(
    {
      event: 'sign-in',
      userId: token.userId,
      client: token.clientId,
      dialect: dialect.name,
      durationMs: Math.round(reply.elapsedTime),
      address: request.ip,
    },
    'signed in',
  )
}
