import type { OAuthError } from '../errors.ts'
import { optionalField } from '../wire/fields.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import type { Dialect } from './dialect.ts'
import { describeToken, readPasswordGrant, refuseGrantType, webapi } from './webapi.ts'

/**
 * `webapi` with the exact answers of Katana's `OAuthAuthorizationServerHandler`: `expires_in` is one second less (and
 * omitted when that leaves 0), every 400 or 401 is a 400 without a challenge, and the headers are Katana's. Answers
 * that Katana never sent (405, 413, 429, 503 and our own faults) stay those of `webapi`. So does everything that
 * protects a password.
 */
export const webapiParity: Dialect = {
  ...webapi,
  example: null, // parity includes the sentences of refusals
  ignoresOtherSchemes: true, // old clients send their old token with every request
  read(fields) {
    if (optionalField(fields, 'grant_type') === null) throw refuseGrantType()
    return readPasswordGrant(fields)
  },
  write: (token) => writeKatana(200, describeToken(token, token.lifetimeSeconds - 1 || undefined)),
  refuse: (error, request) => ([400, 401].includes(error.status) ? writeVerdict(error) : webapi.refuse(error, request)),
}

/** Omits the description where Katana had none: it sent one only when the site's own code set it. */
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
