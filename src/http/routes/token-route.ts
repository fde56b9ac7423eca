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

/** What one mounted dialect works with. */
export interface TokenRouteOptions {
  readonly authenticateClient: AuthenticateClient
  readonly dialect: Dialect
  /** All of them, this one included. */
  readonly mounted: readonly Dialect[]
  readonly tools: PasswordGrantTools & DeviceGrantTools
  readonly forgetToken: TokenCache['forgetToken']
  readonly emit: EmitFrom
}

/** One dialect's endpoint: its words in, a grant, its words out. */
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
 * Routes for a dialect's path: as it is written, since a host's own `/v1/*` would come before a pattern, and in any letter
 * case; with and without a slash at its end where it has one, unless the router takes the two for one.
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

/** Where the built-in client is disabled, the dialect is closed. */
function closed(error: OAuthError): OAuthError {
  if (error.code !== 'invalid_client') return error
  const { reason, clientId } = error
  return new OAuthError('not_found', 'There is nothing at this path.', {
    reason: `dialect closed: ${reason}`,
    clientId,
  })
}

/** Gives a token for a request that earned it. Throws OAuthError for every one that did not. */
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
