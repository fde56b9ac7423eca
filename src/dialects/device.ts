import { OAuthError } from '../errors.ts'
import type { Fields } from '../wire/fields.ts'
import { optionalField, requiredField } from '../wire/fields.ts'
import { mediaType } from '../wire/media-type.ts'
import { readJson } from '../wire/read-json.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import { writeJson } from '../wire/wire-reply.ts'
import type { Dialect } from './dialect.ts'

/**
 * `POST /auth/login`: a device signs the time with a key that it shares with its customer. It gets a JWT, valid for 10
 * minutes, to send as `x-access-token`. Every answer is JSON. No refusal has a member `token`, since that is all that
 * devices look for.
 */
export const device: Dialect = {
  name: 'device',
  path: '/auth/login',
  methods: ['POST'],
  grant: 'device signature',
  client: 'built-in',
  lifetimeSeconds: 600,
  tokenPlace: 'x-access-token',
  example: null,
  limit: { field: 'device_key', attempts: 10 },
  decode: ({ text, headers }) => {
    requireJson(headers['content-type'])
    return readJson(text)
  },
  read: (fields) => ({
    grant: 'device signature',
    deviceKey: requiredField(fields, 'device_key'),
    timestamp: readTimestamp(fields),
    signature: readSignature(fields),
  }),
  write: (token) => writeJson(200, { token: token.value }),
  refuse: writeRefusal,
}

/** Requires JSON, which a page of another origin cannot send without a CORS preflight. */
function requireJson(contentType: string | readonly string[] | undefined): void {
  if (/^(application|text)\/json$/.test(mediaType(contentType))) return
  throw new OAuthError('invalid_request', 'Send JSON, with Content-Type: application/json.', { status: 415 })
}

/** Reads whole seconds since 1970. Returns the digits as sent, since the signature covers them. */
function readTimestamp(fields: Fields): string {
  const timestamp = requiredField(fields, 'timestamp')
  if (/^\d{1,15}$/.test(timestamp)) return timestamp
  throw new OAuthError('invalid_request', 'timestamp is a whole number of seconds since 1970.')
}

/** Reads the signature under either of its two published names. */
function readSignature(fields: Fields): string {
  const [one, other] = [optionalField(fields, 'device_signature'), optionalField(fields, 'device-signature')]
  if (one === null || other === null) return one ?? other ?? requiredField(fields, 'device_signature')
  throw new OAuthError('invalid_request', 'Send device_signature or device-signature, not both.')
}

/** Answers a wrong signature with 401, where the password dialects send 400. */
function writeRefusal({ code, status, description }: OAuthError): WireReply {
  const isVerdict = code === 'invalid_grant' || code === 'unauthorized_client'
  return writeJson(isVerdict ? 401 : status, { error: code, message: description })
}
