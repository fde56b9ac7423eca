import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

/** `GET /openapi.yaml`: the description this package ships, read once. */
export async function openapiRoute(scope: FastifyInstance): Promise<void> {
  const description = readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8')
  scope.get('/openapi.yaml', async (_request, reply) =>
    reply.header('content-type', 'application/yaml; charset=utf-8').send(description),
  )
}
