import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import type { Dialect } from '../../dialects/dialect.ts'
import { docsDescription } from '../docs/docs-description.ts'
import { docsSettings } from '../docs/docs-settings.ts'
import { docsTheme } from '../docs/docs-theme.ts'

/** What the page shows of this server. */
export interface DocsRouteOptions {
  /** The mounted dialects, with their paths. */
  readonly dialects: readonly Dialect[]
}

/** The path of the page. */
export const docsPath = '/docs'

const file = fileURLToPath(new URL('../../../openapi.yaml', import.meta.url))

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:", // Swagger UI's style sheet embeds its arrows
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache', // caches must revalidate, so that no old page remains after an upgrade
}

/**
 * Registers `GET /docs`, a page that shows `openapi.yaml` and tries the endpoints. It loads nothing from other hosts.
 */
export async function docsRoute(scope: FastifyInstance, { dialects }: DocsRouteOptions): Promise<void> {
  // loaded here, so that a server without the page starts without them
  const { default: swagger } = await import('@fastify/swagger')
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  scope.addHook('onSend', async (_request, reply) => void reply.headers(headers))
  await scope.register(swagger, {
    mode: 'static',
    specification: { path: file, baseDir: '', postProcessor: (document) => docsDescription(document, dialects) },
  })
  await scope.register(swaggerUi, { routePrefix: docsPath, uiConfig: docsSettings, theme: docsTheme })
}
