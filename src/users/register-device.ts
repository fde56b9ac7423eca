import type { DateTime } from 'luxon'
import { pageSize, type Query } from '../database/database.ts'
import { OAuthError } from '../errors.ts'
import { encrypt, isShortSecret, minSecretLength } from '../secrets.ts'
import { registerUser } from './register-user.ts'
import { isUserName } from './user-name.ts'

/** A device as an administrator sees it: a user who signs instead of having a password, named by its key. */
export interface Device {
  readonly userId: string
  readonly deviceKey: string
  /** The name of its user. */
  readonly userName: string
  readonly role: string
  readonly isEnabled: boolean
  readonly createdAt: DateTime
}

/** A device to add. */
export interface NewDevice {
  readonly deviceKey: string
  readonly role?: string | undefined
  /** The key that it signs with: at least 16 characters, stored encrypted. */
  readonly customerKey: string
  /** Accepts a shorter customer key. Only for migrations. */
  readonly allowShort?: boolean | undefined
}

const longestCustomerKeyBytes = 1024

/**
 * Adds a device, in the caller's transaction. Throws OAuthError `invalid_request` for a device key that is taken or
 * invalid, and for an invalid customer key.
 */
export async function registerDevice(query: Query, encryptionKey: Buffer, device: NewDevice): Promise<Device> {
  const { deviceKey, role, customerKey, allowShort = false } = device
  if (!isUserName(deviceKey)) throw refuse('A device key has 1 to 256 characters and no control characters.')
  if (customerKey === '' || Buffer.byteLength(customerKey) > longestCustomerKeyBytes || /\p{Cc}/u.test(customerKey)) {
    throw refuse(`A customer key has at most ${longestCustomerKeyBytes} bytes of UTF-8 and no control characters.`)
  }
  if (!allowShort && isShortSecret(customerKey)) {
    throw refuse(`A customer key has at least ${minSecretLength} characters.`)
  }
  const user = await registerUser(query, { name: deviceKey, role, passwordHash: null })
  await query(
    'register_device',
    'insert into password_grant.devices (user_id, device_key, customer_key) values ($1, $2, $3)',
    [user.id, deviceKey, encrypt(encryptionKey, purposeOf(user.id), customerKey)],
  )
  return {
    userId: user.id,
    deviceKey,
    userName: user.name,
    role: user.role,
    isEnabled: true,
    createdAt: user.createdAt,
  }
}

/** Returns the purpose that binds an encrypted customer key to its user. */
export function purposeOf(userId: string): string {
  return `customer key ${userId}`
}

const select = `select
  d.user_id as "userId",
  d.device_key as "deviceKey",
  u.name as "userName",
  u.role,
  u.is_enabled as "isEnabled",
  u.created_at as "createdAt"
from password_grant.devices d
join password_grant.users u on u.id = d.user_id`

/** Finds a device by its key. Throws OAuthError `invalid_request` with the status 404 when there is none. */
export async function requireDevice(query: Query, deviceKey: string): Promise<Device> {
  const [device] = await query<Device>('require_device', `${select} where d.device_key = $1`, [deviceKey])
  if (!device) throw refuse('There is no device with that key.', 404)
  return device
}

/** Returns a page of the devices, ordered by key: the first page, or the one after a given device. */
export async function listDevices(query: Query, after: Device | null): Promise<Device[]> {
  const text = `${select} where d.device_key > $1 order by d.device_key limit ${pageSize}`
  return query<Device>('list_devices', text, [after?.deviceKey ?? ''])
}

function refuse(description: string, status = 400): OAuthError {
  return new OAuthError('invalid_request', description, { status })
}
