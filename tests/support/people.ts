import { randomBytes } from 'node:crypto'
import type { Client } from '../../src/clients/client.ts'
import { type NewClient, registerClient } from '../../src/clients/register-client.ts'
import type { Database, Query } from '../../src/database/database.ts'
import { createClientCheck } from '../../src/grants/authenticate-client.ts'
import { createPasswords, defaultPasswordOptions, type Passwords } from '../../src/passwords/password.ts'
import { noThrottle } from '../../src/throttle/throttle.ts'
import { type NewDevice, registerDevice } from '../../src/users/register-device.ts'
import { type NewUser, registerUser } from '../../src/users/register-user.ts'
import { keepSecret } from './kept-secrets.ts'

/** The cheapest argon2 there is, and a queue as patient as a busy machine needs: tests are about everything else. */
export const cheapPasswords = {
  ...defaultPasswordOptions,
  memoryKib: 1024,
  passes: 1,
  lanes: 1,
  concurrency: 2,
  queueSeconds: 60,
}

const passwords = createPasswords(cheapPasswords)

/** A random word for names that no other test uses. */
export function randomWord(): string {
  return randomBytes(8).toString('hex')
}

/** A client in the database, with the secret it got or chose. */
export async function addClient(
  { writes: query }: Database,
  client: Partial<NewClient> = {},
): Promise<{ id: string; secret: string }> {
  const chosen = typeof client.secret === 'object' ? client.secret.chosen : ''
  const added = await registerClient(query, await passwords, {
    id: `client-${randomWord()}`,
    secret: 'generated',
    ...client,
  })
  return { id: added.client.id, secret: keepSecret(added.secret ?? chosen) }
}

/** Authenticates a client by its credentials, without a throttle; a public one has no secret. */
export function authenticateClient(
  query: Query,
  passwords: Passwords,
  { id, secret }: { id: string; secret: string | null },
): Promise<Client> {
  return createClientCheck({ query, passwords, throttle: noThrottle })([{ id, secret }], '')
}

/** A user in the database, with the password. */
export async function addUser(
  { writes: query }: Database,
  user: Partial<NewUser> & { password?: string } = {},
): Promise<{ id: string; name: string; role: string; password: string }> {
  const password = keepSecret(user.password ?? randomWord())
  const passwordHash = user.passwordHash === undefined ? await (await passwords).hash(password) : user.passwordHash
  const added = await registerUser(query, {
    name: user.name ?? `user-${randomWord()}`,
    role: user.role ?? 'Editor',
    id: user.id,
    passwordHash,
  })
  return { id: added.id, name: added.name, role: added.role, password }
}

/** What a device signs with. */
export interface DeviceKeys {
  readonly deviceKey: string
  readonly customerKey: string
}

/** A device in the database. */
export interface Signer extends DeviceKeys {
  readonly userId: string
}

/** Adds a device whose customer key is encrypted with the server's key. */
export async function addDevice(
  { writes: query }: Database,
  encryptionKey: Buffer,
  device: Partial<NewDevice> = {},
): Promise<Signer> {
  const deviceKey = device.deviceKey ?? `device-${randomWord()}`
  const customerKey = keepSecret(device.customerKey ?? randomWord())
  const { userId } = await registerDevice(query, encryptionKey, { role: 'Sensor', ...device, deviceKey, customerKey })
  return { userId, deviceKey, customerKey }
}
