import type { FastifyReply } from 'fastify'
import type { WireReply } from '../dialects/dialect.ts'

/** Sends what carries, describes or refuses a token: nobody may keep it (RFC 6749 §5.1). */
export function sendReply(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  return reply
    .code(status)
    .headers({ 'cache-control': 'no-store', pragma: 'no-cache', ...headers })
    .send(body)
}
