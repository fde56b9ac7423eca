import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { OAuthError } from '../errors.ts'

/**
 * Creates a hook that refuses a POST from a page of another origin, which could use up its visitor's attempts, unless
 * `origins` lists that origin. Recognizes it by the browser's headers. Throws OAuthError `invalid_request` with the
 * status 403 before the body is read and any attempt is counted. `publicUrl` is the server's own origin; default: the
 * `Host` header.
 */
export function refuseCrossSite(origins: readonly string[], publicUrl: string | undefined): onRequestAsyncHookHandler {
  const own = publicUrl === undefined ? null : hostOf(publicUrl)
  return async (request) => {
    if (request.method !== 'POST' || !isCrossSite(request, own)) return
    if (!origins.includes(request.headers.origin ?? '')) throw refuse()
  }
}

function refuse(): OAuthError {
  const description = 'A page of another origin sent this. CORS_ORIGINS lists the origins that may.'
  return new OAuthError('invalid_request', description, { status: 403, reason: 'sent by a page of another origin' })
}

/**
 * Recognizes a request from a page of another origin. Programs send neither header. Browsers send Sec-Fetch-Site to
 * https and loopback addresses, and Origin with every POST.
 */
function isCrossSite({ headers, host }: FastifyRequest, own: string | null): boolean {
  const { origin, 'sec-fetch-site': site } = headers
  if (site === 'same-origin' || site === 'none') return false
  if (site !== undefined) return true
  return origin !== undefined && hostOf(origin) !== own && hostOf(origin) !== host
}

/** Returns an origin without its scheme: behind a TLS proxy the server cannot know its own scheme. */
function hostOf(origin: string): string {
  return origin.replace(/^https?:\/\//, '')
}
