import { OAuthError } from '../errors.ts'

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
