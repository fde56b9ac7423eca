import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { OAuthError } from '../errors.ts'
import { readBearer, type TokenPlace } from './authorization.ts'
import type { BearerToken, FindBearerToken, FoundBearerToken } from './bearer-token.ts'
import { defaultRealm, isTokenEnd, refuseMissing, refuseToken, refuseUnchecked, writeChallenge } from './challenge.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * A hook (`onRequest`, or any later one) that lets only a live token through, of one of the given roles where
     * roles are given. Refuses by throwing OAuthError: 401 `invalid_token` (without a code when no token was
     * sent), 400 `invalid_request`, 403 `insufficient_scope`, each with its challenge (RFC 6750 §3), and 503 when the
     * token cannot be checked.
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
  if (app.hasDecorator('requireToken'))
    throw new Error('bearer: requireToken is there already; register it once in a scope')
  app.decorateRequest(guarded, null)
  app.decorateRequest('token', {
    getter(this: FastifyRequest): BearerToken {
      if (this[guarded]) return this[guarded]
      throw new Error('request.token was read on a route without requireToken')
    },
  })
  // settled when it is answered, not when it is thrown: another guard may still let the request in
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

/** What is misspelt or was never set must not open a route to every role. */
function readRoles(requirement: TokenRequirement): readonly string[] | null {
  const isRight = typeof requirement === 'object' && requirement !== null && !Array.isArray(requirement)
  const names = isRight ? ownAndInherited(requirement) : ['']
  if (names.some((name) => name !== 'role')) throw new TypeError('requireToken: expected { role } or nothing')
  if (names.length === 0) return null
  const roles = [requirement.role].flat()
  if (roles.length === 0 || !roles.every((role) => typeof role === 'string')) {
    throw new TypeError('requireToken: role must be a text, or a list of at least one')
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
      if (!isFound(found)) throw new TypeError('findToken gave neither { token } nor { ended }')
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

/** Backends in JavaScript have no compiler to tell them; what is neither must not let anybody in. */
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

/** The headers of the guards' refusals. */
const refusals = new WeakMap<object, Record<string, string>>()

function refuse(error: OAuthError, headers: Record<string, string> = {}): OAuthError {
  const { retryAfterSeconds: seconds } = error
  const retry: Record<string, string> = seconds === undefined ? {} : { 'retry-after': String(seconds) }
  refusals.set(error, { 'cache-control': 'no-store', ...retry, ...headers })
  return error
}

/** RFC 6750 §3.1: the role stands where RFC 6750 has scopes. */
function refuseRole(): OAuthError {
  return new OAuthError('insufficient_scope', 'The token does not have the role that this needs.', {
    reason: 'another role',
  })
}

function toOutage(cause: unknown): OAuthError {
  if (cause instanceof OAuthError && cause.status === 503) return cause // else a verdict on whoever asked
  return refuseUnchecked('findToken failed', cause)
}
