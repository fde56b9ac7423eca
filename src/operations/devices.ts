import { isShortSecret } from '../secrets.ts'
import { revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { requireRightKey } from '../tokens/signing-keys.ts'
import { type Device, type NewDevice, registerDevice, requireDevice } from '../users/register-device.ts'
import { changeUser } from '../users/register-user.ts'
import type { EncryptingOperator, Operator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/** A device that was added. */
export interface AddedDevice {
  readonly device: Device
  /** Whether its customer key has fewer than 16 characters and can be guessed. */
  readonly hasShortKey: boolean
}

/**
 * Adds a device, a user that signs with a customer key instead of having a password; the key is stored encrypted. Emits
 * `device.created`.
 *
 * Throws OAuthError `invalid_request` for a device key, a customer key or a role that the product refuses, with the status
 * 409 for a device key that is taken. Throws OAuthError `temporarily_unavailable` when the database is away, and Error when
 * the signing key was encrypted with another encryption key.
 */
export async function addDevice(
  operator: EncryptingOperator,
  deviceKey: string,
  options: Omit<NewDevice, 'deviceKey'>,
): Promise<AddedDevice> {
  const { encryptionKey } = operator
  const hasShortKey = isShortSecret(options.customerKey)
  return runOperation(operator, async (query) => {
    await requireRightKey(query, encryptionKey)
    const device = await registerDevice(query, encryptionKey, { ...options, deviceKey })
    const { userId, role } = device
    return { result: { device, hasShortKey }, event: { type: 'device.created', userId, deviceKey, role } }
  })
}

/**
 * Refuses a device from now on, sign-ins under way included, and ends its token in the same transaction. Emits
 * `device.disabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such device, and `temporarily_unavailable` when
 * the database is away.
 */
export async function disableDevice(operator: Operator, deviceKey: string): Promise<Device> {
  return runOperation(operator, async (query) => {
    const device = await requireDevice(query, deviceKey)
    const { userId, userName } = device
    await changeUser(query, userName, { isEnabled: false }) // first: it refuses the sign-ins under way
    const endedTokens = await revokeTokensOfUser(query, userId)
    return {
      result: { ...device, isEnabled: false },
      event: { type: 'device.disabled', userId, deviceKey, endedTokens },
    }
  })
}

/**
 * Lets a disabled device sign in again; tokens that have ended stay ended. Emits `device.enabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such device, and `temporarily_unavailable` when
 * the database is away.
 */
export async function enableDevice(operator: Operator, deviceKey: string): Promise<Device> {
  return runOperation(operator, async (query) => {
    const device = await requireDevice(query, deviceKey)
    const { userId, userName } = device
    await changeUser(query, userName, { isEnabled: true })
    return { result: { ...device, isEnabled: true }, event: { type: 'device.enabled', userId, deviceKey } }
  })
}
