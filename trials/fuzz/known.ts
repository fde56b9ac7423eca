import { createHmac, randomBytes } from 'node:crypto'
import { runCommand } from '../../bench/support/children.ts'
import { addDevices, collectDeviceToken } from '../../bench/support/devices.ts'
import { collectToken } from '../../bench/support/load.ts'
import { addPeople, userName } from '../../bench/support/people.ts'
import { trivialCost } from '../../bench/support/place.ts'

/** The parts of right requests: accounts of the server under attack, and the tokens that it has issued so far. */
export interface Known {
  readonly client: { readonly id: string; readonly secret: string }
  readonly publicClient: string
  readonly userNames: readonly [string, ...string[]]
  readonly password: string
  readonly customerKey: string
  /** The latest tokens, both opaque and signed. */
  readonly opaque: string[]
  readonly signed: string[]
  /** Signs a new timestamp as one of the devices. */
  signTime(device: number): SignedTime
}

/** The fields of a device's sign-in. */
export interface SignedTime {
  readonly deviceKey: string
  readonly timestamp: number
  readonly signature: string
}

/** The number of devices that `signTime` uses. */
export const deviceCount = 400
const userCount = 2_000
const publicClient = 'fuzz-public'

/** A user that no request names, who can therefore sign in after all guesses. */
export const spared = userName(userCount + 1)

/** Fills the database of a running server with users and devices, and signs some of them in. */
export async function addKnown(databaseUrl: string, encryptionKey: string, url: string): Promise<Known> {
  await runCommand({ url: databaseUrl }, 'client', 'add', publicClient, '--public')
  const people = await addPeople({ url: databaseUrl }, databaseUrl, userCount + 1, trivialCost)
  const devices = await addDevices(databaseUrl, encryptionKey, deviceCount + 1)
  const known = { ...inventKnown(), ...devices, client: people.client, password: people.password }
  for (const number of [1, 2, 3]) keepToken(known, await collectToken(url, people, number))
  keepToken(known, await collectDeviceToken(url, devices, deviceCount)) // one that `signTime` does not know
  return known
}

/** Generates random accounts. */
export function inventKnown(): Known {
  const word = () => randomBytes(18).toString('hex')
  const times = new Map<number, number>()
  const known = {
    client: { id: 'fuzz-client', secret: word() },
    publicClient,
    userNames: Array.from({ length: userCount }, (_, index) => userName(index + 1)) as [string, ...string[]],
    password: word(),
    customerKey: word(),
    opaque: [],
    signed: [],
    signTime(this: Known, device: number) {
      const deviceKey = `device-${device}`
      const timestamp = Math.max((times.get(device) ?? 0) + 1, Math.floor(Date.now() / 1_000) - 250)
      times.set(device, timestamp)
      const signature = createHmac('sha256', this.customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
      return { deviceKey, timestamp, signature }
    },
  }
  return known
}

const maxTokens = 64

/** Keeps the token of an answer for later requests. */
export function keepToken({ opaque, signed }: Known, value: string): void {
  const tokens = value.includes('.') ? signed : opaque
  tokens.push(value)
  if (tokens.length > maxTokens) tokens.shift()
}

/** Masks the credentials in a text. */
export function mask({ client, password, customerKey }: Known, text: string): string {
  const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64')
  return [
    [basic, 'basic'],
    [client.secret, 'secret'],
    [password, 'password'],
    [customerKey, 'customer key'],
  ]
    .reduce((masked, [secret = '', name]) => masked.replaceAll(secret, `<${name}>`), text)
    .replace(/eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*/g, '<signed token>')
    .replace(/[A-Za-z0-9_-]{72}/g, '<token>')
}
