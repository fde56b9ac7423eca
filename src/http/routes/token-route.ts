import type { FastifyInstance } from 'fastify'
import type { Client } from '../../clients/client.ts'
import type { Dialect, TokenRequest } from '../../dialects/dialect.ts'
import { OAuthError } from '../../errors.ts'
import { type AuthenticateClient, authenticateBuiltIn, refuseBuiltIn } from '../../grants/authenticate-client.ts'
import { type DeviceGrantTools, grantDevice } from '../../grants/device-grant.ts'
import { grantPassword, type PasswordGrantTools } from '../../grants/password-grant.ts'
import type { Source } from '../../grants/source.ts'
import type { IssuedToken } from '../../tokens/token.ts'
import type { TokenCache } from '../../tokens/token-cache.ts'
import { clientEndpoint } from '../client-endpoint.ts'
import { connectionSignal } from '../connection-signal.ts'
import { limitRequests } from '../limit-requests.ts'
import { describeOrigin, type EmitFrom } from '../log-events.ts'
import { networkOf } from '../network.ts'
import { pathInAnyCase } from '../path-pattern.ts'

/** The tools of one mounted dialect. */
export interface TokenRouteOptions {
  readonly authenticateClient: AuthenticateClient
  readonly dialect: Dialect
  /** All mounted dialects, this one included. */
  readonly mounted: readonly Dialect[]
  readonly tools: PasswordGrantTools & DeviceGrantTools
  readonly forgetToken: TokenCache['forgetToken']
  readonly emit: EmitFrom
}

/** Registers the endpoint of one dialect: decodes the request, runs its grant and writes the answer. */
export async function tokenRoute(scope: FastifyInstance, options: TokenRouteOptions): Promise<void> {
  const { dialect, mounted, authenticateClient, tools, forgetToken, emit } = options
  const place = { dialect: dialect.name }
  const { methods, example, decode, refuse, limit } = dialect
  const countRequest = limit ? limitRequests(scope, limit, tools.throttle) : null
  await scope.register(clientEndpoint, {
    urls: spellings(dialect, mounted, ignoresSlash(scope)),
    methods,
    example,
    decode,
    refuse,
    place,
    emit,
    ...(dialect.client === 'built-in'
      ? { credentials: null, identifyClient: authenticateBuiltIn(authenticateClient, dialect.name), translate: closed }
      : { credentials: dialect, identifyClient: refuseBuiltIn(authenticateClient) }),
    answer: async (asked) => {
      const request = dialect.read(asked.fields)
      await countRequest?.(asked)
      const source = { network: networkOf(asked.address), signal: connectionSignal(asked.request) }
      const token = await grantToken(tools, asked.client, request, source)
      forgetToken(token.id) // this server must not accept the value that it replaced
      const { id: tokenId, userId, clientId, device } = token
      const origin = describeOrigin(asked.request, asked.reply, place, asked.address)
      emit({ type: 'user.signed_in', userId, clientId, tokenId, device, ...origin }, asked.request)
      return dialect.write(token, asked.wire)
    },
  })
}

/**
 * Returns the routes for a dialect's path. One has the path as written, since a host's own `/v1/*` would win over a
 * pattern; another matches any letter case. If the path ends with a slash, there are routes with and without it, unless
 * the router ignores it.
 */
export function spellings(dialect: Dialect, mounted: readonly Dialect[], isSlashIgnored = false): string[] {
  const { path } = dialect
  const place = mounted.indexOf(dialect)
  const bare = path.replace(/(.)\/$/, '$1')
  const written = isSlashIgnored ? [bare] : [path, bare]
  return [...new Set(written.flatMap((spelling) => [spelling, pathInAnyCase(spelling, place)]))]
}

function ignoresSlash({ initialConfig }: FastifyInstance): boolean {
  return (initialConfig.routerOptions ?? initialConfig).ignoreTrailingSlash === true
}

/** Answers 404 when the built-in client is disabled, which closes the dialect. */
function closed(error: OAuthError): OAuthError {
  if (error.code !== 'invalid_client') return error
  const { reason, clientId } = error
  return new OAuthError('not_found', 'There is nothing at this path.', {
    reason: `dialect closed: ${reason}`,
    clientId,
  })
}

/** Runs the grant of a request and returns its token. Throws OAuthError for a refused request. */
function grantToken(
  tools: PasswordGrantTools & DeviceGrantTools,
  client: Client,
  request: TokenRequest,
  source: Source,
): Promise<IssuedToken> {
  switch (request.grant) {
    case 'password':
      return grantPassword(tools, client, request, source)
    case 'device signature':
      return grantDevice(tools, client, request, source)
  }
}
