import type { FastifyRequest } from 'fastify'
import { OAuthError } from '../errors.ts'

/** A place where a guard accepts a token besides `Authorization: Bearer`. */
export type TokenPlace = 'Token' | 'x-access-token'

/**
 * Reads the Authorization header; null when there is none. Node keeps only the first of two, so this counts them in the
 * raw headers. Throws OAuthError `invalid_request` for more than one.
 */
export function readAuthorization(request: FastifyRequest): string | null {
  if (countHeader(request, 'authorization') > 1) {
    throw new OAuthError('invalid_request', 'The request has more than one Authorization header.')
  }
  return request.headers.authorization ?? null
}

/**
 * Reads the bearer token of a request (RFC 6750 §2.1); null when it has none. Ignores other schemes, the query and the
 * body. `alsoAccept` adds the `Token` scheme or the `x-access-token` header. Throws OAuthError `invalid_request` for a
 * malformed header or two tokens.
 */
export function readBearer(request: FastifyRequest, alsoAccept: readonly TokenPlace[] = []): string | null {
  const value = readScheme(readAuthorization(request), alsoAccept.includes('Token') ? bearerOrToken : bearerOnly)
  if (!alsoAccept.includes('x-access-token') || request.headers['x-access-token'] === undefined) return value
  // RFC 6750 §2: a request uses one method to send its token
  if (value !== null || countHeader(request, 'x-access-token') > 1) {
    throw new OAuthError('invalid_request', 'The request has more than one token.')
  }
  const text = String(request.headers['x-access-token']).trim()
  if (!b64token.test(text)) throw new OAuthError('invalid_request', 'Send one token: x-access-token: <token>')
  return text
}

// RFC 9110 §11.1: the scheme in any case; RFC 6750 §2.1: b64token
const b64token = /^[A-Za-z0-9\-._~+/]+=*$/
const bearerOnly = { begins: /^bearer(\s|$)/i, whole: /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i }
const bearerOrToken = { begins: /^(bearer|token)(\s|$)/i, whole: /^(?:bearer|token) +([A-Za-z0-9\-._~+/]+=*) *$/i }

function readScheme(header: string | null, scheme: typeof bearerOnly): string | null {
  if (header === null) return null
  const value = scheme.whole.exec(header)?.[1]
  if (value !== undefined) return value
  if (!scheme.begins.test(header)) return null
  throw new OAuthError('invalid_request', 'Send one token: Authorization: Bearer <token>')
}

function countHeader(request: FastifyRequest, name: string): number {
  const { rawHeaders } = request.raw
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const written = rawHeaders[index] as string // names and values alternate
    if (written.length === name.length && written.toLowerCase() === name) count += 1
  }
  return count
}
