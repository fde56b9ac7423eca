import { fileURLToPath } from 'node:url'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** Where it is. */
export const docsPath = '/docs'

const description = fileURLToPath(new URL('../../openapi.yaml', import.meta.url))

/** `GET /docs`: a page to read `openapi.yaml` on and to try everything from. It asks no other host for anything. */
export async function docsRoute(scope: FastifyInstance): Promise<void> {
  await scope.register(swagger, {
    mode: 'static',
    specification: { path: description, baseDir: fileURLToPath(new URL('../../', import.meta.url)) },
  })
  await scope.register(swaggerUi, { routePrefix: docsPath })
}
