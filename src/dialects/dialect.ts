import type { OAuthError } from '../errors.ts'
import type { TokenRequest } from '../grants/grant.ts'
import type { IssuedToken } from '../tokens/token.ts'

/** What arrived, as fields given once: names in lower case, values decoded. */
export type Fields = ReadonlyMap<string, string>

/** What goes back: three plain things. */
export interface WireReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One wire form of the token service: pure functions, no Fastify, no clock, no database. */
export interface Dialect {
  readonly name: string
  /** Where it listens; matched in any letter case. */
  readonly path: string
  /** Their words → ours. Throws OAuthError `invalid_request` or `unsupported_grant_type`. */
  read(fields: Fields): TokenRequest
  /** Our token → their words. */
  write(token: IssuedToken): WireReply
  /** Our no → their words. */
  refuse(error: OAuthError): WireReply
}
