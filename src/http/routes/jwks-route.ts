import type { FastifyInstance } from 'fastify'
import type { Query } from '../../database/database.ts'
import { gatherRows, oneAtATime } from '../../database/gather-rows.ts'
import { listPublishedKeys } from '../../tokens/signing-keys.ts'
import { writeError } from '../../wire/wire-reply.ts'
import type { EmitFrom } from '../log-events.ts'
import { reportTo, writeRefusals } from '../refusals.ts'

/** Where it is. */
export const jwksPath = '/.well-known/jwks.json'

/** Where the keys are, and who hears of refusals. */
export interface JwksRouteOptions {
  readonly query: Query
  readonly emit: EmitFrom
}

/** `GET /.well-known/jwks.json` (RFC 7517 §5): the keys with which signed tokens can be verified without asking here. */
export async function jwksRoute(scope: FastifyInstance, { query, emit }: JwksRouteOptions): Promise<void> {
  writeRefusals(scope, { report: reportTo(emit, { endpoint: jwksPath }), write: writeError })
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
