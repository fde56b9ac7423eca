import type { FastifyInstance } from 'fastify'
import type { Database } from '../database/database.ts'
import { schemaState } from '../database/migrate.ts'

/** `GET /health/live`: the process answers. `GET /health/ready`: the database is reachable and migrated. */
export async function healthRoute(scope: FastifyInstance, options: { database: Database }): Promise<void> {
  scope.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  scope.get('/health/live', async () => ({ status: 'live' }))
  scope.get('/health/ready', async (_request, reply) => {
    const problem = await findProblem(options.database)
    if (problem === null) return { status: 'ready' }
    return reply.code(503).header('retry-after', 1).send({ status: 'not ready', reason: problem })
  })
}

async function findProblem(database: Database): Promise<string | null> {
  try {
    const state = await schemaState(database.tokenQuery)
    return state === 'current' ? null : `the database is ${state}`
  } catch {
    return 'the database is away'
  }
}
