import { type Client, refuseClient } from '../clients/authenticate-client.ts'
import { OAuthError } from '../errors.ts'
import { generateBytes } from '../secrets.ts'
import type { SignInAttempt } from '../throttle/sign-in-throttle.ts'
import { issueToken } from '../tokens/issue-token.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { secretBytes, writeTokenValue } from '../tokens/token-value.ts'
import { type AuthenticatedUser, authenticateUser, renewPasswordHash } from '../users/authenticate-user.ts'
import { userNameKey } from '../users/user-name.ts'
import type { GrantTools } from './grant-tools.ts'
import type { Source } from './source.ts'

/** A user's name and password, and the label of the seat the token is to take. */
export interface PasswordRequest {
  readonly grant: 'password'
  readonly username: string
  readonly password: string
  readonly device: string
}

const mostTries = 3

/**
 * RFC 6749 §4.3: the password is checked, unless there were too many attempts, then the seat is taken. A user who was
 * changed in between is asked again, since only the changed row can say whether the password is still right; a client is
 * not. Throws OAuthError `invalid_grant`, `invalid_client`, `slow_down` or `temporarily_unavailable`.
 */
export async function grantPassword(
  tools: GrantTools,
  client: Client,
  request: PasswordRequest,
  source: Source,
): Promise<IssuedToken> {
  const { query, passwords, lifetimeSeconds, mostSeats } = tools
  const { password, device } = request
  for (let tries = 1; tries <= mostTries; tries += 1) {
    const { user, attempt } = await tryPassword(tools, client, request, source)
    const subject = {
      userId: user.id,
      credentialVersion: user.credentialVersion,
      clientId: client.id,
      clientVersion: client.credentialVersion,
      device,
      lifetimeSeconds,
      mostSeats,
    }
    const secret = generateBytes(secretBytes)
    const issue = await attempt.recordSuccess((clearance) => issueToken(query, subject, secret, clearance))
    if ('seat' in issue) {
      if (user.hashToRenew !== null) tools.inBackground(() => renewPasswordHash(query, passwords, user, password))
      return { ...issue.seat, value: writeTokenValue(issue.seat.id, secret) }
    }
    if (issue.changed === 'client') throw refuseClient('client changed during the sign-in', { clientId: client.id })
  }
  throw new OAuthError('temporarily_unavailable', 'The user is being changed. Try again shortly.', {
    reason: 'user changed during every attempt',
    retryAfterSeconds: 1,
  })
}

/** Counts a failure before answering. The statement that issues the token records a success. */
async function tryPassword(
  { query, passwords, throttle }: GrantTools,
  client: Client,
  { username, password }: PasswordRequest,
  source: Source,
): Promise<{ user: AuthenticatedUser; attempt: SignInAttempt }> {
  const attempt = await throttle.open(userNameKey(username), source.network)
  const place = { client: client.id, ...source }
  passwords.requireRoom(place) // before the database is asked: most of a flood ends here
  await attempt.check()
  passwords.requireRoom(place) // other sign-ins arrived meanwhile
  const user = await authenticateUser(query, passwords, username, password, place).catch(async (error: unknown) => {
    if (error instanceof OAuthError && error.code === 'invalid_grant') await attempt.recordFailure()
    throw error
  })
  return { user, attempt }
}
