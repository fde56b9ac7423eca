import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { device } from '../../src/dialects/device.ts'
import { dialects } from '../../src/dialects/index.ts'
import { generateBytes } from '../../src/secrets.ts'
import type { ServerOptions } from '../../src/server.ts'
import type { NewDevice } from '../../src/users/register-device.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, addDevice as addDeviceTo, type DeviceKeys, randomWord } from '../support/people.ts'
import { basic, passwordForm, sendToken } from '../support/requests.ts'
import { freePort } from '../support/sockets.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const encryptionKey = generateBytes(32)
const json = { 'content-type': 'application/json' }
const options = { dialects: Object.values(dialects), encryptionKey, throttle: false }
const { app, database, url } = await testServer(options)

/** The one answer for every fault of a device, its time or its signature. */
const refused = '{"error":"invalid_grant","message":"The device key, the timestamp or the signature is not right."}'

function addDevice(chosen?: Partial<NewDevice>) {
  return addDeviceTo(database, encryptionKey, chosen)
}

/** Written here once more, so that the server's own way of signing is not what it is compared with. */
function sign({ deviceKey, customerKey }: DeviceKeys, timestamp: number | string): string {
  return createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
}

function signed(signer: DeviceKeys, timestamp: number | string): Record<string, unknown> {
  return { device_key: signer.deviceKey, timestamp, device_signature: sign(signer, timestamp) }
}

/** The database's clock, which is the one that counts. */
async function now(): Promise<number> {
  const [row] = await database.script<{ seconds: number }>('select floor(extract(epoch from now()))::int as seconds')
  return row?.seconds ?? 0
}

async function login(body: unknown, target = app, headers: Record<string, string> = {}) {
  const response = await target.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  if (response.statusCode === 200) keepSecret(response.json().token)
  return response
}

type Answer = Awaited<ReturnType<typeof login>>

/** The form of every refusal: JSON of two members, no `token` among them, and no caching. */
function expectRefusal(response: Answer, status: number, error: string): void {
  expect({ status: response.statusCode, body: response.json() }).toEqual({
    status,
    body: { error, message: expect.stringMatching(/.\.$/) },
  })
  expect(Object.keys(response.json())).toEqual(['error', 'message'])
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
  expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
}

/** The log's word for the refusal of one request. */
async function reasonOf(body: unknown): Promise<unknown> {
  const before = readLog().length
  expect((await login(body)).body).toBe(refused)
  return readLog()
    .slice(before)
    .find((line) => line['event'] === 'refusal' && !('count' in line))?.['reason']
}

/** Another server on the same database, or on one that is away. */
function anotherServer(changed: Partial<ServerOptions>, databaseUrl = url) {
  return serverBeside(databaseUrl, { ...options, ...changed })
}

describe('the published request', () => {
  const cases = [
    { what: 'as published', name: 'device_signature', isText: false, write: (hex: string) => hex },
    { what: 'with a timestamp as text', name: 'device_signature', isText: true, write: (hex: string) => hex },
    { what: 'with device-signature', name: 'device-signature', isText: false, write: (hex: string) => hex },
    {
      what: 'with a signature in capitals',
      name: 'device_signature',
      isText: false,
      write: (hex: string) => hex.toUpperCase(),
    },
    {
      what: 'with all of that',
      name: 'device-signature',
      isText: true,
      write: (hex: string) => hex.toUpperCase(),
    },
  ]
  test.each(cases)('gets a token and nothing else, $what', async ({ name, isText, write }) => {
    const signer = await addDevice()
    const timestamp = await now()
    const response = await login({
      device_key: signer.deviceKey,
      timestamp: isText ? String(timestamp) : timestamp,
      [name]: write(sign(signer, timestamp)),
    })
    expect(response.statusCode).toBe(200)
    expect(response.body).toMatch(/^\{"token":"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"\}$/)
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
  })

  test('of the reference vector has a right signature and only an old time', async () => {
    const signer = await addDevice({ deviceKey: 'my-device-key', customerKey: 'my-customer-key', allowShort: true })
    const body = {
      device_key: signer.deviceKey,
      timestamp: 1620045991,
      device_signature: 'fdb0d8e26a382697721763c11425c0af55841769dd7d62298d893816e2a877c7',
    }
    expect(await reasonOf(body)).toBe('stale or repeated timestamp')
    expect(await reasonOf({ ...body, timestamp: 1620045992 })).toBe('wrong signature')
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'text/json'])('is read under %s', async (type) => {
    const response = await login(signed(await addDevice(), await now()), app, { 'content-type': type })
    expect(response.statusCode).toBe(200)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'nonsense', ''])(
    'is refused with 415 under %j, which a page of another origin may send',
    async (type) => {
      const body = signed(await addDevice(), await now())
      expectRefusal(await login(body, app, { 'content-type': type }), 415, 'invalid_request')
      expect((await login(body)).statusCode).toBe(200) // the timestamp was not used up
    },
  )

  test.each(['/AUTH/LOGIN', '/Auth/Login?device_key=ignored'])('finds %s', async (place) => {
    const body = signed(await addDevice(), await now())
    const response = await app.inject({ method: 'POST', url: place, headers: json, body: JSON.stringify(body) })
    expect(response.statusCode).toBe(200)
    keepSecret(response.json().token)
  })

  test.each([
    [
      'with letters of any script in its keys',
      { deviceKey: `gerät-温度-${randomWord()}`, customerKey: 'schlüssel-鍵-🔑-schlüssel' },
    ],
    ['with a customer key longer than a block of SHA-256', { customerKey: 'k'.repeat(1_024) }],
    ['with a device key of 256 characters', { deviceKey: `d${randomWord()}`.padEnd(256, 'd') }],
    ['with quotes and backslashes', { deviceKey: `"\\${randomWord()}`, customerKey: `"\\'$(x) ${randomWord()}` }],
  ])('is answered to a device %s', async (_what, chosen) => {
    expect((await login(signed(await addDevice(chosen), await now()))).statusCode).toBe(200)
  })

  test('is one line in the log: event, device, client, dialect, duration, address', async () => {
    const signer = await addDevice()
    const body = signed(signer, await now())
    const before = readLog().length
    await login(body)
    const lines = readLog().slice(before)
    expect(lines).toEqual([
      expect.objectContaining({
        event: 'sign-in',
        userId: signer.userId,
        client: 'device',
        dialect: 'device',
        durationMs: expect.any(Number),
        address: '127.0.0.1',
      }),
    ])
    expect(JSON.stringify(lines)).not.toContain(signer.deviceKey)
  })
})

