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

/** A timestamp signed by a device. */
export interface DeviceRequest extends SignedTime {
  readonly grant: 'device signature'
}

/** The dependencies of the device grant. */
export interface DeviceGrantTools {
  readonly database: Pick<Database, 'writes'>
  readonly throttle: Throttle
  readonly seats: SeatTaker
  readonly lifetimeSeconds: number
  /** Maximum number of seats for each user. */
  readonly maxSeats: number
  /** Null when the device dialect is not mounted. */
  readonly signing: SigningTools | null
}

/** The keys and look-ups for devices. */
export interface SigningTools {
  readonly encryptionKey: Buffer
  readonly findDevice: FindDevice
  readonly findSigningKey: () => Promise<SigningKey>
}

/**
 * Exchanges a device's signature for a signed token in the device's one seat. It checks the signature under the throttle and
 * then uses up the timestamp. A device is a user named by its key, so both share one failure count. A late `slow_down` also
 * uses up the timestamp, and the device has to sign a new one. Throws OAuthError `invalid_grant`, `invalid_client`,
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
  const key = await signing.findSigningKey() // an outage here must not cost the timestamp
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

/** Asks the device to try again: its timestamp is used up, so this request cannot be checked a second time. */
function refuseChanged(changed: 'user' | 'client', { id: clientId }: Client): OAuthError {
  if (changed === 'client') return refuseClient('client changed during the sign-in', { clientId })
  return new OAuthError('temporarily_unavailable', 'The device is being changed. Try again shortly.', {
    reason: 'device changed during the sign-in',
    retryAfterSeconds: 1,
  })
}
