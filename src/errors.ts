/**
 * The codes of refusals: those of RFC 6749 §5.2 and RFC 6750 §3.1, `temporarily_unavailable` and `server_error` of RFC
 * 6749 §4.1.2.1, `slow_down` of RFC 8628 §3.5, and `not_found` for missing resources and paths.
 */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'slow_down'
  | 'not_found'
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
  slow_down: 429,
  not_found: 404,
  temporarily_unavailable: 503,
  server_error: 500,
}

/** The optional parts of a refusal. */
export interface OAuthErrorDetails {
  /** The HTTP status, where the code's default does not fit (405, 413, 415). */
  readonly status?: number
  /** The reason, for the log; never sent. */
  readonly reason?: string | undefined
  /** The missing field, if that is the mistake: some dialects have their own sentences for it. */
  readonly missingField?: string | undefined
  /** The underlying error; never sent. */
  readonly cause?: unknown
  /** The user concerned, for the log; never sent. */
  readonly userId?: string | undefined
  /** The registered client concerned, for the log; never sent. */
  readonly clientId?: string | undefined
  /** Whole seconds to wait before a retry (RFC 9110 §10.2.3). */
  readonly retryAfterSeconds?: number | undefined
  /** Whether the server was overloaded. The log only counts such refusals. */
  readonly isOverload?: boolean
  /** Headers that belong to this refusal (`Allow`). */
  readonly headers?: Readonly<Record<string, string>>
}

/** Marks the refusals of every copy of this class: the server and the guard are packages with their own copies. */
const brand = Symbol.for('fastify-password-grant.OAuthError')

/**
 * A refusal, the only way to refuse a request. `code` and `description` are public; everything else is for the log. A
 * description that can reach the wire keeps to the characters of RFC 6749 §5.2. A refusal has no stack trace unless it
 * has a `cause` or the status 500: collecting one costs ten times the rest, and any caller can cause refusals.
 *
 * `instanceof OAuthError` works across the packages of this project. For a class that extends it, `instanceof` works as
 * usual.
 */
export class OAuthError extends Error {
  /** Undefined at run time in a guard's refusal of a request without a token (RFC 6750 §3.1). */
  readonly code: OAuthErrorCode
  readonly description: string
  readonly status: number
  /** The status under the name that Fastify's error handlers use. */
  readonly statusCode: number
  readonly reason: string | undefined
  readonly missingField: string | undefined
  readonly userId: string | undefined
  readonly clientId: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly isOverload: boolean
  readonly headers: Readonly<Record<string, string>>

  constructor(code: OAuthErrorCode, description: string, details: OAuthErrorDetails = {}) {
    const status = details.status ?? defaultStatus[code]
    const isFault = details.cause !== undefined || status === 500
    const restore = isFault ? null : pauseStackTraces()
    super(description, { cause: details.cause })
    restore?.()
    this.name = 'OAuthError'
    this.code = code
    this.description = description
    this.status = status
    this.statusCode = status
    this.reason = details.reason
    this.missingField = details.missingField
    this.userId = details.userId
    this.clientId = details.clientId
    this.retryAfterSeconds = details.retryAfterSeconds
    this.isOverload = details.isOverload ?? false
    this.headers = details.headers ?? {}
  }
}

// on the prototype, since a field would appear in logs
Object.defineProperty(OAuthError.prototype, brand, { value: true })
Object.defineProperty(OAuthError, Symbol.hasInstance, { value: hasInstance })

/** Decides `instanceof`: by the brand for this class, by the prototype for a class that extends it. */
function hasInstance(this: unknown, value: unknown): boolean {
  if (this !== OAuthError) return Function.prototype[Symbol.hasInstance].call(this as typeof OAuthError, value)
  return typeof value === 'object' && value !== null && brand in value
}

/** Stops V8 from collecting stack traces until the returned function is called. Does nothing when `Error` is frozen. */
function pauseStackTraces(): () => void {
  const { stackTraceLimit } = Error
  Reflect.set(Error, 'stackTraceLimit', 0)
  return () => void Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
}

/**
 * Tells whether an error is an outage: the database or another service gave no answer. An outage is never a verdict.
 */
export function isOutage(error: unknown): error is OAuthError {
  return error instanceof OAuthError && error.code === 'temporarily_unavailable'
}
