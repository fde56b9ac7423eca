import { type Client, refuseClient } from '../clients/client.ts'
import type { Database } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import type { HashPlace } from '../passwords/hash-queue.ts'
import { isPassword, type Passwords } from '../passwords/password.ts'
import { generateBytes } from '../secrets.ts'
import type { Throttle } from '../throttle/throttle.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { secretBytes, writeTokenValue } from '../tokens/token-value.ts'
import type { Credentials, FindCredentials } from '../users/find-credentials.ts'
import { renewPasswordHash } from '../users/renew-password-hash.ts'
import { userNameKey } from '../users/user-name.ts'
import type { SeatTaker } from './seat-taker.ts'
import { requireNoWait } from './slow-down.ts'
import type { Source } from './source.ts'

/** A user's name and password, and the label of the seat the token is to take. */
export interface PasswordRequest {
  readonly grant: 'password'
  readonly username: string
  readonly password: string
  readonly device: string
}

/** What the grant works with. */
export interface PasswordGrantTools {
  readonly database: Pick<Database, 'writes'>
  readonly findCredentials: FindCredentials
  readonly passwords: Passwords
  readonly throttle: Throttle
  readonly seats: SeatTaker
  readonly lifetimeSeconds: number
  /** Seats a user may have. */
  readonly maxSeats: number
  /** Work that no caller waits for: done after the answer, or left to a later request while such work is under way. */
  readonly inBackground: (work: () => Promise<void>) => void
}

const maxTries = 3

/**
 * Exchanges a user's name and password for a token (RFC 6749 §4.3). The password is checked only while no wait runs, and a
 * wrong one is counted before the answer. A user that changed in between is looked up again: only the changed row can say
 * whether the password is still right. Throws OAuthError `invalid_grant`, `invalid_client`, `slow_down` or
 * `temporarily_unavailable`.
 */
export async function grantPassword(
  tools: PasswordGrantTools,
  client: Client,
  request: PasswordRequest,
  source: Source,
): Promise<IssuedToken> {
  const { throttle, passwords, findCredentials, seats, lifetimeSeconds, maxSeats } = tools
  const { username, password, device } = request
  const place = { client: client.id, ...source }
  const attempt = await throttle.nameUserAttempt(userNameKey(username), source.network)

  for (let tries = 1; tries <= maxTries; tries += 1) {
    requireNoWait(throttle.checkMemory(attempt))
    passwords.requireRoom(place) // before the database is asked: most of a flood ends here
    const [state, user] = await Promise.all([throttle.check(attempt), findCredentials(username)])
    requireNoWait(state.waitSeconds)
    passwords.requireRoom(place) // other sign-ins arrived meanwhile

    const fault = await findFault(passwords, user, password, place)
    if (user === null || fault !== null) {
      requireNoWait(await throttle.recordFailure(attempt, state))
      throw refuseGrant(user, fault ?? unknownUser)
    }

    const secret = generateBytes(secretBytes)
    const issue = await seats.take({
      attempt,
      ...nameVersions(user, client),
      device,
      lifetimeSeconds,
      maxSeats,
      secret,
    })
    if ('seat' in issue) {
      renewLater(tools, user, password)
      return { ...issue.seat, value: writeTokenValue(issue.seat.id, secret) }
    }
    if (issue.changed === 'client') throw refuseClient('client changed during the sign-in', { clientId: client.id })
  }
  throw refuseChanging()
}

/** The user and the client as they were authenticated: a change since then refuses the token. */
function nameVersions(user: Credentials, client: Client) {
  return {
    userId: user.id,
    userVersion: user.credentialVersion,
    clientId: client.id,
    clientVersion: client.credentialVersion,
  }
}

function refuseChanging(): OAuthError {
  return new OAuthError('temporarily_unavailable', 'The user is being changed. Try again shortly.', {
    reason: 'user changed during every attempt',
    retryAfterSeconds: 1,
  })
}

/** Why a user is not let in: a reason for the log, or an error where the stored hash cannot be read. */
type Fault = string | Error

const unknownUser = 'unknown user'

/** Costs the same hash for a name that no user has, a disabled user, and a user without a password. */
async function findFault(
  passwords: Passwords,
  user: Credentials | null,
  password: string,
  place: HashPlace,
): Promise<Fault | null> {
  const storedHash = isPassword(password) ? (user?.passwordHash ?? null) : null
  const matched = await passwords.match(storedHash, password, place, !user?.isEnabled).catch((error: unknown) => {
    if (error instanceof OAuthError || !(error instanceof Error)) throw error
    return error // an unreadable hash is a refusal, and a fault to be logged
  })
  if (!user) return unknownUser
  if (matched instanceof Error) return matched
  if (user.passwordHash === null) return 'user without a password'
  if (!matched) return 'wrong password'
  return user.isEnabled ? null : 'disabled user'
}

/** RFC 6749 §5.2: one answer for every user that is not let in. */
function refuseGrant(user: Credentials | null, fault: Fault): OAuthError {
  return new OAuthError('invalid_grant', 'The user name or password is incorrect.', {
    reason: fault instanceof Error ? fault.message : fault,
    cause: fault instanceof Error ? fault : undefined,
    userId: user?.id,
  })
}

/** Renews a hash of another cost than today's after the answer. */
function renewLater(
  { database, passwords, inBackground }: PasswordGrantTools,
  user: Credentials,
  password: string,
): void {
  const { id, passwordHash } = user
  if (passwordHash === null || !passwords.needsRenewal(passwordHash)) return
  inBackground(async () => {
    const renewed = await passwords.hash(password)
    await renewPasswordHash(database.writes, id, { checked: passwordHash, renewed })
  })
}