describe('a refusal is the same for every fault', () => {
  type Case = readonly [reason: string, what: string, (signer: DeviceKeys, time: number) => Record<string, unknown>]
  const cases: Case[] = [
    ['unknown device', 'an unknown device key', (_, time) => signed({ deviceKey: 'nobody', customerKey: 'x' }, time)],
    [
      'unknown device',
      'its name in another case',
      ({ deviceKey, customerKey }, time) => signed({ deviceKey: deviceKey.toUpperCase(), customerKey }, time),
    ],
    [
      'wrong signature',
      'another customer key',
      ({ deviceKey }, time) => signed({ deviceKey, customerKey: 'another' }, time),
    ],
    [
      'wrong signature',
      'a signature of another time',
      (signer, time) => ({ ...signed(signer, time), timestamp: time + 1 }),
    ],
    [
      'wrong signature',
      'a signature of a time written otherwise',
      (signer, time) => ({ ...signed(signer, time), timestamp: `0${time}` }),
    ],
    [
      'wrong signature',
      'the device key signed before the time',
      ({ deviceKey, customerKey }, time) => ({
        device_key: deviceKey,
        timestamp: time,
        device_signature: createHmac('sha256', customerKey).update(`${deviceKey}${time}`).digest('hex'),
      }),
    ],
    ...Object.entries({
      'no hex at all': () => 'x'.repeat(64),
      'hex and one letter more': (hex: string) => `${hex.slice(0, 63)}g`,
      'one digit too few': (hex: string) => hex.slice(0, 63),
      'one byte too few': (hex: string) => hex.slice(0, 62),
      'one byte too many': (hex: string) => `${hex}00`,
      'something after it': (hex: string) => `${hex}zz`,
      'a line end after it': (hex: string) => `${hex}\n`,
      'a space before it': (hex: string) => ` ${hex}`,
      '0x before it': (hex: string) => `0x${hex}`,
      'base64 instead': (hex: string) => Buffer.from(hex, 'hex').toString('base64'),
      'one bit changed': (hex: string) => `${hex.slice(0, 63)}${(Number.parseInt(hex.slice(63), 16) ^ 1).toString(16)}`,
      'very much of it': (hex: string) => hex.repeat(100),
    }).map(
      ([what, write]): Case => [
        'wrong signature',
        `a signature with ${what}`,
        (signer, time) => ({ ...signed(signer, time), device_signature: write(sign(signer, time)) }),
      ],
    ),
    ['stale or repeated timestamp', 'a time 301 seconds ago', (signer, time) => signed(signer, time - 301)],
    ['stale or repeated timestamp', 'a time 310 seconds ahead', (signer, time) => signed(signer, time + 310)],
    ['stale or repeated timestamp', 'the beginning of time', (signer) => signed(signer, 0)],
    ['stale or repeated timestamp', 'the end of time', (signer) => signed(signer, '9'.repeat(15))],
    ['stale or repeated timestamp', 'milliseconds', (signer, time) => signed(signer, time * 1_000)],
  ]
  test.each(cases)('%s: %s', async (reason, _what, write) => {
    const signer = await addDevice()
    const body = write(signer, await now())
    expect(await reasonOf(body)).toBe(reason)
    expectRefusal(await login(body), 401, 'invalid_grant')
    expect((await login(signed(signer, await now()))).statusCode).toBe(200)
  })

  test('disabled device, until it is enabled again', async () => {
    const signer = await addDevice()
    await changeUser(database.writes, signer.deviceKey, { isEnabled: false })
    expect(await reasonOf(signed(signer, await now()))).toBe('disabled device')
    await changeUser(database.writes, signer.deviceKey, { isEnabled: true })
    expect((await login(signed(signer, await now()))).statusCode).toBe(200)
  })
})

