import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'

/** Registers `GET /openapi.yaml`, with the description in this package, read once. */
export async function openapiRoute(scope: FastifyInstance): Promise<void> {
  const description = readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8')
  scope.get('/openapi.yaml', async (_request, reply) =>
    reply.header('content-type', 'application/yaml; charset=utf-8').send(description),
  )
}
