import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import type { Dialect } from '../../dialects/dialect.ts'
import { docsDescription } from '../docs/docs-description.ts'
import { docsSettings } from '../docs/docs-settings.ts'
import { docsTheme } from '../docs/docs-theme.ts'

/** What the page has to know of the server it is about. */
export interface DocsRouteOptions {
  /** What is mounted, and where. */
  readonly dialects: readonly Dialect[]
}

/** Where it is. */
export const docsPath = '/docs'

const file = fileURLToPath(new URL('../../../openapi.yaml', import.meta.url))

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:", // Swagger UI's style sheet has its arrows in itself
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache', // may be kept, but is asked for again each time: no old page after an upgrade
}

/** `GET /docs`: a page to read `openapi.yaml` on and to try everything from. It asks no other host for anything. */
export async function docsRoute(scope: FastifyInstance, { dialects }: DocsRouteOptions): Promise<void> {
  // loaded here, since a server without the page is to start without them
  const { default: swagger } = await import('@fastify/swagger')
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  scope.addHook('onSend', async (_request, reply) => void reply.headers(headers))
  await scope.register(swagger, {
    mode: 'static',
    specification: { path: file, baseDir: '', postProcessor: (document) => docsDescription(document, dialects) },
  })
  await scope.register(swaggerUi, { routePrefix: docsPath, uiConfig: docsSettings, theme: docsTheme })
}
