import { OAuthError } from '../errors.ts'
import { httpDate } from '../http-date.ts'
import type { Dialect } from './dialect.ts'
import { requiredField } from './fields.ts'
import { writeJson, writeRefusal } from './reply.ts'

/**
 * `POST /Token` as ASP.NET Web API's endpoint speaks it: RFC 6749 §4.3 and §5, with `userName`, `userId`,
 * `role`, `.issued` and `.expires` beside the token.
 */
export const webapi: Dialect = {
  name: 'webapi',
  path: '/Token',

  read(fields) {
    const grantType = requiredField(fields, 'grant_type')
    if (grantType !== 'password') {
      throw new OAuthError('unsupported_grant_type', 'The only grant_type here is password.')
    }
    return {
      grant: 'password',
      username: requiredField(fields, 'username'),
      password: requiredField(fields, 'password'),
      device: '',
    }
  },

  write(token) {
    return writeJson(200, {
      access_token: token.value,
      token_type: 'bearer',
      expires_in: token.lifetimeSeconds,
      userName: token.userName,
      userId: token.userId,
      role: token.role,
      '.issued': httpDate(token.issuedAt),
      '.expires': httpDate(token.expiresAt),
    })
  },

  refuse: writeRefusal,
}
