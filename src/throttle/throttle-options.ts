/** The limits of the throttle. */
export interface ThrottleOptions {
  /** Failures before the first wait. It lasts one second, and each further failure doubles it. */
  readonly freeAttempts: number
  readonly longestWaitSeconds: number
  /** The failure count restarts after this time without a failure. */
  readonly forgetSeconds: number
  /** Guesses at one user that are checked within the window, from all networks together that the user is not known from. */
  readonly strangersLimit: number
  /** How many of these guesses may come from one source: an IPv4 address, or an IPv6 /48. */
  readonly strangersSourceLimit: number
  /** The window of the three limits on guesses. */
  readonly strangersSeconds: number
  /** How many different names may fail from one network within the window. After that, only names known from it are tried. */
  readonly networkNames: number
  /** How many days a network stays known to a user after a sign-in. */
  readonly knownNetworkDays: number
}

/** The defaults: five free failures, then waits of 1, 2, 4 … 900 seconds; 100 guesses of strangers an hour. */
export const defaultThrottleOptions: ThrottleOptions = {
  freeAttempts: 5,
  longestWaitSeconds: 900,
  forgetSeconds: 3_600,
  strangersLimit: 100,
  strangersSourceLimit: 10,
  strangersSeconds: 3_600,
  networkNames: 100,
  knownNetworkDays: 30,
}

/** Throws TypeError for a number that is out of range. */
export function requireThrottleOptions(options: ThrottleOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isInteger(value) || value < 1)
      throw new TypeError(`throttle.${name} must be a whole number of at least 1.`)
  }
}
