import type { OAuthError } from '../errors.ts'
import type { DeviceRequest } from '../grants/device-grant.ts'
import type { PasswordRequest } from '../grants/password-grant.ts'
import type { IssuedToken } from '../tokens/token.ts'
import type { Fields } from '../wire/fields.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'

/** A request for a token, independent of the dialect: one member for each grant. */
export type TokenRequest = PasswordRequest | DeviceRequest

/** One wire form of the token service. Its functions are pure: no Fastify, no clock, no database. */
export interface Dialect {
  readonly name: string
  /** The path of its endpoint, matched in any letter case. A slash at its end is optional in requests. */
  readonly path: string
  readonly methods: readonly ('GET' | 'POST')[]
  /** The grant that issues its tokens. */
  readonly grant: TokenRequest['grant']
  /** Whether requests authenticate a client, or all act as the built-in public client with the dialect's name. */
  readonly client: 'authenticated' | 'built-in'
  /** The public client of a request without any client credentials. */
  readonly defaultClient?: string | undefined
  /**
   * Reads client credentials from the form when the Authorization header is not a readable Basic one. Default: false.
   */
  readonly ignoresOtherSchemes?: boolean | undefined
  /** The lifetime of its tokens in seconds, unless the client has one. Default: the server's. */
  readonly lifetimeSeconds?: number | undefined
  /** Where requests may send its tokens besides `Authorization: Bearer`. */
  readonly tokenPlace?: 'Token' | 'x-access-token' | undefined
  /** An example request for refusals that explain; null when its refusals have fixed sentences. */
  readonly example: string | null
  /** A rate limit: the field that identifies the caller, and the requests a minute that one network may send. */
  readonly limit?: { readonly field: string; readonly attempts: number } | undefined
  /** Decodes the body into unique fields. Throws OAuthError `invalid_request`. */
  decode(request: WireRequest): Fields | Promise<Fields>
  /** Translates the fields into a token request. Throws OAuthError `invalid_request` or `unsupported_grant_type`. */
  read(fields: Fields): TokenRequest
  /** Writes the answer with an issued token. */
  write(token: IssuedToken, request: WireRequest): WireReply
  /** Writes a refusal. */
  refuse(error: OAuthError, request: WireRequest): WireReply
  /**
   * Writes the answer to a request with its token at `tokenPlace`; refusals then take the dialect's form too. Default:
   * as with `Bearer`.
   */
  present?(answer: object): WireReply
}

/** Tells whether a dialect signs its tokens, so that the server publishes the keys. */
export function signsTokens({ grant }: Dialect): boolean {
  return grant === 'device signature'
}
