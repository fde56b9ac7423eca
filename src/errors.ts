/**
 * The codes a refusal can carry: RFC 6749 §5.2, RFC 6750 §3.1, `temporarily_unavailable` and `server_error` of RFC 6749
 * §4.1.2.1, `slow_down` of RFC 8628 §3.5, and `not_found` for what is not, or no longer, there.
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

/** What a refusal may carry besides its code and its public sentence. */
export interface OAuthErrorDetails {
  /** HTTP status, where the code's own does not fit (405, 413, 415). */
  readonly status?: number
  /** Why, in the log's words; never sent. */
  readonly reason?: string | undefined
  /** The field that was missing, where that is the mistake: some dialects have words of their own for it. */
  readonly missingField?: string | undefined
  /** What was thrown underneath; never sent. */
  readonly cause?: unknown
  /** Whom it concerns, for the log; never sent. */
  readonly userId?: string | undefined
  /** Which registered client it concerns, for the log; never sent. */
  readonly clientId?: string | undefined
  /** Whole seconds after which asking again makes sense (RFC 9110 §10.2.3). */
  readonly retryAfterSeconds?: number | undefined
  /** Refused for want of room, as many others at the moment: the log counts them. */
  readonly isOverload?: boolean
  /** Headers that belong to this refusal (`Allow`). */
  readonly headers?: Readonly<Record<string, string>>
}

/** Brands the refusals of every copy of this class: the server and the guard are packages with the same code in each. */
const brand = Symbol.for('fastify-password-grant.OAuthError')

/**
 * The one way to say no: `code` and `description` are public, everything else is for the log.
 * Descriptions keep to the characters of RFC 6749 §5.2 wherever they can reach the wire. A refusal has no stack trace
 * unless it has a `cause` or the status 500: collecting one costs ten times the rest, and strangers cause refusals.
 * `instanceof OAuthError` holds across the packages of this project; a class that extends it has its own instances only.
 */
export class OAuthError extends Error {
  /** Missing at run time from a guard's refusal of a request without a token (RFC 6750 §3.1). */
  readonly code: OAuthErrorCode
  readonly description: string
  readonly status: number
  /** The same, under the name that Fastify's error handlers go by. */
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

// on the prototype, since a log would show a field
Object.defineProperty(OAuthError.prototype, brand, { value: true })
Object.defineProperty(OAuthError, Symbol.hasInstance, { value: hasInstance })

/** Decides `instanceof`: by the brand for this class, as usual for a class that extends it. */
function hasInstance(this: unknown, value: unknown): boolean {
  if (this !== OAuthError) return Function.prototype[Symbol.hasInstance].call(this as typeof OAuthError, value)
  return typeof value === 'object' && value !== null && brand in value
}

/** Lets V8 collect no stack trace until the returned function is called. Does nothing where `Error` is frozen. */
function pauseStackTraces(): () => void {
  const { stackTraceLimit } = Error
  Reflect.set(Error, 'stackTraceLimit', 0)
  return () => void Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
}

/** Whether somebody could not be asked, or could not answer: never a verdict. */
export function isOutage(error: unknown): error is OAuthError {
  return error instanceof OAuthError && error.code === 'temporarily_unavailable'
}
