import { batchLookups, forSignIns } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { decrypt, encrypt, matchHash, signText } from '../secrets.ts'
import { purposeOf } from './register-device.ts'

/** A signed time, and the device that claims to have signed it. */
export interface SignedTime {
  readonly deviceKey: string
  /** Whole seconds since 1970, as the digits that were signed. */
  readonly timestamp: string
  /** HMAC-SHA256 over the timestamp and then the device key, in hex. */
  readonly signature: string
}

/** A device that has just proved its identity by a signature. */
export interface AuthenticatedDevice {
  readonly userId: string
  readonly credentialVersion: string
}

/** The largest difference between a device's clock and the database's. */
const toleranceSeconds = 300

/**
 * Checks a device's signature. Throws OAuthError `invalid_grant`, with the same sentence for an unknown device, a wrong
 * signature and a disabled device. Throws Error when the customer key cannot be decrypted.
 */
export async function authenticateDevice(
  find: FindDevice,
  encryptionKey: Buffer,
  signed: SignedTime,
): Promise<AuthenticatedDevice> {
  const device = (await find(signed.deviceKey)) ?? null
  const matches = matchSignature(encryptionKey, device, signed)
  if (!device || !matches || !device.isEnabled) throw refuseDevice(reasonFor(device, matches), device?.userId)
  const { userId, credentialVersion } = device
  return { userId, credentialVersion }
}

/** Does the same work for an unknown device, so that the time of the answer tells nothing. */
function matchSignature(encryptionKey: Buffer, device: DeviceRow | null, signed: SignedTime): boolean {
  const { userId, customerKey } = device ?? { userId: '', customerKey: encrypt(encryptionKey, purposeOf(''), 'nobody') }
  const expected = signText(decrypt(encryptionKey, purposeOf(userId), customerKey), signed.timestamp + signed.deviceKey)
  const isHex = /^[0-9a-f]{64}$/i.test(signed.signature)
  return matchHash(expected, Buffer.from(signed.signature, 'hex')) && isHex && device !== null
}

function reasonFor(device: DeviceRow | null, matches: boolean): string {
  if (!device) return 'unknown device'
  return matches ? 'disabled device' : 'wrong signature'
}

function refuseDevice(reason: string, userId: string | undefined): OAuthError {
  return new OAuthError('invalid_grant', 'The device key, the timestamp or the signature is not right.', {
    reason,
    userId,
  })
}

/** A device as stored, with the key that its signatures are checked with. */
export interface DeviceRow extends AuthenticatedDevice {
  readonly isEnabled: boolean
  readonly customerKey: Buffer
}

/** Finds a device by its key. Throws OAuthError `temporarily_unavailable`. */
export type FindDevice = (deviceKey: string) => Promise<DeviceRow | undefined>

/** Creates a finder that batches concurrent look-ups into one statement. */
export function createDeviceFinder(query: Query): FindDevice {
  return batchLookups(async (deviceKeys) => {
    const devices = await query<DeviceRow & { deviceKey: string }>(
      'find_device',
      `select
        d.device_key as "deviceKey",
        d.user_id as "userId",
        d.customer_key as "customerKey",
        u.credential_version as "credentialVersion",
        u.is_enabled as "isEnabled"
      from password_grant.devices d
      join password_grant.users u on u.id = d.user_id
      where d.device_key = any ((select $1::text[])::text[])`,
      [deviceKeys],
    )
    return new Map(devices.map((device) => [device.deviceKey, device]))
  }, forSignIns)
}

/**
 * Uses up the timestamp of a valid signature: the device must send a newer one next time. One statement compares it
 * with the database's clock. Throws OAuthError `invalid_grant` for a stale or repeated timestamp, with the sentence of
 * a wrong signature.
 */
export async function useTimestamp(query: Query, { userId }: AuthenticatedDevice, timestamp: string): Promise<void> {
  const used = await query(
    'use_timestamp',
    `update password_grant.devices
    set last_timestamp = $2
    where user_id = $1
      and (last_timestamp is null or last_timestamp < $2)
      and abs(extract(epoch from now()) - $2) <= $3
    returning user_id`,
    [userId, timestamp, toleranceSeconds],
  )
  if (used.length === 0) throw refuseDevice('stale or repeated timestamp', userId)
}
