import type { FastifyInstance } from 'fastify'
import type { Database, Query } from '../../database/database.ts'
import { gatherRows, oneAtATime } from '../../database/gather-rows.ts'
import { schemaState } from '../../database/migrate.ts'

/** `GET /health/live`: the process answers. `GET /health/ready`: the database is reachable and migrated. */
export async function healthRoute(scope: FastifyInstance, options: { database: Database }): Promise<void> {
  scope.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  scope.get('/health/live', async () => ({ status: 'live' }))
  const findProblem = createCheck(options.database)
  scope.get('/health/ready', async (_request, reply) => {
    const problem = await findProblem()
    if (problem === null) return { status: 'ready' }
    return reply.code(503).header('retry-after', 1).send({ status: 'not ready', reason: problem })
  })
}

/** One check at a time answers all who asked before it, however many ask. */
function createCheck({ tokenQuery }: Database): () => Promise<string | null> {
  const check = gatherRows(async () => {
    const problem = (await findProblem(tokenQuery)) && (await findProblem(tokenQuery)) // a busy moment is no outage
    return new Map([[key, problem]])
  }, oneAtATime)
  return () =>
    check(key).then(
      (problem) => problem ?? null,
      () => away,
    )
}

const key = 'problem'
const away = 'the database is away'

async function findProblem(query: Query): Promise<string | null> {
  try {
    const state = await schemaState(query)
    return state === 'current' ? null : `the database is ${state}`
  } catch {
    return away
  }
}
