import type { OAuthError } from '../errors.ts'

/** An answer as a dialect writes it. */
export interface WireReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Writes a refusal (RFC 6749 §5.2), with the challenge that a refused client must get. */
export function writeRefusal(error: OAuthError): WireReply {
  const reply = writeError(error)
  if (error.code !== 'invalid_client') return reply
  return { ...reply, headers: { ...reply.headers, 'www-authenticate': 'Basic realm="password-grant"' } }
}

/** Writes the members of a refusal in JSON, without a challenge. */
export function writeError(error: OAuthError): WireReply {
  return writeJson(error.status, describeError(error))
}

/** Returns the members of a refusal (RFC 6749 §5.2). */
export function describeError({ code, description }: OAuthError): { error: string; error_description: string } {
  return { error: code, error_description: description }
}

/** Writes an answer in JSON. */
export function writeJson(status: number, body: object): WireReply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) }
}
