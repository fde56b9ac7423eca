import { OAuthError } from '../errors.ts'
import type { Attempt, AttemptState, Throttle } from '../throttle/throttle.ts'

/** Throws OAuthError `slow_down` if `seconds` of a wait are left. */
export function requireNoWait(seconds: number): void {
  if (seconds > 0) throw refuseForNow(seconds)
}

/** Creates the refusal for the rest of a wait. */
export function refuseForNow(seconds: number): OAuthError {
  return new OAuthError('slow_down', 'Too many attempts.', {
    reason: 'too many failed attempts',
    retryAfterSeconds: Math.max(1, Math.ceil(seconds)),
  })
}

/**
 * Creates an error handler that counts wrong credentials before the caller gets the answer. It rethrows the refusal, or
 * throws OAuthError `slow_down` if a wait began meanwhile. It does not count other errors.
 */
export function recordRefusal(
  throttle: Throttle,
  attempt: Attempt,
  state?: AttemptState,
): (error: unknown) => Promise<never> {
  return async (error) => {
    if (error instanceof OAuthError && (error.code === 'invalid_grant' || error.code === 'invalid_client')) {
      requireNoWait(await throttle.recordFailure(attempt, state))
    }
    throw error
  }
}
