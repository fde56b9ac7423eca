import type { Attempt } from '../throttle/throttle.ts'
import { type Issue, issueToken, type TokenOrder } from '../tokens/issue-token.ts'
import type { GrantTools } from './grant-tools.ts'
import { requireNoWait } from './slow-down.ts'

/**
 * Issues a token for credentials that were right. Where failures are to be cleared or a network is to be remembered, this and
 * the token are one transaction. Throws OAuthError `slow_down` where a wait began while the credentials were checked, and
 * `temporarily_unavailable`.
 */
export async function takeSeat(
  { database, throttle, tokens }: GrantTools,
  attempt: Attempt,
  order: TokenOrder,
): Promise<Issue> {
  const state = await throttle.check(attempt)
  requireNoWait(state.waitSeconds)
  if (!state.hasNews) return tokens.issue(order)
  return database.transaction(async (query) => {
    const issue = await issueToken(query, order)
    if ('seat' in issue) requireNoWait(await throttle.recordSuccess(query, attempt, order.userId))
    return issue
  })
}
