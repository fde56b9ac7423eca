import { isShortSecret } from '../secrets.ts'
import { revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { requireRightKey } from '../tokens/signing-keys.ts'
import { type Device, type NewDevice, registerDevice, requireDevice } from '../users/register-device.ts'
import { changeUser } from '../users/register-user.ts'
import type { EncryptingOperator, Operator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/** The result of adding a device. */
export interface AddedDevice {
  readonly device: Device
  /** Whether its customer key has fewer than 16 characters and can be guessed. */
  readonly hasShortKey: boolean
}

/**
 * Adds a device: a user who signs with a customer key instead of having a password. Stores the key encrypted. Emits
 * `device.created`.
 *
 * Throws OAuthError `invalid_request` for an invalid device key, customer key or role, with the status 409 for a device
 * key that is taken. Throws OAuthError `temporarily_unavailable` when the database is away, and Error when the signing
 * key was encrypted with another encryption key.
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
 * Disables a device, refuses its sign-ins in progress and ends its token, all in one transaction. Emits
 * `device.disabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such device, and `temporarily_unavailable`
 * when the database is away.
 */
export async function disableDevice(operator: Operator, deviceKey: string): Promise<Device> {
  return runOperation(operator, async (query) => {
    const device = await requireDevice(query, deviceKey)
    const { userId, userName } = device
    await changeUser(query, userName, { isEnabled: false }) // first, since it refuses the sign-ins in progress
    const endedTokens = await revokeTokensOfUser(query, userId)
    return {
      result: { ...device, isEnabled: false },
      event: { type: 'device.disabled', userId, deviceKey, endedTokens },
    }
  })
}

/**
 * Enables a disabled device. Its ended tokens stay ended. Emits `device.enabled`.
 *
 * Throws OAuthError `invalid_request` with the status 404 when there is no such device, and `temporarily_unavailable`
 * when the database is away.
 */
export async function enableDevice(operator: Operator, deviceKey: string): Promise<Device> {
  return runOperation(operator, async (query) => {
    const device = await requireDevice(query, deviceKey)
    const { userId, userName } = device
    await changeUser(query, userName, { isEnabled: true })
    return { result: { ...device, isEnabled: true }, event: { type: 'device.enabled', userId, deviceKey } }
  })
}
