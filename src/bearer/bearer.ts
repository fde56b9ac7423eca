import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { OAuthError } from '../errors.ts'
import { readBearer, type TokenPlace } from './authorization.ts'
import type { BearerToken, FindBearerToken, FoundBearerToken } from './bearer-token.ts'
import { defaultRealm, isTokenEnd, refuseMissing, refuseToken, refuseUnchecked, writeChallenge } from './challenge.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Creates a hook (for `onRequest` or any later one) that lets a request pass only with a live token. With a `role`,
     * the token's user must also have it. Refuses by throwing OAuthError: 401 `invalid_token` (without a code when the
     * request has no token), 400 `invalid_request`, 403 `insufficient_scope`, each with its challenge (RFC 6750 §3),
     * and 503 when the token cannot be checked.
     */
    requireToken(requirement?: TokenRequirement): onRequestAsyncHookHandler
  }
  interface FastifyRequest {
    /** The token that `requireToken` accepted. Reading it on a route without that guard throws. */
    readonly token: BearerToken
    [guarded]: BearerToken | null
  }
}

/** What a route requires besides a live token. */
export interface TokenRequirement {
  /** The required role, or a list from which one role is enough. Compared exactly. */
  readonly role?: string | readonly string[]
}

/** How a guard reads and finds tokens. */
export interface BearerOptions {
  readonly findToken: FindBearerToken
  /** The realm in every challenge. Default: `password-grant`. */
  readonly realm?: string
  /**
   * Where to accept a token besides `Authorization: Bearer`: the `Token` scheme, the `x-access-token` header. Default:
   * none.
   */
  readonly alsoAccept?: readonly TokenPlace[]
}

const guarded = Symbol('guarded by a token')

/**
 * A Fastify plugin for a backend that receives tokens: `app.requireToken()` and a typed `request.token`. It loads
 * neither the database nor the password hashing. The host's own error handler writes the body of a refusal. Throws
 * TypeError for invalid options.
 */
export const bearer = fastifyPlugin(mountBearer, { name: 'fastify-password-grant-bearer', fastify: '5.x' })

async function mountBearer(app: FastifyInstance, options: BearerOptions): Promise<void> {
  requireOptions(options)
  if (app.hasDecorator('requireToken'))
    throw new Error('bearer: requireToken already exists; register the plugin once per scope')
  app.decorateRequest(guarded, null)
  app.decorateRequest('token', {
    getter(this: FastifyRequest): BearerToken {
      if (this[guarded]) return this[guarded]
      throw new Error('request.token was read on a route without requireToken')
    },
  })
  // set headers when the refusal is sent, not when it is thrown: another guard may still accept the request
  app.addHook('onError', async (_request, reply, error) => {
    const headers = refusals.get(error)
    if (headers && error instanceof OAuthError) reply.code(error.status).headers(headers)
  })
  app.decorate('requireToken', (requirement: TokenRequirement = {}) => createGuard(options, requirement))
}

function requireOptions({ findToken, realm = defaultRealm, alsoAccept = [] }: BearerOptions): void {
  if (typeof findToken !== 'function') throw new TypeError('bearer: findToken must be a function')
  if (!/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/.test(realm)) throw new TypeError('bearer: realm must be plain text')
  if (!Array.isArray(alsoAccept) || alsoAccept.some((place) => place !== 'Token' && place !== 'x-access-token')) {
    throw new TypeError("bearer: alsoAccept must be a list of 'Token' and 'x-access-token'")
  }
}

/** Refuses a misspelt or undefined role, which would otherwise open the route to every role. */
function readRoles(requirement: TokenRequirement): readonly string[] | null {
  const isRight = typeof requirement === 'object' && requirement !== null && !Array.isArray(requirement)
  const names = isRight ? ownAndInherited(requirement) : ['']
  if (names.some((name) => name !== 'role')) throw new TypeError('requireToken: expected { role } or nothing')
  if (names.length === 0) return null
  const roles = [requirement.role].flat()
  if (roles.length === 0 || !roles.every((role) => typeof role === 'string')) {
    throw new TypeError('requireToken: role must be a string or a non-empty list of strings')
  }
  return roles
}

function ownAndInherited(requirement: TokenRequirement): string[] {
  const names = 'role' in requirement ? ['role'] : []
  for (const name in requirement) names.push(name)
  return names
}

function createGuard(options: BearerOptions, requirement: TokenRequirement): onRequestAsyncHookHandler {
  const { findToken, realm = defaultRealm, alsoAccept } = options
  const roles = readRoles(requirement)

  async function find(value: string): Promise<FoundBearerToken> {
    try {
      const found = await findToken(value)
      if (!isFound(found)) throw new TypeError('findToken returned neither { token } nor { ended }')
      return found
    } catch (cause) {
      throw refuse(toOutage(cause))
    }
  }

  return async (request) => {
    const value = attempt(realm, () => readBearer(request, alsoAccept))
    if (value === null) throw refuse(refuseMissing(), writeChallenge(realm, null))
    const found = await find(value)
    if ('ended' in found) throw challenge(realm, refuseToken(found))
    if (roles && !roles.includes(found.token.role)) throw challenge(realm, refuseRole())
    request[guarded] = found.token
  }
}

/**
 * Checks the shape at run time: a finder written in JavaScript has no compiler, and a wrong result must not let a
 * caller in.
 */
function isFound(found: unknown): found is FoundBearerToken {
  if (typeof found !== 'object' || found === null) return false
  if ('ended' in found) return typeof found.ended === 'string' && isTokenEnd(found.ended)
  return 'token' in found && typeof found.token === 'object' && found.token !== null
}

function attempt<T>(realm: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof OAuthError ? challenge(realm, error) : error
  }
}

function challenge(realm: string, error: OAuthError): OAuthError {
  return refuse(error, writeChallenge(realm, error))
}

/** The headers of each refusal that a guard has thrown. */
const refusals = new WeakMap<object, Record<string, string>>()

function refuse(error: OAuthError, headers: Record<string, string> = {}): OAuthError {
  const { retryAfterSeconds: seconds } = error
  const retry: Record<string, string> = seconds === undefined ? {} : { 'retry-after': String(seconds) }
  refusals.set(error, { 'cache-control': 'no-store', ...retry, ...headers })
  return error
}

/** RFC 6750 §3.1 speaks of scopes; a role takes their place here. */
function refuseRole(): OAuthError {
  return new OAuthError('insufficient_scope', 'The token does not have the role that this route requires.', {
    reason: 'another role',
  })
}

function toOutage(cause: unknown): OAuthError {
  if (cause instanceof OAuthError && cause.status === 503) return cause // any other code would judge the caller
  return refuseUnchecked('findToken failed', cause)
}