describe('a time', () => {
  // the clock goes on while the request is on its way, so the edge is tried on its safe side
  test.each([
    ['296 seconds ago', -296],
    ['now', 0],
    ['300 seconds ahead', 300],
  ])('%s is accepted', async (_when, offset) => {
    const signer = await addDevice()
    expect((await login(signed(signer, (await now()) + offset))).statusCode).toBe(200)
  })

  test('is accepted once', async () => {
    const signer = await addDevice()
    const body = signed(signer, await now())
    expect((await login(body)).statusCode).toBe(200)
    for (let turn = 0; turn < 3; turn += 1) expect(await reasonOf(body)).toBe('stale or repeated timestamp')
  })

  test('is accepted once in any notation', async () => {
    const signer = await addDevice()
    const time = await now()
    expect((await login(signed(signer, time))).statusCode).toBe(200)
    expect(await reasonOf(signed(signer, `0${time}`))).toBe('stale or repeated timestamp')
  })

  test('older than one that was accepted is refused, a newer one is accepted', async () => {
    const signer = await addDevice()
    const time = await now()
    expect((await login(signed(signer, time))).statusCode).toBe(200)
    expect(await reasonOf(signed(signer, time - 1))).toBe('stale or repeated timestamp')
    expect((await login(signed(signer, time + 1))).statusCode).toBe(200)
    expect(await reasonOf(signed(signer, time))).toBe('stale or repeated timestamp')
  })

  test('belongs to one device: two may sign the same', async () => {
    const time = await now()
    for (const signer of [await addDevice(), await addDevice()]) {
      expect((await login(signed(signer, time))).statusCode).toBe(200)
    }
  })

  test('stays usable after a wrong signature over it', async () => {
    const signer = await addDevice()
    const time = await now()
    await reasonOf({ ...signed(signer, time + 200), device_signature: sign({ ...signer, customerKey: 'no' }, time) })
    expect((await login(signed(signer, time))).statusCode).toBe(200)
  })

  test('that was refused as too far ahead does not lock the device out', async () => {
    const signer = await addDevice()
    const time = await now()
    await reasonOf(signed(signer, time + 3_600))
    expect((await login(signed(signer, time))).statusCode).toBe(200)
  })

  test.each([1, 2, 3])('sent by thirty requests at once is accepted once (%i)', async () => {
    const signer = await addDevice()
    const other = await anotherServer({})
    const body = signed(signer, await now())
    const answers = await Promise.all(Array.from({ length: 30 }, (_, turn) => login(body, turn % 2 ? app : other)))
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1)
    expect(answers.filter((answer) => answer.statusCode === 401 && answer.body === refused)).toHaveLength(29)
  })
})

describe('an invalid request', () => {
  const right = { device_key: 'a-device', timestamp: 1620045991, device_signature: 'ab'.repeat(32) }
  test.each<[string, unknown]>([
    ['nothing', ''],
    ['no device key', { ...right, device_key: undefined }],
    ['no timestamp', { ...right, timestamp: undefined }],
    ['no signature', { ...right, device_signature: undefined }],
    ['an empty device key', { ...right, device_key: '' }],
    ['a timestamp that is no digits', { ...right, timestamp: 'now' }],
    ['a fraction', { ...right, timestamp: 1.5 }],
    ['the published curl example, which lacks a comma', '{"device_key":"k","timestamp":1 "device_signature":"s"}'],
    ['a form', 'device_key=k&timestamp=1&device_signature=s'],
    ['a repeated member', '{"device_key":"k","device_key":"l","timestamp":1,"device_signature":"s"}'],
    ['an array of requests', [right]],
    ['a member of the wrong kind', { ...right, device_key: ['k'] }],
    ['very deep', '['.repeat(15_000)],
  ])('is refused with 400: %s', async (_what, body) => {
    expectRefusal(await login(body), 400, 'invalid_request')
  })

  test('is refused with 400: bytes that are not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"device_key":"'), Buffer.of(0xff), Buffer.from('"}')])
    expectRefusal(
      await app.inject({ method: 'POST', url: '/auth/login', headers: { 'content-type': 'application/json' }, body }),
      400,
      'invalid_request',
    )
  })

  test('is refused with 413 when it is longer than 16 KiB', async () => {
    expectRefusal(await login({ ...right, padding: 'x'.repeat(20_000) }), 413, 'invalid_request')
  })

  test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'] as const)(
    'is refused with 405 when it comes with %s',
    async (method) => {
      const response = await app.inject({ method: method as 'GET', url: '/auth/login' })
      expectRefusal(response, 405, 'invalid_request')
      expect(response.headers.allow).toBe('POST')
    },
  )
})

