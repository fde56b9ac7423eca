// Guesses at a device's signature obey the same limits as guesses at a password.
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { device } from '../../src/dialects/device.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { generateBytes } from '../../src/secrets.ts'
import { behindProxy, lengthenWaits, newNetwork, tally } from '../support/guesses.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addDevice as addDeviceTo, type DeviceKeys, randomWord } from '../support/people.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const encryptionKey = generateBytes(32)
const options = { ...behindProxy, dialects: [webapi, device], encryptionKey }
const { app, database, url } = await testServer(options)
await lengthenWaits(database)
const other = await serverBeside(url, options)

const addDevice = () => addDeviceTo(database, encryptionKey)

let lastTime = Math.floor(Date.now() / 1_000) - 250

/** Newer with each call, within the five minutes that are accepted. */
function nextTime(): number {
  lastTime += 1
  return lastTime
}

async function login(signer: DeviceKeys, from: string, { target = app, timestamp = nextTime() } = {}) {
  const { deviceKey, customerKey } = signer
  const signature = createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
  const response = await target.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': from },
    body: JSON.stringify({ device_key: deviceKey, timestamp, device_signature: signature }),
  })
  if (response.statusCode === 200) keepSecret(response.json().token)
  return response
}

const guess = ({ deviceKey }: { deviceKey: string }, from: string, target = app) =>
  login({ deviceKey, customerKey: randomWord() }, from, { target })

describe('wrong signatures', () => {
  test('are answered five times for one network, and then even the right one waits, on every server', async () => {
    const [signer, from] = [await addDevice(), newNetwork()]
    for (let turn = 0; turn < 5; turn += 1) expect((await guess(signer, from)).statusCode).toBe(401)
    for (const target of [app, other]) {
      const response = await login(signer, from, { target })
      expect([response.statusCode, response.json()]).toEqual([
        429,
        { error: 'slow_down', message: 'Too many attempts.' },
      ])
      expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    }
    expect((await login(signer, newNetwork())).statusCode).toBe(200)
  })

  test('from sixty /64s of one /48 at once are answered ten times, and the device signs in from elsewhere', async () => {
    const signer = await addDevice()
    const sources = Array.from({ length: 60 }, (_, place) => `2001:db8:77:${place}::1`)
    const answers = await Promise.all(sources.map((from, place) => guess(signer, from, place % 2 ? app : other)))
    expect(tally(answers)).toEqual({ 401: 10, 429: 50 })
    expect((await login(signer, newNetwork())).statusCode).toBe(200)
  })

  test('of an unknown device are answered alike', async () => {
    const [nobody, from] = [{ deviceKey: `nobody-${randomWord()}` }, newNetwork()]
    const told = []
    for (let turn = 0; turn < 6; turn += 1) told.push((await guess(nobody, from)).statusCode)
    expect(told).toEqual([401, 401, 401, 401, 401, 429])
  })

  test('are cleared by a right one', async () => {
    const [signer, from] = [await addDevice(), newNetwork()]
    for (let turn = 0; turn < 4; turn += 1) await guess(signer, from)
    expect((await login(signer, from)).statusCode).toBe(200)
    for (let turn = 0; turn < 4; turn += 1) expect((await guess(signer, from)).statusCode).toBe(401)
  })
})

test('a stale timestamp under a right signature does not count as a guess', async () => {
  const [signer, from] = [await addDevice(), newNetwork()]
  const timestamp = Math.floor(Date.now() / 1_000) - 3_600
  for (let turn = 0; turn < 6; turn += 1) expect((await login(signer, from, { timestamp })).statusCode).toBe(401)
  expect((await login(signer, from)).statusCode).toBe(200)
})

describe('a customer key', () => {
  test('has at least sixteen characters, unless a migration brings a shorter one', async () => {
    const add = (customerKey: string, allowShort?: boolean) =>
      addDeviceTo(database, encryptionKey, { customerKey, allowShort })
    await expect(add('k'.repeat(15))).rejects.toMatchObject({ code: 'invalid_request' })
    expect((await login(await add('k'.repeat(15), true), newNetwork())).statusCode).toBe(200)
    expect((await login(await add('k'.repeat(16)), newNetwork())).statusCode).toBe(200)
  })
})
