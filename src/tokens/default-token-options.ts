/** The defaults for tokens: they live 14 days, a user has 50 seats, a found token is cached for 5 seconds. */
export const defaultTokenOptions = {
  lifetimeSeconds: 1_209_600,
  maxSeatsPerUser: 50,
  cacheSeconds: 5,
  outageLeaseSeconds: 0,
} as const
