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

/** A user's name and password, and the device label of the seat for the token. */
export interface PasswordRequest {
  readonly grant: 'password'
  readonly username: string
  readonly password: string
  readonly device: string
}

/** The dependencies of the password grant. */
export interface PasswordGrantTools {
  readonly database: Pick<Database, 'writes'>
  readonly findCredentials: FindCredentials
  readonly passwords: Passwords
  readonly throttle: Throttle
  readonly seats: SeatTaker
  readonly lifetimeSeconds: number
  /** Maximum number of seats for each user. */
  readonly maxSeats: number
  /** Runs work after the answer. Skips it while earlier work is still running. */
  readonly inBackground: (work: () => Promise<void>) => void
}

const maxTries = 3

/**
 * Exchanges a user's name and password for a token (RFC 6749 §4.3). It checks the password only while no wait runs, and
 * counts a wrong one before it answers. If the user changes during the check, it looks the user up again and checks the
 * password against the new row. Throws OAuthError `invalid_grant`, `invalid_client`, `slow_down` or
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
    passwords.requireRoom(place) // refuses most of a flood before it costs a query
    const [state, user] = await Promise.all([throttle.check(attempt), findCredentials(username)])
    requireNoWait(state.waitSeconds)
    passwords.requireRoom(place) // other sign-ins may have filled the queue

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

/** Returns the versions that were authenticated. If either has changed since, the token is not issued. */
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

/** Why a user is refused: a reason for the log, or the error when the stored hash cannot be read. */
type Fault = string | Error

const unknownUser = 'unknown user'

/** Finds why to refuse a user. An unknown user, a disabled user and a user without a password cost the same hash. */
async function findFault(
  passwords: Passwords,
  user: Credentials | null,
  password: string,
  place: HashPlace,
): Promise<Fault | null> {
  const storedHash = isPassword(password) ? (user?.passwordHash ?? null) : null
  const matched = await passwords.match(storedHash, password, place, !user?.isEnabled).catch((error: unknown) => {
    if (error instanceof OAuthError || !(error instanceof Error)) throw error
    return error // an unreadable hash refuses the user, and is logged as a fault
  })
  if (!user) return unknownUser
  if (matched instanceof Error) return matched
  if (user.passwordHash === null) return 'user without a password'
  if (!matched) return 'wrong password'
  return user.isEnabled ? null : 'disabled user'
}

/** Creates the one answer for every refused user (RFC 6749 §5.2), so that it does not tell whether the user exists. */
function refuseGrant(user: Credentials | null, fault: Fault): OAuthError {
  return new OAuthError('invalid_grant', 'The user name or password is incorrect.', {
    reason: fault instanceof Error ? fault.message : fault,
    cause: fault instanceof Error ? fault : undefined,
    userId: user?.id,
  })
}

/** Renews the hash after the answer, if its cost differs from the configured one. */
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
