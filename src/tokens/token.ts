import type { DateTime } from 'luxon'

/** A live token as its row tells it; the value is known to its holder only. */
export interface Token {
  readonly id: string
  readonly clientId: string
  readonly userId: string
  readonly userName: string
  /** One role, `''` when the user has none. */
  readonly role: string
  readonly device: string
  readonly issuedAt: DateTime
  readonly expiresAt: DateTime
}

/** A token at the moment it is given: the only time its value exists here. */
export interface IssuedToken extends Token {
  readonly value: string
  readonly lifetimeSeconds: number
  /** A random UUID of this sign-in, for those who want to name it; it proves nothing and is kept nowhere. */
  readonly signInId: string
}

/** Why a value that once was, or could have been, a token is none now. */
export type TokenEnd = 'expired' | 'superseded' | 'revoked' | 'unknown'
