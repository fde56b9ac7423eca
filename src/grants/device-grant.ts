import { type Client, refuseClient } from '../clients/client.ts'
import type { Database } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { foldCase } from '../fold-case.ts'
import { generateBytes } from '../secrets.ts'
import type { Throttle } from '../throttle/throttle.ts'
import { signedSecretBytes, signTokenValue } from '../tokens/signed-value.ts'
import { noteLifetime, type SigningKey } from '../tokens/signing-keys.ts'
import type { IssuedToken } from '../tokens/token.ts'
import { authenticateDevice, type FindDevice, type SignedTime, useTimestamp } from '../users/authenticate-device.ts'
import type { SeatTaker } from './seat-taker.ts'
import { recordRefusal, requireNoWait } from './slow-down.ts'
import type { Source } from './source.ts'

/** A time that a device has signed. */
export interface DeviceRequest extends SignedTime {
  readonly grant: 'device signature'
}

/** What the grant works with. */
export interface DeviceGrantTools {
  readonly database: Pick<Database, 'writes'>
  readonly throttle: Throttle
  readonly seats: SeatTaker
  readonly lifetimeSeconds: number
  /** Seats a user may have. */
  readonly maxSeats: number
  /** What devices need; null where there are none. */
  readonly signing: SigningTools | null
}

/** What devices need. */
export interface SigningTools {
  readonly encryptionKey: Buffer
  readonly findDevice: FindDevice
  readonly findSigningKey: () => Promise<SigningKey>
}

/**
 * Checks the signature under the throttle, uses up its timestamp, and issues a signed token in the device's one seat. A
 * device is a user whose name is its key, so both share one count. A request that is refused with `slow_down` at the last
 * moment has used up its timestamp: the device signs a new one. Throws OAuthError `invalid_grant`, `invalid_client`,
 * `slow_down` or `temporarily_unavailable`.
 */
export async function grantDevice(
  tools: DeviceGrantTools,
  client: Client,
  request: DeviceRequest,
  source: Source,
): Promise<IssuedToken> {
  const { database, signing, throttle, seats, lifetimeSeconds, maxSeats } = tools
  if (signing === null) throw new Error('devices need an encryption key')
  const attempt = await throttle.nameUserAttempt(foldCase(request.deviceKey), source.network)
  const state = await throttle.check(attempt)
  requireNoWait(state.waitSeconds)
  const key = await signing.findSigningKey() // before the timestamp is used up
  const device = await authenticateDevice(signing.findDevice, signing.encryptionKey, request).catch(
    recordRefusal(throttle, attempt, state),
  )
  await useTimestamp(database.writes, device, request.timestamp)
  const secret = generateBytes(signedSecretBytes)
  const issue = await seats.take({
    attempt,
    userId: device.userId,
    userVersion: device.credentialVersion,
    clientId: client.id,
    clientVersion: client.credentialVersion,
    device: '',
    lifetimeSeconds,
    maxSeats,
    secret,
  })
  if ('changed' in issue) throw refuseChanged(issue.changed, client)
  await noteLifetime(database.writes, key, issue.seat.lifetimeSeconds)
  return { ...issue.seat, value: await signTokenValue(key, issue.seat, secret) }
}

/** The time is used up, so only a newer one can tell whether a changed device is still let in. */
function refuseChanged(changed: 'user' | 'client', { id: clientId }: Client): OAuthError {
  if (changed === 'client') return refuseClient('client changed during the sign-in', { clientId })
  return new OAuthError('temporarily_unavailable', 'The device is being changed. Try again shortly.', {
    reason: 'device changed during the sign-in',
    retryAfterSeconds: 1,
  })
}
