import type { FastifyInstance } from 'fastify'
import { type Client, refuseClient } from '../../clients/client.ts'
import type { Dialect, TokenRequest } from '../../dialects/dialect.ts'
import { OAuthError } from '../../errors.ts'
import type { AuthenticateClient } from '../../grants/authenticate-client.ts'
import { type DeviceGrantTools, grantDevice } from '../../grants/device-grant.ts'
import { grantPassword, type PasswordGrantTools } from '../../grants/password-grant.ts'
import type { Source } from '../../grants/source.ts'
import { type Allowance, fullAllowance } from '../../throttle/allowance.ts'
import type { Throttle } from '../../throttle/throttle.ts'
import type { IssuedToken } from '../../tokens/token.ts'
import type { TokenCache } from '../../tokens/token-cache.ts'
import type { Fields } from '../../wire/fields.ts'
import { requireAllowance, writeAllowance } from '../allowance.ts'
import {
  type Asked,
  type ClientEndpointOptions,
  type CredentialRules,
  clientEndpoint,
  describeRequest,
} from '../client-endpoint.ts'
import { connectionSignal } from '../connection-signal.ts'
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
  const { methods, example, decode, refuse } = dialect
  const { limit } = dialect
  if (limit) tellAllowance(scope, limit, tools.throttle)
  await scope.register(clientEndpoint, {
    urls: spellings(dialect, mounted, ignoresSlash(scope)),
    methods,
    example,
    decode,
    refuse,
    place,
    emit,
    ...(dialect.client === 'built-in' ? asBuiltIn(authenticateClient, dialect) : asSent(authenticateClient, dialect)),
    answer: async (asked) => {
      const request = dialect.read(asked.fields)
      if (limit) await countRequest(asked, limit, tools.throttle)
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

type ClientRule = Pick<ClientEndpointOptions, 'credentials' | 'identifyClient' | 'translate'>

/** A client that proves itself; the built-in ones prove nothing and count in their own dialect only. */
function asSent(authenticateClient: AuthenticateClient, credentials: CredentialRules): ClientRule {
  return {
    credentials,
    identifyClient: async (readings, network) => {
      const client = await authenticateClient(readings, network)
      if (client.isBuiltIn) throw refuseClient('built-in client', { clientId: client.id })
      return client
    },
  }
}

/** The client named after the dialect; where it is disabled, the dialect is closed. */
function asBuiltIn(authenticateClient: AuthenticateClient, { name }: Dialect): ClientRule {
  return {
    credentials: null,
    identifyClient: async () => {
      const client = await authenticateClient([{ id: name, secret: null }], '')
      if (!client.isBuiltIn) throw refuseClient('not a built-in client', { clientId: name })
      return client
    },
    translate: closed,
  }
}

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

type RequestLimit = NonNullable<Dialect['limit']>

async function countRequest(asked: Asked, limit: RequestLimit, throttle: Throttle): Promise<void> {
  const { request, reply, fields } = asked
  const allowance = await recordRequest(throttle, limit, fields, request.ip)
  request[isCounted] = true
  reply.headers(writeAllowance(allowance))
  requireAllowance(allowance)
}

/** Every answer tells what is left, and so counts: a refusal of a request that could not be read too. */
function tellAllowance(scope: FastifyInstance, limit: RequestLimit, throttle: Throttle): void {
  scope.decorateRequest(isCounted, false)
  scope.addHook('onSend', async (request, reply) => {
    if (request[isCounted]) return
    if (reply.statusCode === 403) return void reply.headers(writeAllowance(fullAllowance(limit.attempts))) // not counted
    const { fields } = describeRequest(request)
    reply.headers(writeAllowance(await recordRequest(throttle, limit, fields, request.ip)))
  })
}

function recordRequest(throttle: Throttle, limit: RequestLimit, fields: Fields, address: string): Promise<Allowance> {
  const { field, attempts } = limit
  return throttle.recordRequest(fields.get(field) ?? '', networkOf(address), attempts)
}

const isCounted = Symbol('request counted')

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether the request has been counted; only where a dialect has a limit. */
    [isCounted]: boolean
  }
}
