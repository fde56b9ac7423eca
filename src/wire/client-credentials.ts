import { OAuthError } from '../errors.ts'
import { type Fields, optionalField } from './fields.ts'
import { formDecode } from './form-decode.ts'

/** The client credentials of a request. A public client has no secret. */
export interface ClientCredentials {
  readonly id: string
  readonly secret: string | null
}

/** The possible readings of one request's credentials: a Basic header may be form-encoded or not (RFC 6749 §2.3.1). */
export type CredentialReadings = readonly [ClientCredentials, ...ClientCredentials[]]

/** The two halves of a Basic header, not yet form-decoded. */
export interface BasicHalves {
  readonly id: string
  readonly secret: string
}

/** Reads the credentials in the fields. A request without any acts as `defaultClient`, a public client. */
export function readFieldCredentials(fields: Fields, defaultClient = ''): CredentialReadings {
  const id = optionalField(fields, 'client_id')
  const secret = optionalField(fields, 'client_secret')
  return [{ id: id ?? (secret === null ? defaultClient : ''), secret }]
}

/**
 * Refuses a secret in the fields beside an Authorization header: a client must not authenticate in two ways (RFC 6749
 * §2.3). Throws OAuthError `invalid_request`.
 */
export function requireHeaderOnly(fields: Fields): void {
  if (optionalField(fields, 'client_secret') === null) return
  throw refuse('The client authenticates in two ways. Use either the Authorization header or fields.')
}

/**
 * Reads the credentials of a Basic header: as sent and, if that differs, form-decoded. Throws OAuthError
 * `invalid_request` when `client_id` names another client.
 */
export function readHeaderCredentials(halves: BasicHalves, fields: Fields): CredentialReadings {
  const decoded = { id: formDecode(halves.id) ?? halves.id, secret: formDecode(halves.secret) ?? halves.secret }
  const isSame = decoded.id === halves.id && decoded.secret === halves.secret
  const readings: CredentialReadings = isSame
    ? [withoutEmptySecret(halves)]
    : [withoutEmptySecret(halves), withoutEmptySecret(decoded)]
  const id = optionalField(fields, 'client_id')
  if (id === null || readings.some((reading) => reading.id === id)) return readings
  throw refuse('The client_id in the body is not the one in the Authorization header.')
}

/** Tells whether Katana's TryGetBasicCredentials would succeed: `Basic `, then base64 of a text with a colon. */
export function isReadableBasic(header: string): boolean {
  const encoded = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(header.trim())?.[1] ?? ''
  return encoded.length % 4 === 0 && Buffer.from(encoded, 'base64').includes(':') // .NET insists on the padding
}

/** RFC 6749 §2.3.1: a client may omit an empty secret, so an empty one means none. */
function withoutEmptySecret({ id, secret }: BasicHalves): ClientCredentials {
  return { id, secret: secret === '' ? null : secret }
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
