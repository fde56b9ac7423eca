import { revokeTokenOfDevice, revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { refuseSignInsUnderWay } from '../users/register-user.ts'
import type { Operator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/**
 * Ends every live token of a user and refuses the user's sign-ins in progress. With `device`, ends only the token in
 * the seat with that label (`''` for the seat without a label). Resolves with the number of ended tokens. Emits
 * `token.revoked`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable`
 * when the database is away.
 */
export async function revokeTokens(
  operator: Operator,
  userName: string,
  { device = null }: { device?: string | null | undefined } = {},
): Promise<number> {
  return runOperation(operator, async (query) => {
    const { id: userId } = await refuseSignInsUnderWay(query, userName)
    const endedTokens = await (device === null
      ? revokeTokensOfUser(query, userId)
      : revokeTokenOfDevice(query, userId, device))
    return { result: endedTokens, event: { type: 'token.revoked', by: 'operator', userId, device, endedTokens } }
  })
}
