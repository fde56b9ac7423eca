import { OAuthError } from '../errors.ts'
import type { BearerTokenEnd } from './bearer-token.ts'

/** The realm of a challenge, unless the guard sets another. */
export const defaultRealm = 'password-grant'

/**
 * Writes the `WWW-Authenticate` header of a refusal (RFC 6750 §3). An outage gets none, since it says nothing about the
 * token. A request without a token (`null`) gets a challenge without an error code (§3.1).
 */
export function writeChallenge(realm: string, error: OAuthError | null): Record<string, string> {
  const scheme = `Bearer realm="${realm}"`
  if (error === null) return { 'www-authenticate': scheme }
  if (error.status >= 500) return {}
  return { 'www-authenticate': `${scheme}, error="${error.code}", error_description="${error.description}"` }
}

/** The public sentence for a request without a token. */
export const noToken = 'Send a token: Authorization: Bearer <token>'

/**
 * Creates the refusal of a request without a token. It has no error code at run time (RFC 6750 §3.1), since Fastify's
 * own error handler would write it into the body. Its type keeps the code, so that handlers of other refusals need no
 * check.
 */
export function refuseMissing(): OAuthError {
  const error = new OAuthError('invalid_token', noToken, { reason: 'no token' })
  return Object.defineProperty(error, 'code', { value: undefined })
}

const endings: Record<BearerTokenEnd, string> = {
  expired: 'The token has expired. Sign in again.',
  superseded: 'The token was replaced by a newer sign-in of the same user.',
  revoked: 'The token was revoked. Sign in again.',
  unknown: 'The token is unknown.',
  inactive: 'The token is not valid. Sign in again.',
}

/** Tells whether a word is one of the reasons why a token has ended. */
export function isTokenEnd(word: string): word is BearerTokenEnd {
  return Object.hasOwn(endings, word)
}

/** Creates the refusal of a dead token. The log also gets the user's id, where it is known. */
export function refuseToken({ ended, userId }: { ended: BearerTokenEnd; userId?: string }): OAuthError {
  return new OAuthError('invalid_token', endings[ended], { reason: `token ${ended}`, userId })
}

/** Creates the refusal for a token that cannot be checked now. It does not say that the token is invalid. */
export function refuseUnchecked(reason: string, cause?: unknown): OAuthError {
  return new OAuthError('temporarily_unavailable', 'The token cannot be checked right now. Try again shortly.', {
    reason,
    cause,
    retryAfterSeconds: 1,
  })
}
