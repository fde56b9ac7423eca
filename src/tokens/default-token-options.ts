/** The defaults for tokens: a lifetime of 14 days, 50 seats for each user, and 5 seconds in the cache. */
export const defaultTokenOptions = {
  lifetimeSeconds: 1_209_600,
  maxSeatsPerUser: 50,
  cacheSeconds: 5,
  outageLeaseSeconds: 0,
} as const
