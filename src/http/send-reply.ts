import type { FastifyReply } from 'fastify'
import type { WireReply } from '../wire/wire-reply.ts'

/** Sends what carries, describes or refuses a token: nobody may keep it (RFC 6749 §5.1). */
export function sendReply(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  const others = headers['vary'] === undefined ? undefined : reply.getHeader('vary') // CORS has its own
  reply.code(status).headers({ 'cache-control': 'no-store', pragma: 'no-cache', ...headers })
  if (others !== undefined) reply.header('vary', `${others}, ${headers['vary']}`)
  return reply.send(body)
}

/** Sends what tells of no token, and may be kept. */
export function sendPlainReply(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  return reply
    .code(status)
    .headers({ ...headers })
    .send(body)
}
