import { OAuthError } from '../errors.ts'
import type { IssuedToken } from '../tokens/token.ts'
import type { Fields } from '../wire/fields.ts'
import { deviceField, optionalField } from '../wire/fields.ts'
import { mediaType } from '../wire/media-type.ts'
import { type Formatters, negotiate } from '../wire/negotiate.ts'
import { readForm } from '../wire/read-form.ts'
import { readJson } from '../wire/read-json.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import { describeError } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'
import { instanceNamespace, readXml, writeElement } from '../wire/xml.ts'
import type { Dialect } from './dialect.ts'
import { readPasswordGrant } from './webapi.ts'

const example = 'grant_type=password&userName=...&password=...&clientKey=...'

/**
 * `POST /v2/token`: signs in a user on a device (`clientKey`). Reads a form, JSON or XML, and answers in JSON or XML,
 * chosen as ASP.NET Web API does. `sessionKey` identifies a sign-in and proves nothing.
 */
export const webapiSession: Dialect = {
  name: 'webapi-session',
  path: '/v2/token',
  methods: ['POST'],
  grant: 'password',
  client: 'built-in',
  example,
  decode,
  read: (fields) => ({ ...readPasswordGrant(fields), device: deviceField(fields, 'clientKey', '') }),
  write: (token, request) => writeAs(request, 200, describe(token, request.fields), oauthToken),
  refuse: (error, request) => writeAs(request, error.status, describeError(error), errorRoot),
}

const namespace = 'http://schemas.datacontract.org/2004/07/Yindo.DAL.Types'
const oauthToken = `OAuthToken xmlns:i="${instanceNamespace}" xmlns="${namespace}"`
const errorRoot = 'Error'

/** Decodes the published request formats. A body without a content type is a form. */
function decode({ text, headers }: WireRequest): Fields {
  const type = mediaType(headers['content-type'])
  if (type === '' || type === 'application/x-www-form-urlencoded') return readForm(text, example)
  if ([...jsonTypes, ...scriptTypes].includes(type)) return readJson(text)
  if (xmlTypes.includes(type)) return readXml(text, { name: 'OAuthRequest', namespace })
  throw new OAuthError('invalid_request', `Send a form (${example}), JSON or XML.`, { status: 415 })
}

const jsonTypes = ['application/json', 'text/json'] as const
const scriptTypes = ['text/javascript']
const xmlTypes = ['application/xml', 'text/xml']

/** In the order of ASP.NET Web API, which decides between equal preferences. */
const formatters: Formatters = [jsonTypes, xmlTypes, scriptTypes]

/** Returns the published fields, in the published order. */
function describe(token: IssuedToken, fields: Fields): Values {
  return {
    access_token: token.value,
    token_type: 'bearer',
    expires_in: token.lifetimeSeconds,
    userName: token.userName,
    userID: token.userId,
    sessionKey: token.signInId,
    clientKey: optionalField(fields, 'clientKey'),
  }
}

type Values = Readonly<Record<string, string | number | null>>

function writeAs({ headers }: WireRequest, status: number, values: Values, root: string): WireReply {
  const type = negotiate(String(headers['accept'] ?? ''), mediaType(headers['content-type']), formatters)
  const body = xmlTypes.includes(type) ? writeXml(root, values) : JSON.stringify(values)
  return { status, headers: { 'content-type': `${type}; charset=utf-8`, vary: 'Accept' }, body }
}

/** Writes XML as DataContractSerializer does: members in ordinal order, null as `i:nil`. */
function writeXml(root: string, values: Values): string {
  const members = Object.entries(values)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => (value === null ? `<${name} i:nil="true" />` : writeElement(name, String(value))))
  return `<${root}>${members.join('')}</${root.split(' ', 1).join()}>`
}
