import type { OAuthError } from '../errors.ts'
import type { DeviceRequest } from '../grants/device-grant.ts'
import type { PasswordRequest } from '../grants/password-grant.ts'
import type { IssuedToken } from '../tokens/token.ts'
import type { Fields } from '../wire/fields.ts'
import type { WireReply } from '../wire/wire-reply.ts'
import type { WireRequest } from '../wire/wire-request.ts'

/** What is asked for, in our words: a union with one member for each way of earning a token. */
export type TokenRequest = PasswordRequest | DeviceRequest

/** One wire form of the token service: pure functions, no Fastify, no clock, no database. */
export interface Dialect {
  readonly name: string
  /** Where it listens; matched in any letter case. With a slash at its end, that slash may be left out. */
  readonly path: string
  readonly methods: readonly ('GET' | 'POST')[]
  /** How tokens are earned here. */
  readonly grant: TokenRequest['grant']
  /** Whether requests prove a client, or all of them count as the built-in public client of the dialect's name. */
  readonly client: 'authenticated' | 'built-in'
  /** The public client that a request without any client credentials stands for. */
  readonly defaultClient?: string | undefined
  /** Reads client credentials from the form when the Authorization header is not a readable Basic one. Default: false. */
  readonly ignoresOtherSchemes?: boolean | undefined
  /** Seconds its tokens live, unless the client says otherwise. Default: the server's. */
  readonly lifetimeSeconds?: number | undefined
  /** Where its tokens may be sent besides `Authorization: Bearer`. */
  readonly tokenPlace?: 'Token' | 'x-access-token' | undefined
  /** A request to send, for refusals that explain; null: its refusals have fixed words. */
  readonly example: string | null
  /** The field by which requests are counted, and how many a minute are let in from one network. */
  readonly limit?: { readonly field: string; readonly attempts: number } | undefined
  /** Their bytes → fields given once. Throws OAuthError `invalid_request`. */
  decode(request: WireRequest): Fields | Promise<Fields>
  /** Their words → ours. Throws OAuthError `invalid_request` or `unsupported_grant_type`. */
  read(fields: Fields): TokenRequest
  /** Our token → their words. */
  write(token: IssuedToken, request: WireRequest): WireReply
  /** Our no → their words. */
  refuse(error: OAuthError, request: WireRequest): WireReply
  /** What a request with a token at `tokenPlace` is answered, and so refused too; default: as with `Bearer`. */
  present?(answer: object): WireReply
}

/** Whether a dialect's tokens are signed, so that their keys are published. */
export function signsTokens({ grant }: Dialect): boolean {
  return grant === 'device signature'
}
