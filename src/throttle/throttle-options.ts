/** Every number of the throttle. */
export interface ThrottleOptions {
  /** Failures before the first wait, which lasts a second; each further failure doubles the wait. */
  readonly freeAttempts: number
  readonly longestWaitSeconds: number
  /** The count of failures starts again after this time without one. */
  readonly forgetSeconds: number
  /** Guesses at one user that are checked within the window, from all networks together that are unknown to the user. */
  readonly strangersLimit: number
  /** How many of these one source may spend: an IPv4 address, or an IPv6 /48. */
  readonly strangersSourceLimit: number
  /** The window in seconds, for the three limits on guesses. */
  readonly strangersSeconds: number
  /** After how many different names failed from one network within the window it may try only names known from there. */
  readonly networkNames: number
  /** How many days a network stays known to a user after a sign-in. */
  readonly knownNetworkDays: number
}

/** Five failures are free, then 1, 2, 4 … 900 seconds; 100 guesses of strangers an hour; a network is known for 30 days. */
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
    if (!Number.isInteger(value) || value < 1) throw new TypeError(`throttle.${name} is a whole number of at least 1.`)
  }
}
