import type { FastifyInstance } from 'fastify'
import { httpDate } from '../../http-date.ts'
import { type HolderTools, holderEndpoint } from '../holder-endpoint.ts'

/** The path of the route. */
export const userinfoPath = '/userinfo'

/** Registers `GET /userinfo`, which tells the holder of a token whose it is. */
export async function userinfoRoute(scope: FastifyInstance, tools: HolderTools): Promise<void> {
  await scope.register(holderEndpoint, {
    ...tools,
    url: userinfoPath,
    methods: ['GET'],
    answer: (token) => ({
      userName: token.userName,
      userId: token.userId,
      role: token.role,
      '.issued': httpDate(token.issuedAt),
      '.expires': httpDate(token.expiresAt),
    }),
  })
}
