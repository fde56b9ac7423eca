import { OAuthError } from '../errors.ts'
import type { BearerTokenEnd } from './bearer-token.ts'

/** The realm of every challenge, unless a guard has its own. */
export const defaultRealm = 'password-grant'

/**
 * The `WWW-Authenticate` of a refusal (RFC 6750 §3); none with an outage, which says nothing about the token. Who sent no
 * token at all (`null`) is told how to, without an error code (§3.1).
 */
export function writeChallenge(realm: string, error: OAuthError | null): Record<string, string> {
  const scheme = `Bearer realm="${realm}"`
  if (error === null) return { 'www-authenticate': scheme }
  if (error.status >= 500) return {}
  return { 'www-authenticate': `${scheme}, error="${error.code}", error_description="${error.description}"` }
}

/** What is said to who sent no token. */
export const noToken = 'Send a token: Authorization: Bearer <token>'

/**
 * The refusal of a request without a token. It has no error code (RFC 6750 §3.1): Fastify's own error handler would write it
 * into the body. The type keeps the code, so that handlers of every other refusal need no check.
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

/** Whether a word is a reason why there is no token. */
export function isTokenEnd(word: string): word is BearerTokenEnd {
  return Object.hasOwn(endings, word)
}

/** The refusal of a dead token: what is public, and for the log whose it was where that is known. */
export function refuseToken({ ended, userId }: { ended: BearerTokenEnd; userId?: string }): OAuthError {
  return new OAuthError('invalid_token', endings[ended], { reason: `token ${ended}`, userId })
}

/** Whether the token is live cannot be known now, which is no verdict on it. */
export function refuseUnchecked(reason: string, cause?: unknown): OAuthError {
  return new OAuthError('temporarily_unavailable', 'The token cannot be checked right now. Try again shortly.', {
    reason,
    cause,
    retryAfterSeconds: 1,
  })
}
