import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { OAuthError } from '../errors.ts'
import { readBearer, type TokenPlace } from './authorization.ts'
import type { BearerToken, FindBearerToken } from './bearer-token.ts'
import { defaultRealm, noToken, refuseToken, writeChallenge } from './challenge.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * A hook (`onRequest`, or any later one) that lets only a live token through, of one of the given roles where
     * roles are given. Refuses by throwing OAuthError: 401 `invalid_token`, 400 `invalid_request`, 403
     * `insufficient_scope`, each with its challenge (RFC 6750 §3), and 503 when the token cannot be checked.
     */
    requireToken(requirement?: TokenRequirement): onRequestAsyncHookHandler
  }
  interface FastifyRequest {
    /** The token that `requireToken` let through; reading it on a route without that guard throws. */
    readonly token: BearerToken
    [guarded]: BearerToken | null
  }
}

/** What a route wants besides a live token. */
export interface TokenRequirement {
  /** The role, or several of which one is enough; compared as they are. */
  readonly role?: string | readonly string[]
}

/** How tokens are found and read. */
export interface BearerOptions {
  readonly findToken: FindBearerToken
  /** Named in every challenge. Default: `password-grant`. */
  readonly realm?: string
  /** Places of a token besides `Authorization: Bearer`: the scheme `Token`, the header `x-access-token`. Default: none. */
  readonly alsoAccept?: readonly TokenPlace[]
}

const guarded = Symbol('guarded by a token')

/**
 * A Fastify plugin for a backend that is sent tokens: `app.requireToken()` and a typed `request.token`. It loads
 * neither database nor hashing, and the host's own error handler writes the body of a refusal. Throws TypeError for
 * options that cannot be right.
 */
export const bearer = fastifyPlugin(mountBearer, { name: 'fastify-password-grant-bearer', fastify: '5.x' })

async function mountBearer(app: FastifyInstance, options: BearerOptions): Promise<void> {
  requireOptions(options)
  app.decorateRequest(guarded, null)
  app.decorateRequest('token', {
    getter(this: FastifyRequest): BearerToken {
      if (this[guarded]) return this[guarded]
      throw new Error('request.token was read on a route without requireToken')
    },
  })
  app.decorate('requireToken', (requirement: TokenRequirement = {}) => createGuard(options, requirement))
}

function requireOptions({ findToken, realm = defaultRealm }: BearerOptions): void {
  if (typeof findToken !== 'function') throw new TypeError('bearer: findToken must be a function')
  if (!/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/.test(realm)) throw new TypeError('bearer: realm must be plain text')
}

function createGuard(options: BearerOptions, { role }: TokenRequirement): onRequestAsyncHookHandler {
  const { findToken, realm = defaultRealm, alsoAccept } = options
  const roles = role === undefined ? null : [role].flat()
  if (roles?.length === 0) throw new TypeError('requireToken: a list of roles needs at least one')

  return async (request, reply) => {
    const value = attempt(reply, realm, () => readBearer(request, alsoAccept))
    if (value === null) throw refuse(reply, new OAuthError('invalid_token', noToken), writeChallenge(realm, null))
    const found = await findToken(value).catch((cause: unknown) => {
      throw refuse(reply, toOutage(cause))
    })
    if ('ended' in found) throw challenge(reply, realm, refuseToken(found))
    if (roles && !roles.includes(found.token.role)) throw challenge(reply, realm, refuseRole())
    request[guarded] = found.token
  }
}

function attempt<T>(reply: FastifyReply, realm: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof OAuthError ? challenge(reply, realm, error) : error
  }
}

function challenge(reply: FastifyReply, realm: string, error: OAuthError): OAuthError {
  return refuse(reply, error, writeChallenge(realm, error))
}

/** Status and headers are settled here, so that they stand whatever error handler the host has. */
function refuse(reply: FastifyReply, error: OAuthError, headers: Record<string, string> = {}): OAuthError {
  reply.code(error.status).headers({ 'cache-control': 'no-store', ...headers })
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
  return error
}

/** RFC 6750 §3.1: the role stands where RFC 6750 has scopes. */
function refuseRole(): OAuthError {
  return new OAuthError('insufficient_scope', 'The token does not have the role that this needs.', {
    reason: 'another role',
  })
}

function toOutage(cause: unknown): OAuthError {
  if (cause instanceof OAuthError) return cause
  return new OAuthError('temporarily_unavailable', 'The token cannot be checked right now. Try again shortly.', {
    reason: 'findToken failed',
    cause,
    retryAfterSeconds: 1,
  })
}
