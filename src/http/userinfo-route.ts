import type { FastifyInstance } from 'fastify'
import { readBearer } from '../bearer/authorization.ts'
import { defaultRealm, noToken, refuseToken, writeChallenge } from '../bearer/challenge.ts'
import { writeJson } from '../dialects/reply.ts'
import { httpDate } from '../http-date.ts'
import type { FindToken } from '../tokens/find-token.ts'
import type { Token } from '../tokens/token.ts'
import { logRefusal, toOAuthError } from './failure.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { sendReply } from './send-reply.ts'

/** Where it is. */
export const userinfoPath = '/userinfo'

/** `GET /userinfo`: whose token is this? Refusals follow RFC 6750 §3. */
export async function userinfoRoute(scope: FastifyInstance, options: { findToken: FindToken }): Promise<void> {
  scope.setErrorHandler((thrown, request, reply) => {
    const error = toOAuthError(thrown)
    logRefusal(request, error, { durationMs: Math.round(reply.elapsedTime) })
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
    const headers = error.status === 405 ? error.headers : writeChallenge(defaultRealm, error)
    return sendReply(
      reply.headers(headers),
      writeJson(error.status, { error: error.code, error_description: error.description }),
    )
  })
  scope.get(userinfoPath, async (request, reply) => {
    const value = readBearer(request)
    if (value === null) {
      return sendReply(
        reply.headers(writeChallenge(defaultRealm, null)),
        writeJson(401, { error_description: noToken }),
      )
    }
    const found = await options.findToken(value)
    if ('ended' in found) throw refuseToken(found)
    return sendReply(reply, writeJson(200, describe(found.token)))
  })
  refuseOtherMethods(scope, userinfoPath, ['GET', 'HEAD'])
}

function describe(token: Token): object {
  return {
    userName: token.userName,
    userId: token.userId,
    role: token.role,
    '.issued': httpDate(token.issuedAt),
    '.expires': httpDate(token.expiresAt),
  }
}
