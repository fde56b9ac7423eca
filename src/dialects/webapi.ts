import { OAuthError } from '../errors.ts'
import type { PasswordRequest } from '../grants/password-grant.ts'
import { httpDate } from '../http-date.ts'
import type { IssuedToken } from '../tokens/token.ts'
import type { Fields } from '../wire/fields.ts'
import { requiredField } from '../wire/fields.ts'
import { readForm } from '../wire/read-form.ts'
import { writeJson, writeRefusal } from '../wire/wire-reply.ts'
import type { Dialect } from './dialect.ts'

const example = 'grant_type=password&username=...&password=...'

/**
 * `POST /Token` as in ASP.NET Web API: RFC 6749 §4.3 and §5, with `userName`, `userId`, `role`, `.issued` and
 * `.expires` beside the token. Reads the body as a form and ignores its content type: the published example sends a
 * form under `application/json`, and with GET.
 */
export const webapi: Dialect = {
  name: 'webapi',
  path: '/Token',
  methods: ['GET', 'POST'],
  grant: 'password',
  client: 'authenticated',
  example,
  decode: ({ text }) => readForm(text, example),
  read: readPasswordGrant,
  write: (token) => writeJson(200, describeToken(token, token.lifetimeSeconds)),
  refuse: writeRefusal,
}

/** Reads the fields of RFC 6749 §4.3.2, for the seat without a label. */
export function readPasswordGrant(fields: Fields): PasswordRequest {
  if (requiredField(fields, 'grant_type') !== 'password') throw refuseGrantType()
  return {
    grant: 'password',
    username: requiredField(fields, 'username'),
    password: requiredField(fields, 'password'),
    device: '',
  }
}

/** Creates the refusal of any other grant type. */
export function refuseGrantType(): OAuthError {
  return new OAuthError('unsupported_grant_type', 'The only supported grant_type is password.')
}

/** Returns the published fields, in the published order. */
export function describeToken(token: IssuedToken, expiresIn: number | undefined): object {
  return {
    access_token: token.value,
    token_type: 'bearer',
    expires_in: expiresIn,
    userName: token.userName,
    userId: token.userId,
    role: token.role,
    '.issued': httpDate(token.issuedAt),
    '.expires': httpDate(token.expiresAt),
  }
}
