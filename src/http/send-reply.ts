import type { FastifyReply } from 'fastify'
import type { WireReply } from '../wire/wire-reply.ts'

/** Sends an answer that carries, describes or refuses a token, and forbids caching it (RFC 6749 §5.1). */
export function sendReply(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  const others = headers['vary'] === undefined ? undefined : reply.getHeader('vary') // set by CORS
  reply.code(status).headers({ 'cache-control': 'no-store', pragma: 'no-cache', ...headers })
  if (others !== undefined) reply.header('vary', `${others}, ${headers['vary']}`)
  return reply.send(body)
}

/** Sends an answer that says nothing about a token and may be cached. */
export function sendPlainReply(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  return reply
    .code(status)
    .headers({ ...headers })
    .send(body)
}
