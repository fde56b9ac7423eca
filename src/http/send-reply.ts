import type { FastifyReply } from 'fastify'
import type { WireReply } from '../dialects/dialect.ts'

/** Sends what carries, describes or refuses a token: nobody may keep it (RFC 6749 §5.1). */
export function sendReply(reply: FastifyReply, { status, headers, body }: WireReply): FastifyReply {
  const vary = [reply.getHeader('vary'), headers['vary']].filter((names) => names !== undefined) // CORS has its own
  return reply
    .code(status)
    .headers({ 'cache-control': 'no-store', pragma: 'no-cache', ...headers })
    .headers(vary.length > 0 ? { vary: vary.join(', ') } : {})
    .send(body)
}
