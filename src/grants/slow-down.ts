import { OAuthError } from '../errors.ts'
import type { Attempt, AttemptState, Throttle } from '../throttle/throttle.ts'

/** Throws OAuthError `slow_down` while a wait runs; 0 seconds is none. */
export function requireNoWait(seconds: number): void {
  if (seconds > 0) throw refuseForNow(seconds)
}

/** The refusal while a wait runs. */
export function refuseForNow(seconds: number): OAuthError {
  return new OAuthError('slow_down', 'Too many attempts.', {
    reason: 'too many failed attempts',
    retryAfterSeconds: Math.max(1, Math.ceil(seconds)),
  })
}

/**
 * Returns a handler that counts wrong credentials before their caller hears of them. It throws the refusal, or OAuthError
 * `slow_down` where a wait began meanwhile. Other errors count nothing.
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
