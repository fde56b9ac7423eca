import type { FastifyInstance } from 'fastify'
import { httpDate } from '../../http-date.ts'
import { type HolderTools, holderEndpoint } from '../holder-endpoint.ts'

/** Where it is. */
export const userinfoPath = '/userinfo'

/** `GET /userinfo`: whose token is this? */
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
