import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { httpDate } from '../http-date.ts'
import { createTokenFinder } from '../tokens/find-token.ts'
import type { Token, TokenEnd } from '../tokens/token.ts'
import { readBearer } from './authorization.ts'
import { logRefusal, toOAuthError } from './failure.ts'

/** `GET /userinfo`: whose token is this? Refusals follow RFC 6750 §3. */
export async function userinfoRoute(scope: FastifyInstance, options: { tokenQuery: Query }): Promise<void> {
  scope.setErrorHandler((thrown, request, reply) => {
    const error = toOAuthError(thrown)
    logRefusal(request, error, { durationMs: Math.round(reply.elapsedTime) })
    return refuse(reply, error)
  })
  const findToken = createTokenFinder(options.tokenQuery)
  scope.get('/userinfo', async (request, reply) => {
    const value = readBearer(request)
    if (value === null) return challenge(reply)
    const found = await findToken(value)
    if ('ended' in found) throw refuseToken(found)
    return send(reply, 200, describe(found.token))
  })
}

const endings: Record<TokenEnd, string> = {
  expired: 'The token has expired. Sign in again.',
  superseded: 'The token was replaced by a newer sign-in of the same user.',
  revoked: 'The token was revoked. Sign in again.',
  unknown: 'The token is unknown.',
}

function refuseToken({ ended, userId }: { ended: TokenEnd; userId?: string }): OAuthError {
  return new OAuthError('invalid_token', endings[ended], { reason: `token ${ended}`, userId })
}

const realm = 'Bearer realm="password-grant"'

/** RFC 6750 §3.1: who sent no token at all is told how to, without an error code. */
function challenge(reply: FastifyReply): FastifyReply {
  reply.header('www-authenticate', realm)
  return send(reply, 401, { error_description: 'Send a token: Authorization: Bearer <token>' })
}

function refuse(reply: FastifyReply, error: OAuthError): FastifyReply {
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
  if (error.status < 500) {
    reply.header('www-authenticate', `${realm}, error="${error.code}", error_description="${error.description}"`)
  }
  return send(reply, error.status, { error: error.code, error_description: error.description })
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

function send(reply: FastifyReply, status: number, body: object): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/json; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('pragma', 'no-cache')
    .send(JSON.stringify(body))
}
