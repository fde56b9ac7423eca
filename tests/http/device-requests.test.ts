import { createHmac, hash } from 'node:crypto'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import type { Query } from '../../src/database/database.ts'
import { device } from '../../src/dialects/device.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { generateBytes } from '../../src/secrets.ts'
import type { ServerOptions } from '../../src/server.ts'
import { createThrottle } from '../../src/throttle/database-throttle.ts'
import { defaultThrottleOptions } from '../../src/throttle/throttle.ts'
import { nextTimestamp } from '../support/device-time.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addDevice as addDeviceTo, type DeviceKeys, randomWord } from '../support/people.ts'
import { freePort } from '../support/sockets.ts'
import { serverBeside, testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const encryptionKey = generateBytes(32)
// the throttle counts wrong signatures too; here it allows more of them than the limit a minute
const throttle = { freeAttempts: 1_000, strangersLimit: 1_000, strangersSourceLimit: 1_000 }
const options = { dialects: [webapi, device], encryptionKey, trustProxy: ['127.0.0.1'], throttle }
const { app, database, url } = await testServer(options)
const other = await anotherServer({})

function addDevice() {
  return addDeviceTo(database, encryptionKey)
}

function signed({ deviceKey, customerKey }: DeviceKeys): Record<string, unknown> {
  const timestamp = nextTimestamp()
  const signature = createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
  return { device_key: deviceKey, timestamp, device_signature: signature }
}

const wrong = ({ deviceKey }: DeviceKeys) => signed({ deviceKey, customerKey: 'wrong' })

async function login(body: unknown, { target = app, from = '', type = 'application/json' } = {}) {
  const response = await target.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': type, ...(from !== '' && { 'x-forwarded-for': from }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  if (response.statusCode === 200) keepSecret(response.json().token)
  return response
}

type Answer = Awaited<ReturnType<typeof login>>

const remaining = ({ headers }: Answer) => Number(headers['x-ratelimit-remaining'])

/** What every answer of the dialect tells: 10 turns, how many are left, and a moment of this minute when that ends. */
function expectAllowance({ headers }: Answer, left: unknown = expect.stringMatching(/^\d$/)): void {
  expect(headers['x-ratelimit-limit']).toBe('10')
  expect(headers['x-ratelimit-remaining']).toEqual(left)
  expect(headers['x-ratelimit-reset']).toMatch(/^\d{10}$/)
  const ahead = Number(headers['x-ratelimit-reset']) * 1_000 - Date.now()
  expect(ahead).toBeGreaterThan(-1_000)
  expect(ahead).toBeLessThanOrEqual(61_000) // whole seconds, rounded up
}

function expectTooMany(response: Answer): void {
  expect([response.statusCode, response.json()]).toEqual([
    429,
    { error: 'slow_down', message: 'Too many requests in this time frame.' },
  ])
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(Number(response.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect(Number(response.headers['retry-after'])).toBeLessThanOrEqual(61)
  expectAllowance(response, '0')
}

async function useUp(signer: DeviceKeys, how: { from?: string; target?: typeof app } = {}): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) expect((await login(wrong(signer), how)).statusCode).toBe(401)
}

/** Another server on the same database, or on one that is away. */
function anotherServer(changed: Partial<ServerOptions>, databaseUrl = url) {
  return serverBeside(databaseUrl, { ...options, ...changed })
}

describe('every answer carries the remaining attempts', () => {
  const cases: [number, string, (signer: DeviceKeys) => Promise<Answer>][] = [
    [200, 'a token', (signer) => login(signed(signer))],
    [401, 'a wrong signature', (signer) => login(wrong(signer))],
    [400, 'a missing field', ({ deviceKey }) => login({ device_key: deviceKey })],
    [400, 'no JSON', () => login('no JSON')],
    [400, 'no body', () => login('')],
    [415, 'no JSON content type', () => login('{}', { type: 'text/plain' })],
    [413, 'a body that is too long', () => login('x'.repeat(20_000))],
    [405, 'another method', () => app.inject({ method: 'GET', url: '/auth/login' })],
    [405, 'another method with a body', () => app.inject({ method: 'PUT', url: '/auth/login', body: '{}' })],
  ]
  test.each(cases)('%i for %s', async (status, _what, answer) => {
    const response = await answer(await addDevice())
    expect(response.statusCode).toBe(status)
    expectAllowance(response)
  })

  test('404 while the dialect is closed', async () => {
    const own = await testServer(options)
    await setClientEnabled(own.database.writes, 'device', false)
    const response = await login({ device_key: 'any', timestamp: 1, device_signature: 'x' }, { target: own.app })
    expect(response.statusCode).toBe(404)
    expectAllowance(response)
  })

  test('500 when a customer key cannot be decrypted', async () => {
    const target = await anotherServer({ encryptionKey: generateBytes(32) })
    const signer = await addDevice()
    await login(signed(signer)) // there is a signing key
    const response = await login(signed(signer), { target })
    expect(response.statusCode).toBe(500)
    expectAllowance(response)
  })

  test('503 while the database is away, uncounted', async () => {
    const target = await anotherServer({}, `postgres://nobody@127.0.0.1:${await freePort()}/away`)
    const body = { device_key: 'any', timestamp: 1, device_signature: 'x' }
    for (let turn = 0; turn < 12; turn += 1) {
      const response = await login(body, { target })
      expect(response.statusCode).toBe(503)
      expectAllowance(response, '10')
    }
  })

  test('at no other endpoint', async () => {
    for (const place of ['/userinfo', '/.well-known/jwks.json', '/health/live', '/Token']) {
      expect((await app.inject(place)).headers).not.toHaveProperty('x-ratelimit-limit')
    }
  })
})

describe('ten attempts a minute', () => {
  test('are counted when right, wrong, stale or incomplete, and the eleventh is refused', async () => {
    const signer = await addDevice()
    const right = signed(signer)
    const bodies = [
      right,
      right,
      wrong(signer),
      { ...right, device_signature: undefined },
      { ...right, timestamp: 'now' },
      wrong(signer),
      signed(signer),
      signed(signer),
      wrong(signer),
      signed(signer),
    ]
    const answers: Answer[] = []
    for (const body of bodies) answers.push(await login(body))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 401, 401, 400, 400, 401, 200, 200, 401, 200])
    expect(answers.map(remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    expectTooMany(await login(signed(signer)))
    expectTooMany(await login(wrong(signer)))
  })

  test('share one reset time', async () => {
    const signer = await addDevice()
    const resets = new Set<unknown>()
    for (let turn = 0; turn < 5; turn += 1) resets.add((await login(wrong(signer))).headers['x-ratelimit-reset'])
    expect(resets.size).toBe(1)
  })

  test('stay ten when they come at once at two servers', async () => {
    const signer = await addDevice()
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, turn) => login(wrong(signer), { target: turn % 2 ? app : other })),
    )
    expect(answers.filter(({ statusCode }) => statusCode === 401)).toHaveLength(10)
    expect(answers.filter(({ statusCode }) => statusCode === 429)).toHaveLength(30)
  })

  test('are shared by two servers', async () => {
    const signer = await addDevice()
    const left: number[] = []
    for (let turn = 0; turn < 10; turn += 1) {
      left.push(remaining(await login(wrong(signer), { target: turn % 2 ? app : other })))
    }
    expect(left).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    for (const target of [app, other]) expectTooMany(await login(signed(signer), { target }))
  })

  test('come back when the minute is over', async () => {
    const signer = await addDevice()
    await useUp(signer)
    const overSince = Date.now() - 1
    const counts = await database.script('update password_grant.attempts set expire = $1 returning key', [overSince])
    expect(counts.length).toBeGreaterThan(0)
    const response = await login(signed(signer), { target: other })
    expect(response.statusCode).toBe(200)
    expectAllowance(response, '9')
  })

  test('leave the signed time of a refused attempt usable', async () => {
    const signer = await addDevice()
    await useUp(signer)
    const body = signed(signer)
    expectTooMany(await login(body))
    expect((await login(body, { from: '203.0.113.9' })).statusCode).toBe(200)
  })

  test('are ten for an unknown device too', async () => {
    const signer = { deviceKey: `nobody-${randomWord()}`, customerKey: 'x' }
    await useUp(signer)
    expectTooMany(await login(signed(signer)))
  })
})

