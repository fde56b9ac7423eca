/** What is left of a number of requests a minute. */
export interface Allowance {
  readonly limit: number
  readonly remaining: number
  /** When the minute ends, in whole seconds since 1970; by the database's clock where the database has counted. */
  readonly resetAt: number
  /** Seconds until a request is let in again; 0 where this one is let in. */
  readonly waitSeconds: number
}

/** Describes an allowance without asking the database: nothing of it is used, and it ends in `seconds`. */
export function fullAllowance(limit: number, seconds = 60): Allowance {
  return { limit, remaining: limit, resetAt: Math.ceil(Date.now() / 1_000 + seconds), waitSeconds: 0 }
}
