import type { FastifyInstance } from 'fastify'
import { type Dialect, signsTokens } from '../../dialects/dialect.ts'
import { introspectionPath } from './introspection-route.ts'
import { jwksPath } from './jwks-route.ts'
import { revocationPath } from './revocation-route.ts'
import { userinfoPath } from './userinfo-route.ts'

/** The content of the metadata. */
export interface MetadataRouteOptions {
  readonly dialects: readonly Dialect[]
  /** The issuer: the public origin of the server. Default: the listening address. */
  readonly publicUrl?: string | undefined
  /** The path of a page for people (§2, `service_documentation`). */
  readonly documentationPath?: string | undefined
}

/** The path of the route (§3). */
const metadataPath = '/.well-known/oauth-authorization-server'

/** Registers `GET /.well-known/oauth-authorization-server` (RFC 8414), which lists only mounted endpoints. */
export async function metadataRoute(scope: FastifyInstance, options: MetadataRouteOptions): Promise<void> {
  scope.get(metadataPath, async (_request, reply) =>
    reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify(describe(options.publicUrl ?? listeningOrigin(scope), scope.prefix, options))),
  )
}

/** Returns an issuer for development. Behind a proxy, set PUBLIC_URL: a caller can put anything into a Host header. */
function listeningOrigin(scope: FastifyInstance): string {
  return scope.server.listening ? scope.listeningOrigin : 'http://localhost'
}

const proofs = ['client_secret_basic', 'client_secret_post']

function describe(issuer: string, prefix: string, { dialects, documentationPath }: MetadataRouteOptions): object {
  const at = (path: string) => `${issuer}${prefix.replace(/\/$/, '')}${path}`
  const webapi = dialects.find(({ name }) => name === 'webapi')
  return {
    issuer,
    ...(webapi && {
      token_endpoint: at(webapi.path),
      token_endpoint_auth_methods_supported: [...proofs, 'none'],
    }),
    grant_types_supported: webapi ? ['password'] : [], // omitting it would mean other grants (§2)
    response_types_supported: [],
    ...(dialects.some(signsTokens) && { jwks_uri: at(jwksPath) }),
    introspection_endpoint: at(introspectionPath),
    introspection_endpoint_auth_methods_supported: proofs,
    revocation_endpoint: at(revocationPath),
    revocation_endpoint_auth_methods_supported: [...proofs, 'none'],
    userinfo_endpoint: at(userinfoPath),
    ...(documentationPath && { service_documentation: at(documentationPath) }),
  }
}
