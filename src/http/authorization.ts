import type { FastifyRequest } from 'fastify'
import { OAuthError } from '../errors.ts'

/**
 * The Authorization header, null when there is none. Node keeps only the first of two, so they are counted
 * where both still stand. Throws OAuthError `invalid_request` for more than one.
 */
export function readAuthorization(request: FastifyRequest): string | null {
  const { rawHeaders } = request.raw
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string // names and values alternate
    if (name.length === 13 && name.toLowerCase() === 'authorization') count += 1
  }
  if (count > 1) throw new OAuthError('invalid_request', 'The request has more than one Authorization header.')
  return request.headers.authorization ?? null
}

// RFC 9110 §11.1: the scheme in any case; RFC 6750 §2.1: b64token
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i

/**
 * The bearer token of a request (RFC 6750 §2.1), null when it has none; other schemes carry none. Throws
 * OAuthError `invalid_request` for a malformed header or two of them.
 */
export function readBearer(request: FastifyRequest): string | null {
  const header = readAuthorization(request)
  if (header === null || !/^bearer(\s|$)/i.test(header)) return null
  const value = bearer.exec(header)?.[1]
  if (value === undefined) throw new OAuthError('invalid_request', 'Send one token: Authorization: Bearer <token>')
  return value
}
