/** What a {@link TokenSourceError} can carry besides its code and its message. */
export interface TokenSourceErrorDetails {
  /** The HTTP status, if the server answered. */
  readonly status?: number | undefined
  /** Whole seconds before the source sends its next request. */
  readonly retryAfterSeconds?: number | undefined
  /** The underlying error, without secrets. */
  readonly cause?: Error | undefined
}

/**
 * Says why a token source has no token. Neither the message nor the cause contains a secret or a token. `code` is:
 * - the server's `error` (RFC 6749 §5.2) when it refused the sign-in,
 * - `temporarily_unavailable` when the server could not be reached, took too long or sent no readable answer,
 * - `superseded` when the token ended before it expired.
 */
export class TokenSourceError extends Error {
  readonly code: string
  /** The HTTP status, if the server answered. */
  readonly status: number | undefined
  /** Whole seconds before the source sends its next request, when it has to wait. */
  readonly retryAfterSeconds: number | undefined

  constructor(code: string, message: string, { status, retryAfterSeconds, cause }: TokenSourceErrorDetails = {}) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'TokenSourceError'
    this.code = code
    this.status = status
    this.retryAfterSeconds = retryAfterSeconds
  }
}