describe('a server that cannot answer', () => {
  test('answers 503 while the database is away and gives no verdict on the device', async () => {
    const away = await anotherServer({}, `postgres://nobody@127.0.0.1:${await freePort()}/away`)
    const response = await login(signed(await addDevice(), await now()), away)
    expectRefusal(response, 503, 'temporarily_unavailable')
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
  })

  test('answers without a verdict under another encryption key and logs the reason', async () => {
    const other = await anotherServer({ encryptionKey: generateBytes(32) })
    const signer = await addDevice()
    const body = signed(signer, await now())
    await login(signed(await addDevice(), await now())) // there is a signing key
    const before = readLog().length
    const response = await login(body, other)
    expectRefusal(response, 500, 'server_error')
    expect(response.body).not.toContain('ENCRYPTION_KEY')
    expect(JSON.stringify(readLog().slice(before))).toContain('ENCRYPTION_KEY is not the one it was encrypted with')
    expect((await login(body)).statusCode).toBe(200)
  })

  test('refuses a customer key that was moved from one device to another', async () => {
    const [robbed, thief] = [await addDevice(), await addDevice()]
    await database.script(
      `update password_grant.devices set customer_key =
        (select customer_key from password_grant.devices where user_id = $1) where user_id = $2`,
      [robbed.userId, thief.userId],
    )
    const body = signed({ ...thief, customerKey: robbed.customerKey }, await now())
    expectRefusal(await login(body), 500, 'server_error')
  })
})

describe('the built-in client', () => {
  test('closes the dialect for every request while disabled, and opens it again', async () => {
    const own = await testServer({ ...options })
    const other = own.app
    await setClientEnabled(own.database.writes, 'device', false)
    expectRefusal(await login(signed({ deviceKey: 'nobody', customerKey: 'x' }, await now()), other), 404, 'not_found')
    expect((await login({}, other)).statusCode).toBe(404)
    await setClientEnabled(own.database.writes, 'device', true)
    expectRefusal(
      await login(signed({ deviceKey: 'nobody', customerKey: 'x' }, await now()), other),
      401,
      'invalid_grant',
    )
  })

  test('is refused at /Token and at /introspect', async () => {
    const asked = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } } as const
    const body = 'grant_type=password&username=a&password=b&client_id=device&token=x'
    for (const place of ['/Token', '/introspect']) {
      const response = await app.inject({ ...asked, url: place, body })
      expect([place, response.statusCode, response.json().error]).toEqual([place, 401, 'invalid_client'])
    }
  })
})

describe('a device has no password', () => {
  test('at /Token, with any credentials', async () => {
    const client = await addClient(database)
    const signer = await addDevice()
    const tried = [signer.customerKey, signer.deviceKey, 'null', 'undefined', ' ', sign(signer, await now())]
    for (const password of tried) {
      const response = await sendToken(app, {
        headers: basic(client.id, client.secret),
        body: passwordForm({ name: signer.deviceKey, password }),
      })
      expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_grant'])
    }
  })

  test.each([
    ['/v2/token', (body: object) => JSON.stringify({ grant_type: 'password', ...body }), /"invalid_grant"/],
    ['/v1/oauth/', (body: object) => new URLSearchParams({ ...body }).toString(), /"1142"/],
  ])('at %s, with any credentials', async (place, write, expected) => {
    const signer = await addDevice()
    for (const password of [signer.customerKey, signer.deviceKey, 'null']) {
      const response = await app.inject({
        method: 'POST',
        url: place,
        headers: {
          'content-type': place === '/v2/token' ? 'application/json' : 'application/x-www-form-urlencoded',
        },
        body: write({ username: signer.deviceKey, password }),
      })
      expect(response.body).toMatch(expected)
    }
  })
})

test('the endpoint exists only where the dialect is mounted', async () => {
  const others = Object.values(dialects).filter((dialect) => dialect !== device)
  const without = await anotherServer({ dialects: others, encryptionKey: undefined })
  expect((await login(signed(await addDevice(), await now()), without)).statusCode).toBe(404)
  expect((await without.inject('/.well-known/jwks.json')).statusCode).toBe(404)
})
