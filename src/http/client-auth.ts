import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readAuthorization } from '../bearer/authorization.ts'
import type { Client, ClientCredentials } from '../clients/client.ts'
import { OAuthError } from '../errors.ts'
import type { AuthenticateClient, ClientReadings } from '../grants/authenticate-client.ts'
import type { Fields } from '../wire/fields.ts'
import { optionalField } from '../wire/fields.ts'
import { formDecode } from '../wire/form-decode.ts'
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

/** Identifies the client of a request. Throws OAuthError when the request proves no client. */
export type IdentifyClient = (
  scope: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  fields: Fields,
) => Promise<Client>

/** How an endpoint reads client credentials. */
export interface CredentialRules {
  /** The public client that a request without any credentials stands for. */
  readonly defaultClient?: string | undefined
  /** Reads the form when the Authorization header is not a readable Basic one, as Katana does. Default: false. */
  readonly ignoresOtherSchemes?: boolean | undefined
}

/**
 * RFC 6749 §2.3: a client proves itself by header or by fields, never both; a public one names itself in
 * `client_id`. Any Authorization header counts as one way. Throws OAuthError `invalid_request` for two ways
 * or two ids, `invalid_client` for everything that does not prove a client, `slow_down` after too many wrong secrets.
 */
export function byCredentials(authenticateClient: AuthenticateClient, rules: CredentialRules = {}): IdentifyClient {
  return async (scope, request, reply, fields) => {
    const credentials = await readCredentials(scope, request, reply, { fields, ...rules })
    return authenticateClient(credentials, networkOf(request.ip))
  }
}

async function readCredentials(
  scope: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  { fields, defaultClient = '', ignoresOtherSchemes = false }: CredentialRules & { fields: Fields },
): Promise<ClientReadings> {
  const id = optionalField(fields, 'client_id')
  const secret = optionalField(fields, 'client_secret')
  const inForm: ClientReadings = [{ id: id ?? (secret === null ? defaultClient : ''), secret }]
  if (readAuthorization(request) === null) return inForm
  if (ignoresOtherSchemes && !isReadableBasic(request.headers.authorization ?? '')) return inForm
  if (secret !== null) throw refuse('The client authenticates in two ways. Use the Authorization header or fields.')
  const readings = await readBasic(scope, request, reply)
  if (id !== null && !readings.some((reading) => reading.id === id)) {
    throw refuse('The client_id in the body is not the one in the Authorization header.')
  }
  return readings
}

/** Whether Katana's TryGetBasicCredentials succeeds: `Basic `, base64, and a colon in what it decodes to. */
function isReadableBasic(header: string): boolean {
  const encoded = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(header.trim())?.[1] ?? ''
  return encoded.length % 4 === 0 && Buffer.from(encoded, 'base64').includes(':') // .NET insists on the padding
}

/** The header's halves as they are and, where that makes a difference, form-decoded (RFC 6749 §2.3.1). */
async function readBasic(
  scope: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<ClientReadings> {
  await new Promise<void>((resolve, reject) => {
    scope.basicAuth(request, reply, (error?: Error) => (error ? reject(error) : resolve()))
  })
  const halves = request[basicCredentials] ?? { id: '', secret: '' }
  const decoded = { id: formDecode(halves.id) ?? halves.id, secret: formDecode(halves.secret) ?? halves.secret }
  const isSame = decoded.id === halves.id && decoded.secret === halves.secret
  return isSame ? [withoutEmptySecret(halves)] : [withoutEmptySecret(halves), withoutEmptySecret(decoded)]
}

/** RFC 6749 §2.3.1: an empty secret may be left out, so both mean none. */
function withoutEmptySecret({ id, secret }: BasicCredentials): ClientCredentials {
  return { id, secret: secret === '' ? null : secret }
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
