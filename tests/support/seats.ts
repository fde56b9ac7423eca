import type { Query } from '../../src/database/database.ts'
import { generateBytes } from '../../src/secrets.ts'
import { type Issue, issueToken, type TokenOrder } from '../../src/tokens/issue-token.ts'
import { secretBytes, writeTokenValue } from '../../src/tokens/token-value.ts'
import { keepSecret } from './kept-secrets.ts'

/** The user and label of a seat; omitted values are the defaults of the server. */
export type Taking = Omit<TokenOrder, 'maxSeats' | 'device' | 'secret'> & Partial<TokenOrder>

/** Takes a seat as a sign-in does; with its token's value, noted as a secret. */
export async function takeSeat(query: Query, taking: Taking): Promise<Issue & { readonly value?: string }> {
  const secret = generateBytes(secretBytes)
  const issue = await issueToken(query, { device: '', maxSeats: 50, secret, ...taking })
  return 'seat' in issue ? { ...issue, value: keepSecret(writeTokenValue(issue.seat.id, secret)) } : issue
}
