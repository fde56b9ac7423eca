import type { FastifyInstance } from 'fastify'
import type { Query } from '../../database/database.ts'
import { gatherRows, oneAtATime } from '../../database/gather-rows.ts'
import { writeJson } from '../../dialects/reply.ts'
import { listPublishedKeys } from '../../tokens/signing-keys.ts'
import { createBoundedLog } from '../bounded-log.ts'
import { toOAuthError } from '../failure.ts'
import { sendReply } from '../send-reply.ts'

/** Where it is. */
export const jwksPath = '/.well-known/jwks.json'

/** `GET /.well-known/jwks.json` (RFC 7517 §5): the keys with which signed tokens can be verified without asking here. */
export async function jwksRoute(scope: FastifyInstance, { query }: { query: Query }): Promise<void> {
  const write = createBoundedLog(scope)
  scope.setErrorHandler((thrown, request, reply) => {
    const error = toOAuthError(thrown)
    const { reason = error.description, cause: err } = error
    write(request.log, {
      level: 'warn',
      event: 'refusal',
      reason,
      message: 'the public keys cannot be read',
      place: { endpoint: jwksPath },
      facts: { err },
    })
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
    return sendReply(reply, writeJson(error.status, { error: error.code, error_description: error.description }))
  })
  // one statement at a time answers all who asked before it: a key is never hidden from who asks after it has signed
  const find = gatherRows(async () => new Map([[jwksPath, await listPublishedKeys(query)]]), oneAtATime)
  scope.get(jwksPath, async (_request, reply) => {
    const keys = await find(jwksPath)
    // asked for again each time: after a rotation, an old set would refuse new tokens
    return reply
      .headers({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-cache' })
      .send(JSON.stringify({ keys }))
  })
}
