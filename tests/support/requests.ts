import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { keepSecret } from './kept-secrets.ts'

/** `Authorization: Basic` as curl -u writes it. */
export function basic(id: string, secret: string): { authorization: string } {
  return { authorization: `Basic ${keepSecret(Buffer.from(`${id}:${secret}`).toString('base64'))}` }
}

/** `Authorization: Bearer`. */
export function bearer(value: string): { authorization: string } {
  return { authorization: `Bearer ${value}` }
}

/** The client and the user of a request. */
export interface Asking {
  readonly client: { readonly id: string; readonly secret: string }
  readonly user: { readonly name: string; readonly password: string }
}

/** A request for a token as the contract's first example sends it; notes the value it gets as a secret. */
export async function askForToken(app: FastifyInstance, { client, user }: Asking): Promise<LightMyRequestResponse> {
  const response = await app.inject({
    method: 'POST',
    url: '/Token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(client.id, client.secret) },
    body: new URLSearchParams({ grant_type: 'password', username: user.name, password: user.password }).toString(),
  })
  if (response.statusCode === 200) keepSecret(response.json().access_token)
  return response
}

/** `GET /userinfo` with a token. */
export async function askWhose(app: FastifyInstance, value: string): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'GET', url: '/userinfo', headers: bearer(value) })
}

/** What a request at the token endpoint may consist of. */
export interface TokenRequestParts {
  readonly method?: 'GET' | 'POST'
  readonly url?: string
  readonly headers?: Record<string, string | string[]>
  readonly body?: string | Buffer
}

/** The fields of a password grant, as a form. */
export function passwordForm(
  user: { readonly name: string; readonly password: string },
  more: Record<string, string> = {},
): string {
  return new URLSearchParams({
    grant_type: 'password',
    username: user.name,
    password: user.password,
    ...more,
  }).toString()
}

/** A request at the token endpoint exactly as its parts say; notes the value it gets as a secret. */
export async function sendToken(app: FastifyInstance, parts: TokenRequestParts): Promise<LightMyRequestResponse> {
  const { method = 'POST', url = '/Token', headers = {}, body } = parts
  const typed = { 'content-type': 'application/x-www-form-urlencoded', ...headers }
  const response = await app.inject({ method, url, headers: typed, ...(body === undefined ? {} : { body }) })
  if (response.statusCode === 200) keepSecret(response.json().access_token)
  return response
}

/** What a successful answer consists of, in order. */
export const documentedFields = [
  'access_token',
  'token_type',
  'expires_in',
  'userName',
  'userId',
  'role',
  '.issued',
  '.expires',
]
