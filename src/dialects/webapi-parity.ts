import type { OAuthError } from '../errors.ts'
import { optionalField } from '../wire/fields.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import type { Dialect } from './dialect.ts'
import { describeToken, readPasswordGrant, refuseGrantType, webapi } from './webapi.ts'

/**
 * `webapi` to the letter of its ancestor, Katana's `OAuthAuthorizationServerHandler`: `expires_in` cut to one second
 * less (and left out when that is none), every verdict 400 without a challenge, and its headers. What that server had no answer for (405, 413, 429, 503 and
 * our own faults) stays as `webapi` has it, and so does everything that protects a password.
 */
export const webapiParity: Dialect = {
  ...webapi,
  example: null, // a refusal's words are part of what is the same
  ignoresOtherSchemes: true, // old clients send their old token with every request
  read(fields) {
    if (optionalField(fields, 'grant_type') === null) throw refuseGrantType()
    return readPasswordGrant(fields)
  },
  write: (token) => writeKatana(200, describeToken(token, token.lifetimeSeconds - 1 || undefined)),
  refuse: (error, request) => ([400, 401].includes(error.status) ? writeVerdict(error) : webapi.refuse(error, request)),
}

/** The ancestor sent a description where the site's own code gave it one. */
function writeVerdict({ code, description }: OAuthError): WireReply {
  const isSilent = code === 'invalid_client' || code === 'unsupported_grant_type'
  return writeKatana(400, { error: code, ...(isSilent ? {} : { error_description: description }) })
}

function writeKatana(status: number, body: object): WireReply {
  const headers = {
    'content-type': 'application/json;charset=UTF-8',
    'cache-control': 'no-cache',
    pragma: 'no-cache',
    expires: '-1',
  }
  return { status, headers, body: JSON.stringify(body) }
}
