import { OAuthError } from '../errors.ts'
import type { Allowance } from '../throttle/allowance.ts'

/** Writes an allowance as the headers that such APIs tell it by. */
export function writeAllowance({ limit, remaining, resetAt }: Allowance): Record<string, string> {
  return {
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(resetAt),
  }
}

/** Throws OAuthError `slow_down` where the allowance is used up. */
export function requireAllowance({ waitSeconds }: Allowance): void {
  if (waitSeconds <= 0) return
  throw new OAuthError('slow_down', 'Too many requests in this time frame.', {
    reason: 'too many attempts',
    retryAfterSeconds: Math.ceil(waitSeconds),
  })
}
