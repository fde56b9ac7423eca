import { createHmac, randomBytes } from 'node:crypto'
import { importBuilt } from './place.ts'

/** Numbered devices, all with one customer key. */
export interface Devices {
  readonly count: number
  readonly customerKey: string
}

/** The path where devices sign in. */
export const devicePath = '/auth/login'

/** Adds devices as the command does, but without a process for each one. */
export async function addDevices(databaseUrl: string, encryptionKey: string, count: number): Promise<Devices> {
  interface Opened {
    transaction(work: (query: unknown) => Promise<void>): Promise<void>
    close(): Promise<void>
  }
  interface Product {
    openDatabase(url: string): Promise<Opened>
    registerDevice(query: unknown, key: Buffer, device: { deviceKey: string; customerKey: string }): Promise<unknown>
  }
  const { openDatabase, registerDevice } = await importBuilt<Product>('index.js')
  const customerKey = randomBytes(24).toString('base64url')
  const database = await openDatabase(databaseUrl)
  await database.transaction(async (query) => {
    for (let number = 0; number < count; number += 1) {
      await registerDevice(query, Buffer.from(encryptionKey, 'base64'), { deviceKey: deviceKey(number), customerKey })
    }
  })
  await database.close()
  return { count, customerKey }
}

function deviceKey(number: number): string {
  return `device-${number}`
}

/** Writes a device's sign-in with a signed timestamp. */
export function deviceRequest({ customerKey }: Devices, number: number, timestamp: number) {
  const device_key = deviceKey(number)
  const device_signature = createHmac('sha256', customerKey).update(`${timestamp}${device_key}`).digest('hex')
  return {
    method: 'POST' as const,
    path: devicePath,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ device_key, timestamp, device_signature }),
  }
}

/** Signs a device in and returns its token. */
export async function collectDeviceToken(url: string, devices: Devices, number: number): Promise<string> {
  const { path, ...request } = deviceRequest(devices, number, Math.floor(Date.now() / 1_000) + 250)
  const response = await fetch(url + path, request)
  if (response.status !== 200) throw new Error(`no token: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { token: string }).token
}
