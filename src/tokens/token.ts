import type { DateTime } from 'luxon'

/** A live token. It does not contain the value, which only its holder has. */
export interface Token {
  readonly id: string
  readonly clientId: string
  readonly userId: string
  readonly userName: string
  /** The user's role, or `''` if the user has none. */
  readonly role: string
  readonly device: string
  readonly issuedAt: DateTime
  readonly expiresAt: DateTime
}

/** A token at the moment of its issue, the only time at which the server has its value. */
export interface IssuedToken extends Token {
  readonly value: string
  readonly lifetimeSeconds: number
  /** A random UUID that names this sign-in. It proves nothing and is not stored. */
  readonly signInId: string
}

/** Why a value is not a live token. */
export type TokenEnd = 'expired' | 'superseded' | 'revoked' | 'unknown'
