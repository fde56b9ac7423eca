import { OAuthError } from '../errors.ts'
import type { WireRequest } from '../wire/wire-request.ts'

/**
 * Explains a refusal by the common mistakes of callers: says what the server received and what to send. Looks only at
 * the request, never at a client or a user, so it reveals nothing that the caller did not send. Repeats no value.
 * `example` is a form to send; without it, returns the refusal unchanged.
 */
export function diagnose(error: OAuthError, request: WireRequest, example: string | null): OAuthError {
  const sentence = example === null ? null : explain(error, { ...request, example })
  return sentence === null ? error : new OAuthError(error.code, sentence, { ...error, cause: error.cause })
}

type Received = WireRequest & { readonly example: string }

function explain(error: OAuthError, received: Received): string | null {
  if (error.code === 'invalid_grant') return explainGrant(error, received)
  if (error.code === 'invalid_client') return explainClient(error, received)
  return error.missingField !== undefined ? explainMissing(received) : null
}

/** Explains only a request without any attempt to authenticate. Every failed attempt gets the same answer. */
function explainClient({ reason }: OAuthError, received: Received): string | null {
  const hasTried = received.headers['authorization'] !== undefined || reason !== 'no client credentials'
  return hasTried ? null : (explainMissing(received) ?? noCredentials)
}

const noCredentials =
  'The request has no client credentials. ' +
  'Send Authorization: Basic with id and secret, or client_id and client_secret in the form.'

const fieldNames = ['grant_type', 'username', 'password', 'client_id', 'client_secret', 'token']
const fieldInQuery = /(?:^|&)(?:grant_type|username|password|client_id|client_secret|token)(?:[=&]|$)/i

/** Explains where the fields are when the body lacks them. */
function explainMissing({ text, query, headers, example }: Received): string | null {
  if (fieldInQuery.test(query)) {
    return `The fields are in the query string, which the server ignores. Send them as a form in the body: ${example}`
  }
  if (fieldNames.some((name) => headers[name] !== undefined)) {
    return `The fields are in headers, which the server ignores. Send them as a form in the body: ${example}`
  }
  if (text === '') return `The body is empty. Send a form: ${example}`
  if (!text.includes('=') && /%3D/i.test(text)) {
    return `The whole body is percent-encoded. Encode each value, but not the = and & between them: ${example}`
  }
  return null
}

/** Adds advice that depends only on the encoding. The sentence about user and password stays the same for all. */
function explainGrant({ description }: OAuthError, { text }: Received): string | null {
  const values = credentials.map((field) => field.exec(text)?.[1] ?? '')
  if (values.some((value) => /%25[0-9A-F]{2}/i.test(value))) {
    return `${description} A value looks percent-encoded twice: encode it once.`
  }
  if (values.some((value) => /[+%]/.test(value)) && !encodedForm.test(text)) {
    return `${description} The form is partly unencoded, but + and % have a meaning in it: write + as %2B and % as %25.`
  }
  return null
}

const credentials = [/(?:^|&)username=([^&]*)/i, /(?:^|&)password=([^&]*)/i]

/** Matches a form in which every character is one that form and URI encoders write. */
const encodedForm = /^[A-Za-z0-9*\-._~!'()+%&=]*$/
