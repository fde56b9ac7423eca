import type { FastifyInstance } from 'fastify'
import type { ListKeys } from '../../tokens/published-keys.ts'
import { writeError } from '../../wire/wire-reply.ts'
import type { EmitFrom } from '../log-events.ts'
import { reportTo, writeRefusals } from '../refusals.ts'

/** How keys are found, and who hears of refusals. */
export interface JwksRouteOptions {
  readonly listKeys: ListKeys
  readonly emit: EmitFrom
}

/** Where it is. */
export const jwksPath = '/.well-known/jwks.json'

/** `GET /.well-known/jwks.json` (RFC 7517 §5): the keys with which signed tokens can be verified without asking here. */
export async function jwksRoute(scope: FastifyInstance, { listKeys, emit }: JwksRouteOptions): Promise<void> {
  writeRefusals(scope, { report: reportTo(emit, { endpoint: jwksPath }), write: writeError })
  scope.get(jwksPath, async (_request, reply) => {
    const keys = await listKeys()
    // asked for again each time: after a rotation, an old set would refuse new tokens
    return reply
      .headers({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-cache' })
      .send(JSON.stringify({ keys }))
  })
}
