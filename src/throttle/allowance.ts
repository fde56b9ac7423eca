/** The remaining requests of a limit per minute. */
export interface Allowance {
  readonly limit: number
  readonly remaining: number
  /** When the minute ends, in whole seconds since 1970. Uses the database's clock if the database counted the request. */
  readonly resetAt: number
  /** Seconds until the next request is allowed, or 0 if this one is. */
  readonly waitSeconds: number
}

/** Creates an unused allowance that ends in `seconds`, without a query. */
export function fullAllowance(limit: number, seconds = 60): Allowance {
  return { limit, remaining: limit, resetAt: Math.ceil(Date.now() / 1_000 + seconds), waitSeconds: 0 }
}
