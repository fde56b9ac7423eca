/** From where a token is asked for. */
export interface Source {
  /** An IPv4 address, or the first 64 bits of an IPv6 one. */
  readonly network: string
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}
