import { revokeTokenOfDevice, revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { refuseSignInsUnderWay } from '../users/register-user.ts'
import type { Operator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/**
 * Ends every live token of a user, or with `device` only the one in the seat with that label (`''` is the seat without
 * one), and refuses the user's sign-ins under way. Resolves with how many tokens it ended. Emits `token.revoked`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such user, and `temporarily_unavailable` when the
 * database is away.
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
