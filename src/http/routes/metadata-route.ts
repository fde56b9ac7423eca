import type { FastifyInstance } from 'fastify'
import { type Dialect, signsTokens } from '../../dialects/dialect.ts'
import { introspectionPath } from './introspection-route.ts'
import { jwksPath } from './jwks-route.ts'
import { revocationPath } from './revocation-route.ts'
import { userinfoPath } from './userinfo-route.ts'

/** What the metadata is made of. */
export interface MetadataRouteOptions {
  readonly dialects: readonly Dialect[]
  /** The issuer: the origin under which the server is known. Default: where it listens. */
  readonly publicUrl?: string | undefined
  /** A page for people (§2, `service_documentation`), as a path. */
  readonly documentationPath?: string | undefined
}

/** Where it is (§3). */
const metadataPath = '/.well-known/oauth-authorization-server'

/** `GET /.well-known/oauth-authorization-server` (RFC 8414): what is mounted here, and nothing that is not. */
export async function metadataRoute(scope: FastifyInstance, options: MetadataRouteOptions): Promise<void> {
  scope.get(metadataPath, async (_request, reply) =>
    reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify(describe(options.publicUrl ?? listeningOrigin(scope), scope.prefix, options))),
  )
}

/** For development: behind a proxy, the address people use is known to PUBLIC_URL alone, and a Host header is anybody's word. */
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
    grant_types_supported: webapi ? ['password'] : [], // left out, it would mean others (§2)
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
