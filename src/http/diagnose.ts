import { OAuthError } from '../errors.ts'
import type { WireRequest } from '../wire/wire-request.ts'

/**
 * Says in a refusal what people get wrong with such endpoints: what was received and what to send. It looks at the request
 * alone, never at what is known of a client or a user, so it tells nobody more than they sent; no value is repeated.
 * `example` is the form to send; where there is none, nothing is explained.
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

/** Whoever tried to say who they are gets the one answer that all of them get. */
function explainClient({ reason }: OAuthError, received: Received): string | null {
  const hasTried = received.headers['authorization'] !== undefined || reason !== 'no client credentials'
  return hasTried ? null : (explainMissing(received) ?? noCredentials)
}

const noCredentials =
  'No client credentials came. Send Authorization: Basic with id and secret, or client_id and client_secret in the form.'

const fieldNames = ['grant_type', 'username', 'password', 'client_id', 'client_secret', 'token']
const fieldInQuery = /(?:^|&)(?:grant_type|username|password|client_id|client_secret|token)(?:[=&]|$)/i

/** Where the fields are, when they are not in the body. */
function explainMissing({ text, query, headers, example }: Received): string | null {
  if (fieldInQuery.test(query)) {
    return `The fields came in the query string, which is not read. Send them as a form in the body: ${example}`
  }
  if (fieldNames.some((name) => headers[name] !== undefined)) {
    return `The fields came as headers, which are not read. Send them as a form in the body: ${example}`
  }
  if (text === '') return `The body is empty. Send a form: ${example}`
  if (!text.includes('=') && /%3D/i.test(text)) {
    return `The whole body came percent-encoded. Encode each value, but not the = and & between them: ${example}`
  }
  return null
}

/** The sentence about user and password stays the same for all; what follows looks at the encoding alone. */
function explainGrant({ description }: OAuthError, { text }: Received): string | null {
  const values = credentials.map((field) => field.exec(text)?.[1] ?? '')
  if (values.some((value) => /%25[0-9A-F]{2}/i.test(value))) {
    return `${description} A value looks percent-encoded twice: encode it once.`
  }
  if (values.some((value) => /[+%]/.test(value)) && !encodedForm.test(text)) {
    return `${description} The form came partly unencoded, and + and % mean something in it: write + as %2B and % as %25.`
  }
  return null
}

const credentials = [/(?:^|&)username=([^&]*)/i, /(?:^|&)password=([^&]*)/i]

/** Whether each character is one that form and URI encoders leave or write. */
const encodedForm = /^[A-Za-z0-9*\-._~!'()+%&=]*$/
