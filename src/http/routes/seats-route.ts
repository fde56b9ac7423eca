import type { FastifyInstance, FastifyRequest } from 'fastify'
import { OAuthError } from '../../errors.ts'
import { httpDate } from '../../http-date.ts'
import type { RevokeSeat } from '../../tokens/revoke-token.ts'
import type { Token } from '../../tokens/token.ts'
import type { TokenCache } from '../../tokens/token-cache.ts'
import { type HolderTools, holderEndpoint } from '../holder-endpoint.ts'
import { describeOrigin } from '../log-events.ts'

/** The tools of the routes. */
export interface SeatsRouteOptions extends HolderTools {
  readonly listSeats: (userId: string) => Promise<readonly Token[]>
  readonly revokeSeat: RevokeSeat
  readonly forgetToken: TokenCache['forgetToken']
}

/** The path of the routes. */
export const seatsPath = '/seats'

/** Registers `GET /seats` and `DELETE /seats/{id}`, where users see and end their sign-ins. */
export async function seatsRoute(scope: FastifyInstance, options: SeatsRouteOptions): Promise<void> {
  const { listSeats, revokeSeat, forgetToken, ...tools } = options
  await scope.register(holderEndpoint, {
    ...tools,
    url: seatsPath,
    methods: ['GET'],
    answer: async ({ id, userId }) => (await listSeats(userId)).map((token) => describe(token, id)),
  })
  await scope.register(holderEndpoint, {
    ...tools,
    url: `${seatsPath}/:id`,
    methods: ['DELETE'],
    answer: async ({ userId }, request, reply) => {
      const id = readId(request)
      if (!(await revokeSeat(userId, id))) throw refuseUnknown()
      forgetToken(id)
      const origin = describeOrigin(request, reply, { endpoint: seatsPath })
      tools.emit({ type: 'token.revoked', by: 'user', userId, tokenId: id, ...origin }, request)
      return null
    },
  })
}

function readId({ params }: FastifyRequest): string {
  const id = (params as { id: string }).id.toLowerCase() // the route's pattern has the parameter
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) throw refuseUnknown()
  return id
}

/** Creates the same refusal for another user's seat and for an unknown one. */
function refuseUnknown(): OAuthError {
  return new OAuthError('not_found', 'You have no seat with that id.')
}

function describe(token: Token, currentId: string): object {
  return {
    id: token.id,
    device: token.device,
    client_id: token.clientId,
    '.issued': httpDate(token.issuedAt),
    '.expires': httpDate(token.expiresAt),
    current: token.id === currentId,
  }
}