describe('the database', () => {
  const throttleOver = (query: Query) => createThrottle(query, encryptionKey, defaultThrottleOptions)

  test('gets no query for a device that has used up its attempts', async () => {
    let statements = 0
    const throttle = throttleOver((...statement) => {
      statements += 1
      return database.writes(...statement)
    })
    const name = randomWord()
    const waits = []
    for (let turn = 0; turn < 15; turn += 1) waits.push((await throttle.recordRequest(name, '', 10)).waitSeconds > 0)
    expect(waits).toEqual([...Array(10).fill(false), ...Array(5).fill(true)])
    expect(statements).toBe(10)
    expect((await throttle.recordRequest(randomWord(), '', 10)).remaining).toBe(9)
  })

  test('drops each count within a minute after its end', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const throttle = throttleOver(database.writes)
    await throttle.recordRequest(randomWord(), '', 10)
    await database.script('update password_grant.attempts set expire = 1')
    vi.advanceTimersByTime(61_000)
    await throttle.recordRequest(randomWord(), '', 10)
    vi.useRealTimers()
    const readOver = () => database.script('select from password_grant.attempts where expire = 1')
    expect(await eventually(readOver, ({ length }) => length === 0)).toEqual([])
  })
})

describe('attempts are counted for a device and a network together', () => {
  test('and another device has its own', async () => {
    await useUp(await addDevice())
    expectAllowance(await login(signed(await addDevice())), '9')
  })

  test.each([
    ['203.0.113.7', '203.0.113.8'],
    ['2001:db8:7:1::1', '2001:db8:7:2::1'],
    ['203.0.113.7', '2001:db8:7:3::1'],
  ])('and a stranger at %s does not use up those from %s', async (stranger, home) => {
    const signer = await addDevice()
    await useUp(signer, { from: stranger })
    expectTooMany(await login(signed(signer), { from: stranger }))
    const response = await login(signed(signer), { from: home })
    expect(response.statusCode).toBe(200)
    expectAllowance(response, '9')
  })

  test('and an IPv6 /64 has ten attempts, not each of its addresses', async () => {
    const signer = await addDevice()
    for (let turn = 1; turn <= 10; turn += 1) {
      expect((await login(wrong(signer), { from: `2001:db8:9:1:${turn}::${turn}` })).statusCode).toBe(401)
    }
    expectTooMany(await login(signed(signer), { from: '2001:db8:9:1:ffff:ffff:ffff:ffff' }))
  })

  test('and an untrusted header changes no network', async () => {
    const target = await anotherServer({ trustProxy: [] })
    const signer = await addDevice()
    for (let turn = 1; turn <= 10; turn += 1) await login(wrong(signer), { target, from: `203.0.113.${turn}` })
    expectTooMany(await login(signed(signer), { target, from: '203.0.113.99' }))
  })

  test('and the database reveals neither of them, even by trial', async () => {
    const signer = await addDevice()
    await login(wrong(signer), { from: '203.0.113.77' })
    const rows = await database.script<{ row: string }>('select a::text as row from password_grant.attempts a')
    expect(rows.length).toBeGreaterThan(0)
    const stored = rows.map(({ row }) => row).join('\n')
    expect(stored).not.toMatch(new RegExp(`${signer.deviceKey}|203\\.0\\.113`))
    const both = `${signer.deviceKey}\n203.0.113.77`
    for (const plain of [signer.deviceKey, '203.0.113.77', both, `attempt\n${both}`]) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        expect(stored).not.toContain(hash('sha256', plain, encoding))
      }
    }
  })

  test('and separately under another encryption key', async () => {
    const signer = await addDevice()
    const target = await anotherServer({ encryptionKey: generateBytes(32) })
    await useUp(signer)
    expect(remaining(await login({ ...wrong(signer), device_signature: '' }, { target }))).toBe(9)
  })
})

test('THROTTLE=off lifts the limit and keeps the headers', async () => {
  const target = await anotherServer({ throttle: false })
  const signer = await addDevice()
  for (let turn = 0; turn < 15; turn += 1) {
    const response = await login(wrong(signer), { target })
    expect(response.statusCode).toBe(401)
    expectAllowance(response, expect.stringMatching(/^\d+$/))
  }
  expect((await login(signed(signer), { target })).statusCode).toBe(200)
})
