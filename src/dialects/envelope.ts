import type { OAuthError } from '../errors.ts'
import type { Fields } from '../wire/fields.ts'
import { deviceField, gatherFields, optionalField, requiredField } from '../wire/fields.ts'
import { mediaType } from '../wire/media-type.ts'
import { readForm } from '../wire/read-form.ts'
import { readMultipart } from '../wire/read-multipart.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import { writeJson } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import type { Dialect } from './dialect.ts'

/**
 * `POST /v1/oauth/`: reads `username`, `password` and `device-info` from a form, a multipart body or the query string.
 * Every answer is an envelope. Errors have numbers, and most of them the status 200, as in the API that it imitates.
 * Its tokens live 30 days, and requests may send them as `Authorization: Token`.
 */
export const envelope: Dialect = {
  name: 'envelope',
  path: '/v1/oauth/',
  methods: ['POST'],
  grant: 'password',
  client: 'built-in',
  lifetimeSeconds: 2_592_000,
  tokenPlace: 'Token',
  example: null,
  decode,
  read: (fields) => ({
    grant: 'password',
    username: requiredField(fields, 'username'),
    password: requiredField(fields, 'password'),
    device: deviceField(fields, 'device-info', 'Unknown'),
  }),
  write: (token) => present({ access_token: token.value, expiry: token.expiresAt.toUnixInteger() }),
  refuse: (error) => writeRefusal(error),
  present,
}

/**
 * The `envelope` dialect with `debug=1`, which reveals whether a user exists and what the database reported. Only for
 * development.
 */
export const envelopeWithDebug: Dialect = {
  ...envelope,
  refuse: (error, { fields }) => writeRefusal(error, fields.get('debug') === '1' ? explain(error, fields) : {}),
}

async function decode({ text, query, headers }: WireRequest): Promise<Fields> {
  const type = String(headers['content-type'] ?? '')
  const body = mediaType(type) === 'multipart/form-data' ? await readMultipart(text, type) : readForm(text, null)
  return gatherFields([...body, ...readForm(query, null)])
}

function present(data: object): WireReply {
  return writeJson(200, { success: true, data })
}

function writeRefusal(error: OAuthError, debug: object = {}): WireReply {
  const { status, code, type, message } = findAnswer(error)
  const errors = { message, type, code }
  return writeJson(status, { success: false, errors, ...(Object.keys(debug).length > 0 ? { debug } : {}) })
}

const ofType = (type: string) => (status: number, code: string, message: string) => ({ status, code, type, message })
const oauth = ofType('OAuthException')
const method = ofType('APIMethodException')
const server = ofType('ServerSideException')

/** Returns the published code, type and text. Only 1429 is our own, since the original API had no throttle. */
function findAnswer(error: OAuthError): ReturnType<typeof oauth> {
  switch (error.code) {
    case 'invalid_grant':
    case 'unauthorized_client':
      return oauth(200, '1142', 'Wrong username/password. Please try again.')
    case 'slow_down':
      return oauth(429, '1429', 'Too many attempts. Please try again later.')
    case 'invalid_token':
    case 'insufficient_scope':
      return error.missingField === undefined
        ? oauth(error.status, '1403', 'Invalid OAuth access token.')
        : oauth(401, '1190', 'An active access token must be used to query information about the current visitors.')
    case 'not_found':
    case 'invalid_client': // the dialect's own client has just been disabled
      return method(404, '2600', 'Unknown path components: /oauth/')
    case 'temporarily_unavailable':
      return server(503, '5501', 'Server encountered an error. Please try again later')
    case 'server_error':
      return server(500, '5404', 'Unknown error occured. This should not happen normally. Please contact a developer.')
    case 'invalid_request':
    case 'unsupported_grant_type':
      if (error.missingField !== undefined) return oauth(200, '1157', 'Username/password not supplied.')
      if (error.status === 405) {
        return method(405, '3100', 'Unsupported get request. Please check documentation for more information.')
      }
      return method(
        error.status === 413 ? 400 : error.status,
        '2400',
        'Incorrect data format or data supplied is too large. Please check documentation for more information.',
      )
  }
}

/** Returns the published members of `debug`. */
function explain({ code, reason }: OAuthError, fields: Fields): object {
  if (code === 'temporarily_unavailable') return { mysql: reason }
  if (code !== 'invalid_grant') return {}
  if (reason !== 'unknown user') return { password: 'Incorrect password.' }
  return { username: `Username ${optionalField(fields, 'username')} does not exist.` }
}
