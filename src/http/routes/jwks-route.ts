import type { FastifyInstance } from 'fastify'
import type { ListKeys } from '../../tokens/published-keys.ts'
import { writeError } from '../../wire/wire-reply.ts'
import type { EmitFrom } from '../log-events.ts'
import { reportTo, writeRefusals } from '../refusals.ts'

/** The tools of the route. */
export interface JwksRouteOptions {
  readonly listKeys: ListKeys
  readonly emit: EmitFrom
}

/** The path of the route. */
export const jwksPath = '/.well-known/jwks.json'

/** Registers `GET /.well-known/jwks.json` (RFC 7517 §5): the keys to verify signed tokens without asking the server. */
export async function jwksRoute(scope: FastifyInstance, { listKeys, emit }: JwksRouteOptions): Promise<void> {
  writeRefusals(scope, { report: reportTo(emit, { endpoint: jwksPath }), write: writeError })
  scope.get(jwksPath, async (_request, reply) => {
    const keys = await listKeys()
    // no-cache: after a rotation, a cached set would refuse new tokens
    return reply
      .headers({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-cache' })
      .send(JSON.stringify({ keys }))
  })
}
