import type { Client } from '../clients/authenticate-client.ts'
import type { Query } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { grantPassword, type PasswordRequest } from './password-grant.ts'

/** What is asked for, in our words: a union with one member for each way of earning a token. */
export type TokenRequest = PasswordRequest

/** What a grant works with. */
export interface GrantTools {
  readonly query: Query
  readonly passwords: Passwords
  readonly lifetimeSeconds: number
  /** Takes work that need not be finished before the answer; it is finished before the server closes. */
  readonly inBackground: (work: Promise<void>) => void
}

/** Gives a token for a request that earned it. Throws OAuthError for every one that did not. */
export function grantToken(tools: GrantTools, client: Client, request: TokenRequest): Promise<IssuedToken> {
  switch (request.grant) {
    case 'password':
      return grantPassword(tools, client, request)
  }
}
