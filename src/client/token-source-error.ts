/** What a {@link TokenSourceError} may carry besides its code and its sentence. */
export interface TokenSourceErrorDetails {
  /** The HTTP status, when there was an answer. */
  readonly status?: number | undefined
  /** Whole seconds during which the source does not ask again. */
  readonly retryAfterSeconds?: number | undefined
  /** What went wrong underneath, free of secrets. */
  readonly cause?: Error | undefined
}

/**
 * Why a token source gives no token. `code` is the server's `error` (RFC 6749 §5.2) when it refused the sign-in,
 * `temporarily_unavailable` when it could not be reached, took too long or sent no readable answer, and `superseded`
 * when the token was ended before it expired. Neither the message nor the cause holds a secret or a token.
 */
export class TokenSourceError extends Error {
  readonly code: string
  /** The HTTP status, when there was an answer. */
  readonly status: number | undefined
  /** Whole seconds during which the source does not ask again, when it has been told to wait. */
  readonly retryAfterSeconds: number | undefined

  constructor(code: string, message: string, { status, retryAfterSeconds, cause }: TokenSourceErrorDetails = {}) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'TokenSourceError'
    this.code = code
    this.status = status
    this.retryAfterSeconds = retryAfterSeconds
  }
}
