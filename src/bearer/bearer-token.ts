import type { DateTime } from 'luxon'

/** What a guard knows of a live token; its value is known to its holder only. */
export interface BearerToken {
  readonly clientId: string
  readonly userId: string
  readonly userName: string
  /** One role, `''` when the user has none. */
  readonly role: string
  readonly issuedAt: DateTime
  readonly expiresAt: DateTime
}

/** Why there is no live token behind a value; `inactive` where whoever was asked gives no reason. */
export type BearerTokenEnd = 'expired' | 'superseded' | 'revoked' | 'unknown' | 'inactive'

/** The live token behind a value, or why there is none. */
export type FoundBearerToken = { readonly token: BearerToken } | { readonly ended: BearerTokenEnd }

/**
 * How a guard finds the token behind a value: `introspectAt` over HTTP, `createTokenCache` in the server's own
 * process. Throws when it cannot be known now, which is never a verdict on the token.
 */
export type FindBearerToken = (value: string) => Promise<FoundBearerToken>
