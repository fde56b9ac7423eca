import type { Command } from 'commander'
import type { Database } from '../database/database.ts'
import { addDevice, disableDevice, enableDevice } from '../operations/devices.ts'
import { rotateSigningKey } from '../operations/keys.ts'
import { listDevices } from '../operations/lists.ts'
import type { Operator } from '../operations/operator.ts'
import type { Device } from '../users/register-device.ts'
import { type Answer, type AnswerWith, type CommandTools, describePages, type ListAnswer } from './answer.ts'
import { tell } from './tell.ts'

/** Adds the commands of `password-grant device`. */
export function addDeviceCommands(program: Command, answerWith: AnswerWith): void {
  const deviceKeyHelp = 'The device key, which identifies the device'
  const group = program
    .command('device')
    .description('Manage devices, which sign their requests instead of sending a password')
  group
    .command('add')
    .description('Add a device with a customer key from standard input, which is stored encrypted')
    .argument('<device-key>', deviceKeyHelp)
    .option('--role <role>', 'The role of the device; a device has one at most')
    .option('--allow-short-key', 'Accept a customer key of fewer than 16 characters, taken over from an older system')
    .requiredOption('--customer-key-stdin', 'Read the customer key from standard input')
    .action((deviceKey: string, options: AddOptions) => answerWith((tools) => add(tools, deviceKey, options)))
  const onKey = (name: string, description: string, { act, done }: KeyedAct) =>
    group
      .command(name)
      .description(description)
      .argument('<device-key>', deviceKeyHelp)
      .action((key: string) =>
        answerWith(async ({ database }) => {
          const device = await act({ database }, key)
          return { json: describe(device), text: `Device ${key} ${done}.` }
        }),
      )
  onKey('disable', 'Disable a device and end its token', { act: disableDevice, done: 'disabled' })
  onKey('enable', 'Enable a disabled device again', { act: enableDevice, done: 'enabled' })
  group
    .command('list')
    .description('List all devices. To remove one, use `user remove`')
    .action(() => answerWith(async ({ database }) => showDevices(database)))
}

/** The options of `device add`. */
interface AddOptions {
  readonly role?: string
  readonly allowShortKey?: true
}

async function add(
  { database, encryptionKey, readSecret }: CommandTools,
  deviceKey: string,
  { role, allowShortKey: allowShort }: AddOptions,
): Promise<Answer> {
  const customerKey = await readSecret()
  const { device, hasShortKey } = await addDevice({ database, encryptionKey: await encryptionKey() }, deviceKey, {
    role,
    customerKey,
    allowShort,
  })
  if (hasShortKey) warnOfShortKey()
  const json = { userId: device.userId, device_key: deviceKey, role: device.role }
  return { json, text: `Device ${deviceKey} added.` }
}

/** A change of one device, and the word that describes the result. */
interface KeyedAct {
  readonly act: (operator: Operator, deviceKey: string) => Promise<Device>
  readonly done: string
}

/** Adds the commands of `password-grant key`. */
export function addKeyCommands(program: Command, answerWith: AnswerWith): void {
  program
    .command('key')
    .description('Manage the keys that sign tokens')
    .command('rotate')
    .description('Sign new tokens with a new key. The old key stays published until its last token has expired')
    .action(() =>
      answerWith(async ({ database, encryptionKey }) => {
        const kid = await rotateSigningKey({ database, encryptionKey: await encryptionKey() })
        return { json: { kid }, text: `Tokens are signed with the new key ${kid}.` }
      }),
    )
}

function warnOfShortKey(): void {
  tell('The customer key has fewer than 16 characters and can be guessed. Give the device a longer one.')
}

function showDevices(database: Database): ListAnswer {
  return {
    heading: ['DEVICE', 'ROLE', 'STATE', 'ID'],
    pages: describePages(listDevices({ database }), (device) => ({
      json: describe(device),
      cells: [device.deviceKey, device.role, device.isEnabled ? 'enabled' : 'disabled', device.userId],
    })),
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
