import type { DateTime } from 'luxon'

/** What a guard knows about a live token. Only the holder knows its value. */
export interface BearerToken {
  readonly clientId: string
  readonly userId: string
  readonly userName: string
  /** One role, `''` when the user has none. */
  readonly role: string
  readonly issuedAt: DateTime
  readonly expiresAt: DateTime
}

/** Why a value names no live token; `inactive` when the token server gives no reason. */
export type BearerTokenEnd = 'expired' | 'superseded' | 'revoked' | 'unknown' | 'inactive'

/** The live token that a value names, or the reason why there is none. */
export type FoundBearerToken = { readonly token: BearerToken } | { readonly ended: BearerTokenEnd }

/**
 * Finds the token that a value names: `introspectAt` over HTTP, `createTokenCache` inside the server's process. Throws
 * when the token cannot be checked now; an error never means that the token is invalid.
 */
export type FindBearerToken = (value: string) => Promise<FoundBearerToken>
