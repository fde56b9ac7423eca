/** The codes a refusal can carry: RFC 6749 §5.2, RFC 6750 §3.1, and `temporarily_unavailable`/`server_error` of §4.1.2.1. */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'temporarily_unavailable'
  | 'server_error'

const defaultStatus: Record<OAuthErrorCode, number> = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  temporarily_unavailable: 503,
  server_error: 500,
}

/** What a refusal may carry besides its code and its public sentence. */
export interface OAuthErrorDetails {
  /** HTTP status, where the code's own does not fit (405, 413). */
  readonly status?: number
  /** Why, in the log's words; never sent. */
  readonly reason?: string | undefined
  /** What was thrown underneath; never sent. */
  readonly cause?: unknown
  /** Whom it concerns, for the log; never sent. */
  readonly userId?: string | undefined
  /** Which registered client it concerns, for the log; never sent. */
  readonly clientId?: string | undefined
  /** Whole seconds after which asking again makes sense (RFC 9110 §10.2.3). */
  readonly retryAfterSeconds?: number | undefined
  /** Headers that belong to this refusal (`Allow`). */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * The one way to say no: `code` and `description` are public, everything else is for the log.
 * Descriptions keep to the characters of RFC 6749 §5.2 wherever they can reach the wire.
 */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode
  readonly description: string
  readonly status: number
  /** The same, under the name that Fastify's error handlers go by. */
  readonly statusCode: number
  readonly reason: string | undefined
  readonly userId: string | undefined
  readonly clientId: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(code: OAuthErrorCode, description: string, details: OAuthErrorDetails = {}) {
    super(description, { cause: details.cause })
    this.name = 'OAuthError'
    this.code = code
    this.description = description
    this.status = details.status ?? defaultStatus[code]
    this.statusCode = this.status
    this.reason = details.reason
    this.userId = details.userId
    this.clientId = details.clientId
    this.retryAfterSeconds = details.retryAfterSeconds
    this.headers = details.headers ?? {}
  }
}
