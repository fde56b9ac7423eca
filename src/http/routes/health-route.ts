import type { FastifyInstance } from 'fastify'
import type { FindProblem } from '../../database/readiness.ts'

/**
 * Registers `GET /health/live` (the process answers) and `GET /health/ready` (the database is reachable and migrated).
 */
export async function healthRoute(
  scope: FastifyInstance,
  { findProblem }: { readonly findProblem: FindProblem },
): Promise<void> {
  scope.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  scope.get('/health/live', async () => ({ status: 'live' }))
  scope.get('/health/ready', async (_request, reply) => {
    const problem = await findProblem()
    if (problem === null) return { status: 'ready' }
    return reply.code(503).header('retry-after', 1).send({ status: 'not ready', reason: problem })
  })
}
