import type { Command } from 'commander'
import type { Database } from '../database/database.ts'
import { isShortSecret } from '../secrets.ts'
import { revokeTokensOfUser } from '../tokens/revoke-token.ts'
import { requireRightKey, rotateSigningKey } from '../tokens/signing-keys.ts'
import { type Device, listDevices, type NewDevice, registerDevice, requireDevice } from '../users/register-device.ts'
import { changeUser } from '../users/register-user.ts'
import { type Answer, type AnswerWith, findPages, type ListAnswer } from './answer.ts'

/** The words of `password-grant device`. */
export function addDeviceCommands(program: Command, answerWith: AnswerWith): void {
  const group = program.command('device').description('users that sign instead of having a password')
  group
    .command('add <device-key>')
    .description('add a device; its customer key is read from standard input and kept encrypted')
    .option('--role <role>', 'the one role the device has')
    .option('--allow-short-key', 'accept a customer key of fewer than 16 characters, from an older system')
    .requiredOption('--customer-key-stdin', 'read the customer key from standard input')
    .action((deviceKey: string, { role, allowShortKey: allowShort }: { role?: string; allowShortKey?: true }) =>
      answerWith(async ({ database, encryptionKey, readSecret }) => {
        const customerKey = await readSecret()
        if (allowShort && isShortSecret(customerKey)) warnOfShortKey()
        return addDevice(database, await encryptionKey(), { deviceKey, role, customerKey, allowShort })
      }),
    )
  const onKey = (name: string, description: string, act: (database: Database, key: string) => Promise<Answer>) =>
    group
      .command(`${name} <device-key>`)
      .description(description)
      .action((key: string) => answerWith(({ database }) => act(database, key)))
  onKey('disable', 'refuse a device and end its token', (database, key) => setEnabled(database, key, false))
  onKey('enable', 'let a disabled device sign in again', (database, key) => setEnabled(database, key, true))
  group
    .command('list')
    .description('all devices; `user remove` removes one')
    .action(() => answerWith(({ database }) => showDevices(database)))
}

/** The words of `password-grant key`. */
export function addKeyCommands(program: Command, answerWith: AnswerWith): void {
  program
    .command('key')
    .description('the keys that sign tokens')
    .command('rotate')
    .description('sign with a new key; the old one stays published until its last token has expired')
    .action(() =>
      answerWith(async ({ database, encryptionKey }) => {
        const key = await encryptionKey()
        const id = await database.transaction((query) => rotateSigningKey(query, key))
        return { json: { kid: id }, text: `Tokens are signed with the new key ${id}.` }
      }),
    )
}

function warnOfShortKey(): void {
  process.stderr.write(
    'The customer key has fewer than 16 characters and can be guessed. Give the device a longer one.\n',
  )
}

async function addDevice(database: Database, encryptionKey: Buffer, device: NewDevice): Promise<Answer> {
  await requireRightKey(database.query, encryptionKey)
  const added = await database.transaction((query) => registerDevice(query, encryptionKey, device))
  const { userId, deviceKey, role } = added
  return { json: { userId, device_key: deviceKey, role }, text: `Device ${deviceKey} added.` }
}

/** `device disable` and `enable`: its token ends in the same transaction. */
async function setEnabled(database: Database, deviceKey: string, isEnabled: boolean): Promise<Answer> {
  return database.transaction(async (query) => {
    const device = await requireDevice(query, deviceKey)
    await changeUser(query, device.userName, { isEnabled })
    if (!isEnabled) await revokeTokensOfUser(query, device.userId)
    return {
      json: describe({ ...device, isEnabled }),
      text: `Device ${deviceKey} ${isEnabled ? 'enabled' : 'disabled'}.`,
    }
  })
}

async function showDevices({ query }: Database): Promise<ListAnswer> {
  return {
    heading: ['DEVICE', 'ROLE', 'STATE', 'ID'],
    pages: findPages(
      (after: Device | null) => listDevices(query, after),
      (device) => ({
        json: describe(device),
        cells: [device.deviceKey, device.role, device.isEnabled ? 'enabled' : 'disabled', device.userId],
      }),
    ),
  }
}

function describe(device: Device): object {
  return {
    userId: device.userId,
    device_key: device.deviceKey,
    role: device.role,
    enabled: device.isEnabled,
    created: device.createdAt.toISO(),
  }
}
