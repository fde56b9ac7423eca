/** Where a token request comes from. */
export interface Source {
  /** An IPv4 address, or the first 64 bits of an IPv6 address. */
  readonly network: string
  /** Aborts when the caller disconnects. */
  readonly signal: AbortSignal
}
