import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readAuthorization } from '../bearer/authorization.ts'
import type { AuthenticateClient, Client, ClientCredentials } from '../clients/authenticate-client.ts'
import { isShortSecret } from '../clients/client-secret.ts'
import type { Fields } from '../dialects/dialect.ts'
import { optionalField } from '../dialects/fields.ts'
import { OAuthError } from '../errors.ts'
import type { ClientThrottle } from '../throttle/client-throttle.ts'
import { networkOf } from './network.ts'

/** A symbol, since a host may have decorated its own requests with any name. */
export const basicCredentials = Symbol('basic credentials')

declare module 'fastify' {
  interface FastifyRequest {
    /** What `Authorization: Basic` said, undecoded; only inside the token server's own scopes. */
    [basicCredentials]: BasicCredentials | null
  }
}

/** The two halves of a Basic header as they stand there. */
export interface BasicCredentials {
  readonly id: string
  readonly secret: string
}

/** For @fastify/basic-auth: keeps what the header says; whether it is true is asked afterwards. */
export async function keepBasicCredentials(id: string, secret: string, request: FastifyRequest): Promise<void> {
  request[basicCredentials] = { id, secret }
}

/** How clients are known. */
export interface ClientCheck {
  readonly authenticateClient: AuthenticateClient
  readonly clientThrottle: ClientThrottle
}

/** Whose request it is. Throws OAuthError when it is nobody's. */
export type IdentifyClient = (
  scope: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  fields: Fields,
) => Promise<Client>

/**
 * RFC 6749 §2.3: a client proves itself by header or by fields, never both; a public one names itself in
 * `client_id`. Any Authorization header counts as one way. Throws OAuthError `invalid_request` for two ways
 * or two ids, `invalid_client` for everything that does not prove a client, `slow_down` after too many wrong secrets. A
 * request that does not try stands for `defaultClient`, which must be public.
 */
export function byCredentials(check: ClientCheck, defaultClient = ''): IdentifyClient {
  return async (scope, request, reply, fields) => {
    const credentials = await readCredentials(scope, defaultClient, request, reply, fields)
    return checkCredentials(check, credentials, networkOf(request.ip))
  }
}

/** What a request says of its client, in one reading or two. */
type Readings = readonly [ClientCredentials, ClientCredentials | null]

async function readCredentials(
  scope: FastifyInstance,
  defaultClient: string,
  request: FastifyRequest,
  reply: FastifyReply,
  fields: Fields,
): Promise<Readings> {
  const id = optionalField(fields, 'client_id')
  const secret = optionalField(fields, 'client_secret')
  if (readAuthorization(request) === null) {
    return [{ id: id ?? (secret === null ? defaultClient : ''), secret }, null]
  }
  if (secret !== null) throw refuse('The client authenticates in two ways. Use the Authorization header or fields.')
  const [asSent, decoded] = await readBasic(scope, request, reply)
  if (id !== null && id !== asSent.id && id !== decoded?.id) {
    throw refuse('The client_id in the body is not the one in the Authorization header.')
  }
  return [asSent, decoded]
}

/** Whoever sends no secret guesses none; two readings of one header are one attempt. */
async function checkCredentials(
  { authenticateClient, clientThrottle }: ClientCheck,
  [first, second]: Readings,
  network: string,
): Promise<Client> {
  const check = () =>
    authenticateClient(first, network).catch((error: unknown) => {
      if (second !== null && isRefusal(error)) return authenticateClient(second, network)
      throw error
    })
  const { id } = second ?? first // no id needs encoding: no spelling of one has a count of its own
  return first.secret === null
    ? check()
    : clientThrottle.check({ id, network, isGuessable: isShortSecret(first.secret), check, isFailure: isRefusal })
}

function isRefusal(error: unknown): boolean {
  return error instanceof OAuthError && error.code === 'invalid_client'
}

/** The header's halves as they are and, where that makes a difference, form-decoded (RFC 6749 §2.3.1). */
async function readBasic(scope: FastifyInstance, request: FastifyRequest, reply: FastifyReply): Promise<Readings> {
  await new Promise<void>((resolve, reject) => {
    scope.basicAuth(request, reply, (error?: Error) => (error ? reject(error) : resolve()))
  })
  const halves = request[basicCredentials] ?? { id: '', secret: '' }
  const decoded = { id: formDecode(halves.id), secret: formDecode(halves.secret) }
  const isSame = decoded.id === halves.id && decoded.secret === halves.secret
  return [withoutEmptySecret(halves), isSame ? null : withoutEmptySecret(decoded)]
}

function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

/** RFC 6749 §2.3.1: an empty secret may be left out, so both mean none. */
function withoutEmptySecret({ id, secret }: BasicCredentials): ClientCredentials {
  return { id, secret: secret === '' ? null : secret }
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
