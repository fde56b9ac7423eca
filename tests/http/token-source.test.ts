// Any PostgreSQL: a client asks a token server over HTTP
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  authorizedFetch,
  type TokenSource,
  TokenSourceError,
  type TokenSourceOptions,
  tokenSource,
} from '../../src/client/index.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, leakedLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { basic } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'
import { eventually, signInAt, whoseAt } from '../support/wire.ts'

const { app, database } = await testServer()
const url = await listen(app)
const client = await addClient(database)

/** A source for a user of the real server. */
function sourceFor(
  user: { name: string; password: string },
  options: Partial<TokenSourceOptions> & { client?: { id: string; secret: string } } = {},
): TokenSource {
  const { client: { id, secret } = client, ...rest } = options
  basic(id, secret) // notes how it stands in the header
  return noted(
    tokenSource({ url, clientId: id, clientSecret: secret, username: user.name, password: user.password, ...rest }),
  )
}

/** Notes each value as a secret. */
function noted(token: TokenSource): TokenSource {
  return Object.assign(async () => keepSecret(await token()), { noteRefusal: token.noteRefusal })
}

/** What the real server logged about one user. */
function logged(userId: string, event: 'sign-in' | 'refusal'): number {
  return readLog().filter((line) => line['event'] === event && line['userId'] === userId).length
}

/** What one request said. */
interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly at: number
}

type Script = (response: ServerResponse, count: number, received: Received) => void

/** A server that answers as the script says; `count` begins with 1. */
async function scripted(script: Script): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request
    let body = ''
    request.on('error', () => undefined)
    for await (const chunk of request.setEncoding('latin1')) body += chunk
    const entry = { method, path, headers, body: Buffer.from(body, 'latin1').toString(), at: performance.now() }
    script(response, received.push(entry), entry)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

/** Where a server was a moment ago. */
async function nobodysAddress(): Promise<string> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return `http://127.0.0.1:${port}`
}

const password = keepSecret('sesame-öffne-dich+1')
const secret = keepSecret('a-client-secret/+%')
keepSecret(Buffer.from('a-client:a-client-secret%2F%2B%25').toString('base64'))

/** A source for a scripted server. */
function sourceAt(address: string, options: Partial<TokenSourceOptions> = {}): TokenSource {
  return noted(
    tokenSource({ url: address, clientId: 'a-client', clientSecret: secret, username: 'ada', password, ...options }),
  )
}

function answer(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

function give(response: ServerResponse, value: string, seconds: unknown = 1000): void {
  answer(response, 200, { access_token: value, token_type: 'bearer', expires_in: seconds })
}

const invalidToken = { 'www-authenticate': 'Bearer realm="a", error="invalid_token"' }

/** The program's clocks, moved by so many milliseconds; they go on running. */
function movableClocks(): { wall: number; monotonic: number } {
  const moved = { wall: 0, monotonic: 0 }
  const [wall, monotonic] = [Date.now.bind(Date), performance.now.bind(performance)]
  const spies = [
    vi.spyOn(Date, 'now').mockImplementation(() => wall() + moved.wall),
    vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + moved.monotonic),
  ]
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore()
  })
  return moved
}

/** The error of a call that must fail. */
async function failureOf(work: Promise<unknown>): Promise<TokenSourceError> {
  const failure = await work.then(
    () => null,
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(TokenSourceError)
  return failure as TokenSourceError
}

const second = 1000

describe('a source of tokens', () => {
  test('signs in at the first call, not before, and keeps the token', async () => {
    const user = await addUser(database)
    const token = sourceFor(user)
    expect(logged(user.id, 'sign-in')).toBe(0)
    const value = await token()
    for (let round = 0; round < 5; round += 1) expect(await token()).toBe(value)
    expect((await whoseAt(url, value)).body.userName).toBe(user.name)
    expect(logged(user.id, 'sign-in')).toBe(1)
  })

  test('signs in once for 200 callers at the same time', async () => {
    const user = await addUser(database)
    const token = sourceFor(user)
    const values = await Promise.all(Array.from({ length: 200 }, token))
    expect(new Set(values).size).toBe(1)
    expect(logged(user.id, 'sign-in')).toBe(1)
  })

  test('fails once for 200 callers at the same time', async () => {
    const user = await addUser(database)
    const token = sourceFor({ ...user, password: keepSecret('a-wrong-password') })
    const failures = await Promise.all(Array.from({ length: 200 }, () => failureOf(token())))
    expect(new Set(failures.map(({ code, status }) => `${status} ${code}`))).toEqual(new Set(['400 invalid_grant']))
    expect(logged(user.id, 'refusal')).toBe(1)
  })

  test('authenticates a client with any secret and names a public one', async () => {
    const odd = await addClient(database, { secret: { chosen: "a+b:c%2B d/=&ä~*'()😀" } })
    const open = await addClient(database, { secret: 'public' })
    const user = await addUser(database, { password: '100% a+b&c=d 😀' })
    expect((await whoseAt(url, await sourceFor(user, { client: odd })())).status).toBe(200)
    const byPublic = sourceFor(user, { clientId: open.id, clientSecret: undefined })
    expect((await whoseAt(url, await byPublic())).status).toBe(200)
  })

  test('signs in again shortly before expiry, so that every returned value is live', async () => {
    const clocks = movableClocks()
    const short = await addClient(database, { lifetimeSeconds: 60 })
    const user = await addUser(database)
    const token = sourceFor(user, { client: short })
    const values = new Set<string>()
    /** For both sides: the server's clock is the database's, so there the token grows older. */
    const pass = async (seconds: number) => {
      clocks.monotonic += seconds * second
      await database.script(
        `update password_grant.tokens
        set issued_at = issued_at - make_interval(secs => $2), expires_at = expires_at - make_interval(secs => $2)
        where user_id = $1`,
        [user.id, seconds],
      )
    }
    const statuses = await eventually(
      async () => {
        const value = await token()
        values.add(value)
        const { status } = await whoseAt(url, value)
        await pass(3)
        return status
      },
      (status) => status !== 200 || values.size === 2,
    )
    expect(statuses).toBe(200)
    expect(logged(user.id, 'sign-in')).toBe(2)
  })

  test('finds the endpoint below a base URL with a path, or at a given name', async () => {
    const server = await scripted((response, count) => give(response, `token-number-${count}`))
    await sourceAt(`${server.url}/auth/`)()
    await sourceAt(server.url, { path: '/oauth/token' })()
    expect(server.received.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /auth/Token',
      'POST /oauth/token',
    ])
  })

  test('accepts token_type in any case (RFC 6749 §5.1)', async () => {
    const server = await scripted((response) =>
      answer(response, 200, { access_token: 'a-token-of-any-case', token_type: 'BeaReR', expires_in: 0.5 }),
    )
    expect(await sourceAt(server.url)()).toBe('a-token-of-any-case')
  })

  test('uses the given fetch, or else the global one at the time of the call', async () => {
    const server = await scripted((response) => give(response, 'a-token-by-fetch'))
    const token = sourceAt(server.url)
    const original = globalThis.fetch
    let calls = 0
    const counting: typeof fetch = (...args) => {
      calls += 1
      return original(...args)
    }
    globalThis.fetch = counting
    onTestFinished(() => {
      globalThis.fetch = original
    })
    await token()
    expect(calls).toBe(1)
    globalThis.fetch = original
    await sourceAt(server.url, { fetch: counting })()
    expect(calls).toBe(2)
  })

  test('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const fetch = async () => Response.json({ access_token: 'a-token', token_type: 'bearer', expires_in: 1 })
    const failing = async () => Promise.reject(new Error('no'))
    const before = timers()
    await sourceAt('http://127.0.0.1/', { fetch })()
    await failureOf(sourceAt('http://127.0.0.1/', { fetch: failing })())
    expect(timers()).toBe(before)
  })
})

describe('the expiry of a token', () => {
  /** Every sign-in gives a new value for 1,000 seconds: renewal begins 60 to 120 seconds before the end. */
  async function longLived(options: Partial<TokenSourceOptions> = {}) {
    const server = await scripted((response, count) => give(response, `long-lived-${count}`))
    return { ...server, token: sourceAt(server.url, options) }
  }

  test.each(['wall', 'monotonic'] as const)('is noticed by the %s clock alone', async (clock) => {
    const clocks = movableClocks()
    const { token } = await longLived()
    expect(await token()).toBe('long-lived-1')
    clocks[clock] = 870 * second
    expect(await token()).toBe('long-lived-1')
    clocks[clock] = 945 * second
    expect(await token()).toBe('long-lived-2')
  })

  test('has a different margin in each source', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) => give(response, `long-lived-${count}`))
    const tokens = Array.from({ length: 60 }, () => sourceAt(server.url))
    await Promise.all(tokens.map((token) => token()))
    clocks.wall = 910 * second
    await Promise.all(tokens.map((token) => token()))
    expect(server.received.length).toBeGreaterThan(60)
    expect(server.received.length).toBeLessThan(120)
  })

  test('has a margin of a tenth of a short lifetime, twice that at most', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) => give(response, `short-lived-${count}`, 100))
    const token = sourceAt(server.url)
    await token()
    clocks.monotonic = 79 * second
    expect(await token()).toBe('short-lived-1')
    clocks.monotonic = 91 * second
    expect(await token()).toBe('short-lived-2')
  })

  test('counts from the moment before the request', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) => {
      clocks.monotonic += 550 * second
      give(response, `slow-to-come-${count}`, 600)
    })
    const token = sourceAt(server.url)
    expect(await token()).toBe('slow-to-come-1')
    expect(await token()).toBe('slow-to-come-2')
  })

  test('hides an outage shortly before it: the source returns the live token and spares the server for a while', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) => {
      if (count === 2) answer(response, 500, {})
      else if (count === 3) answer(response, 503, {}, { 'retry-after': '20' })
      else give(response, `long-lived-${count}`)
    })
    const token = sourceAt(server.url)
    await token()
    const at = async (seconds: number) => {
      clocks.monotonic = seconds * second
      return [await token(), server.received.length]
    }
    expect(await at(945)).toEqual(['long-lived-1', 2])
    expect(await at(947)).toEqual(['long-lived-1', 2])
    expect(await at(951)).toEqual(['long-lived-1', 3])
    expect(await at(969)).toEqual(['long-lived-1', 3])
    expect(await at(972)).toEqual(['long-lived-4', 4])
  })

  test('reveals an outage', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) =>
      count === 1 ? give(response, 'long-lived-1') : answer(response, 500, {}),
    )
    const token = sourceAt(server.url)
    await token()
    clocks.wall = 1001 * second
    expect(await failureOf(token())).toMatchObject({ code: 'temporarily_unavailable', status: 500 })
  })

  test('reveals a refusal shortly before it, although the token still lives', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) =>
      count === 1 ? give(response, 'long-lived-1') : answer(response, 400, { error: 'invalid_grant' }),
    )
    const token = sourceAt(server.url)
    await token()
    clocks.wall = 945 * second
    for (let round = 0; round < 3; round += 1) expect(await failureOf(token())).toMatchObject({ code: 'invalid_grant' })
    expect(server.received).toHaveLength(2)
  })
})

describe('an outage', () => {
  test.each<[string, Record<string, string>, number]>([
    ['503', { 'retry-after': '1' }, 503],
    ['429', { 'retry-after': '1' }, 429],
    ['503 with a date', { date: 'Mon, 02 Nov 2026 08:00:00 GMT', 'retry-after': 'Mon, 02 Nov 2026 08:00:01 GMT' }, 503],
  ])('of a second (%s) is retried within the call', async (_name, headers, status) => {
    const server = await scripted((response, count) =>
      count <= 2 ? answer(response, status, {}, headers) : give(response, 'after-an-outage'),
    )
    const token = sourceAt(server.url)
    expect(await Promise.all([token(), token()])).toEqual(['after-an-outage', 'after-an-outage'])
    const [first = 0, next = 0, last = 0, ...more] = server.received.map(({ at }) => at)
    expect(more).toEqual([])
    expect(next - first).toBeGreaterThanOrEqual(second)
    expect(last - next).toBeGreaterThanOrEqual(second)
  })

  test('longer than the timeout fails at once with the seconds to wait, and no request follows meanwhile', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) =>
      count === 1 ? answer(response, 503, {}, { 'retry-after': '3600' }) : give(response, 'after-an-outage'),
    )
    const token = sourceAt(server.url)
    const first = await failureOf(token())
    expect(first).toMatchObject({ code: 'temporarily_unavailable', status: 503 })
    expect(first.retryAfterSeconds).toBeGreaterThan(3570)
    expect(first.retryAfterSeconds).toBeLessThanOrEqual(3600)
    expect(first.message).toContain(`${first.retryAfterSeconds} s`)
    clocks.monotonic = 3000 * second
    const later = await failureOf(token())
    expect(later.retryAfterSeconds).toBeLessThanOrEqual(600)
    expect(later.status).toBe(503)
    expect(server.received).toHaveLength(1)
    clocks.monotonic = 3601 * second
    expect(await token()).toBe('after-an-outage')
  })

  test('without a time to wait fails the call; the next call waits a second', async () => {
    const server = await scripted((response, count) => {
      if (count === 1) response.destroy()
      else if (count === 2) answer(response, 502, '<html>')
      else if (count === 3) answer(response, 429, {})
      else give(response, 'after-an-outage')
    })
    const token = sourceAt(server.url)
    expect(await failureOf(token())).toMatchObject({ code: 'temporarily_unavailable', status: undefined })
    expect(await failureOf(token())).toMatchObject({ code: 'temporarily_unavailable', status: 502 })
    expect(await failureOf(token())).toMatchObject({ code: 'temporarily_unavailable', status: 429 })
    expect(await token()).toBe('after-an-outage')
    const times = server.received.map(({ at }) => at)
    for (const [index, at] of times.slice(1).entries()) {
      expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(second)
    }
  })

  test('is an unreachable server', async () => {
    const failure = await failureOf(sourceAt(await nobodysAddress())())
    expect(failure).toMatchObject({ code: 'temporarily_unavailable', status: undefined })
    expect(failure.message).toContain('ECONNREFUSED')
    expect(failure.cause).toBeInstanceOf(Error)
  })

  test.each<[string, Script]>([
    ['never answers', () => undefined],
    ['never finishes its answer', (response) => void response.writeHead(200).write('{"access_token":"')],
  ])('is a server that %s at the timeout', async (_name, script) => {
    const closed: Promise<unknown>[] = []
    const server = await scripted((response, ...rest) => {
      closed.push(once(response, 'close'))
      script(response, ...rest)
    })
    const failure = await failureOf(sourceAt(server.url, { timeoutMs: 250 })())
    expect(failure).toMatchObject({ code: 'temporarily_unavailable', status: undefined })
    await Promise.all(closed)
    expect(closed).toHaveLength(1)
  })

  test('is a fetch that never returns and ignores its signal', async () => {
    const fetch = () => new Promise<never>(() => undefined)
    const failure = await failureOf(sourceAt('http://127.0.0.1', { fetch, timeoutMs: 100 })())
    expect(failure.code).toBe('temporarily_unavailable')
  })

  test('counts its waits towards the timeout', async () => {
    const server = await scripted((response, count) => {
      if (count === 1) answer(response, 503, {}, { 'retry-after': '1' })
      else setTimeout(() => give(response, 'too-late-by-far'), second)
    })
    const failure = await failureOf(sourceAt(server.url, { timeoutMs: 1500 })())
    expect(failure).toMatchObject({ code: 'temporarily_unavailable', status: undefined })
    expect(server.received).toHaveLength(2)
  })

  const good = { access_token: 'a-token-as-promised', token_type: 'bearer', expires_in: 60 }
  test.each<[string, unknown]>([
    ['nothing', ''],
    ['a page', '<html>'],
    ['half of it', JSON.stringify(good).slice(0, -5)],
    ['null', 'null'],
    ['a string', '"a-token-as-promised"'],
    ['a list', [good]],
    ['no token', { ...good, access_token: undefined }],
    ['an empty token', { ...good, access_token: '' }],
    ['a number for a token', { ...good, access_token: 12345678 }],
    ['a token no header can carry', { ...good, access_token: 'a-token\r\nx: y' }],
    ['a token with letters no header can carry', { ...good, access_token: 'ein-öffentliches' }],
    ['no type', { ...good, token_type: undefined }],
    ['another type', { ...good, token_type: 'mac' }],
    ['no lifetime', { ...good, expires_in: undefined }],
    ['a lifetime of nothing', { ...good, expires_in: 0 }],
    ['a lifetime below that', { ...good, expires_in: -1 }],
    ['a lifetime in a string', { ...good, expires_in: '60' }],
    ['a lifetime without end', JSON.stringify(good).replace('60', '1e999')],
    ['an endless answer', { ...good, more: 'x'.repeat(2 ** 20) }],
  ])('is %s for an answer', async (_name, body) => {
    const server = await scripted((response) => answer(response, 200, body))
    const failure = await failureOf(sourceAt(server.url)())
    expect(failure).toMatchObject({ code: 'temporarily_unavailable', status: 200 })
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('promised')
  })

  test('is a foreign page with 404, reported as such and not requested again for a minute', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) =>
      count === 1 ? answer(response, 404, '<html>') : give(response, 'after-an-outage'),
    )
    const token = sourceAt(server.url)
    for (let round = 0; round < 3; round += 1) {
      const failure = await failureOf(token())
      expect(failure).toMatchObject({ code: 'temporarily_unavailable', status: 404 })
      expect(failure.message).toContain('Check the url.')
    }
    expect(server.received).toHaveLength(1)
    clocks.monotonic = 61 * second
    expect(await token()).toBe('after-an-outage')
  })

  test('is a redirect, which gets no secrets', async () => {
    const other = await scripted((response) => give(response, 'from-somewhere-else'))
    const server = await scripted((response) => answer(response, 307, '', { location: `${other.url}/Token` }))
    expect(await failureOf(sourceAt(server.url)())).toMatchObject({ code: 'temporarily_unavailable' })
    expect(other.received).toEqual([])
  })
})

describe('a verdict', () => {
  test('is cached for a minute, without further requests', async () => {
    const clocks = movableClocks()
    const user = await addUser(database)
    const later = keepSecret(randomWord())
    const token = sourceFor({ ...user, password: later })
    const refused = await failureOf(token())
    expect(refused).toMatchObject({ code: 'invalid_grant', status: 400, retryAfterSeconds: undefined })
    expect(refused.message).toContain('The user name or password is incorrect.')
    const passwordHash = await (await createPasswords(cheapPasswords)).hash(later)
    await changeUser(database.writes, user.name, { passwordHash })
    clocks.monotonic = 55 * second
    expect(await failureOf(token())).toMatchObject({ code: 'invalid_grant', message: refused.message })
    expect(logged(user.id, 'refusal')).toBe(1)
    clocks.monotonic = 61 * second
    expect((await whoseAt(url, await token())).status).toBe(200)
  })

  test.each<[number, string]>([
    [401, 'invalid_client'],
    [400, 'unauthorized_client'],
    [403, 'urn:example:forbidden'],
    [405, 'invalid_request'],
  ])('%i %s carries its code and is not requested twice', async (status, code) => {
    const server = await scripted((response) => answer(response, status, { error: code }))
    const token = sourceAt(server.url)
    const failures = [await failureOf(token()), await failureOf(token())]
    for (const failure of failures) expect(failure).toMatchObject({ code, status })
    expect(server.received).toHaveLength(1)
  })

  test.each<[number, unknown]>([
    [408, { error: 'invalid_request' }],
    [429, { error: 'slow_down' }],
    [500, { error: 'server_error' }],
  ])('does not include %i %j', async (status, body) => {
    const server = await scripted((response) => answer(response, status, body))
    expect(await failureOf(sourceAt(server.url)())).toMatchObject({ code: 'temporarily_unavailable', status })
  })
})

describe('a value that a server refused', () => {
  test('is ignored by a source that has a newer one', async () => {
    const user = await addUser(database)
    const token = sourceFor(user)
    const value = await token()
    token.noteRefusal('some-other-value')
    expect(await token()).toBe(value)
    expect(logged(user.id, 'sign-in')).toBe(1)
  })

  test('before its expiry means another sign-in: the source is superseded until then and does not sign in', async () => {
    const clocks = movableClocks()
    const user = await addUser(database)
    const short = await addClient(database, { lifetimeSeconds: 1000 })
    const token = sourceFor(user, { client: short })
    token.noteRefusal(await token())
    for (const seconds of [0, 500, 990]) {
      clocks.monotonic = seconds * second
      const failure = await failureOf(token())
      expect(failure).toMatchObject({ code: 'superseded', status: undefined, retryAfterSeconds: undefined })
      expect(failure.message).toBe(
        'The token was ended before it expired, perhaps by another sign-in of the same user. ' +
          'Give each program a user of its own, or set takeOver.',
      )
    }
    expect(logged(user.id, 'sign-in')).toBe(1)
    clocks.monotonic = 1001 * second
    expect((await whoseAt(url, await token())).status).toBe(200)
    expect(logged(user.id, 'sign-in')).toBe(2)
  })

  test.each(['wall', 'monotonic'] as const)('after its expiry by the %s clock is replaced', async (clock) => {
    const clocks = movableClocks()
    const server = await scripted((response, count) => give(response, `long-lived-${count}`))
    const token = sourceAt(server.url)
    const value = await token()
    clocks[clock] = 1001 * second
    token.noteRefusal(value)
    clocks[clock] = 0
    expect(await token()).toBe('long-lived-2')
  })

  test('before its expiry is replaced under takeover, at most once a minute', async () => {
    const clocks = movableClocks()
    const user = await addUser(database)
    const token = sourceFor(user, { takeOver: true })
    const first = await token()
    token.noteRefusal(first)
    const next = await token()
    expect(next).not.toBe(first)
    token.noteRefusal(next)
    for (const seconds of [0, 30, 59]) {
      clocks.monotonic = seconds * second
      const failure = await failureOf(token())
      expect(failure).toMatchObject({ code: 'superseded', status: undefined })
      expect(failure.retryAfterSeconds).toBeGreaterThan(0)
      expect(failure.retryAfterSeconds).toBeLessThanOrEqual(60 - seconds)
    }
    expect(logged(user.id, 'sign-in')).toBe(2)
    clocks.monotonic = 61 * second
    token.noteRefusal(await token())
    expect(logged(user.id, 'sign-in')).toBe(3)
    expect(await failureOf(token())).toMatchObject({ code: 'superseded' })
    clocks.monotonic = 122 * second
    await token()
    expect(logged(user.id, 'sign-in')).toBe(4)
  })

  test('is replaced when the source’s own sign-in, whose answer was lost, could have ended it', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) =>
      count === 2 ? response.destroy() : give(response, `long-lived-${count}`),
    )
    const token = sourceAt(server.url)
    await token()
    clocks.monotonic = 945 * second
    const kept = await token()
    expect(kept).toBe('long-lived-1')
    token.noteRefusal(kept)
    expect(await token()).toBe('long-lived-3')
  })

  test('is superseded when the source’s own later sign-in certainly failed', async () => {
    const clocks = movableClocks()
    const server = await scripted((response, count) =>
      count === 2 ? answer(response, 503, {}, { 'retry-after': '1' }) : give(response, `long-lived-${count}`),
    )
    const token = sourceAt(server.url)
    await token()
    clocks.monotonic = 945 * second
    token.noteRefusal(await token())
    expect(await failureOf(token())).toMatchObject({ code: 'superseded' })
  })

  test('during a renewal whose answer is lost is replaced by the next', async () => {
    const clocks = movableClocks()
    let refuse = () => {}
    const server = await scripted((response, count) => {
      if (count === 2) refuse()
      if (count === 2) response.destroy()
      else give(response, `long-lived-${count}`)
    })
    const token = sourceAt(server.url)
    const value = await token()
    refuse = () => token.noteRefusal(value)
    clocks.monotonic = 945 * second
    expect(await failureOf(token())).toMatchObject({ code: 'temporarily_unavailable' })
    expect(await token()).toBe('long-lived-3')
  })

  test('during the renewal is replaced by it', async () => {
    const clocks = movableClocks()
    let refuse = () => {}
    const server = await scripted((response, count) => {
      if (count === 2) refuse()
      give(response, `long-lived-${count}`)
    })
    const token = sourceAt(server.url)
    const value = await token()
    refuse = () => token.noteRefusal(value)
    clocks.monotonic = 945 * second
    expect(await token()).toBe('long-lived-2')
    expect(await token()).toBe('long-lived-2')
  })
})

describe('two sources for one user', () => {
  const rounds = 8

  test('do not fight: each signs in once, and the first stops', async () => {
    const user = await addUser(database)
    const fetches = [sourceFor(user), sourceFor(user)].map((token) => authorizedFetch(token))
    const statuses: number[][] = []
    for (let round = 0; round < rounds; round += 1) {
      statuses.push(await Promise.all(fetches.map((fetch) => statusOf(fetch(`${url}/userinfo`)))))
    }
    expect(logged(user.id, 'sign-in')).toBe(2)
    // in the first rounds one of them learns that it was ended
    expect(statuses.slice(2).map((pair) => pair.toSorted())).toEqual(Array(rounds - 2).fill([-1, 200]))
  })

  test('do not fight over a token that ends often: each signs in once a lifetime at most', async () => {
    const clocks = movableClocks()
    const user = await addUser(database)
    const short = await addClient(database, { lifetimeSeconds: 1000 })
    const fetches = [1, 2].map(() => authorizedFetch(sourceFor(user, { client: short })))
    for (let tenth = 0; tenth <= 30; tenth += 1) {
      clocks.monotonic = tenth * 100 * second
      for (const fetch of fetches) await statusOf(fetch(`${url}/userinfo`))
    }
    expect(logged(user.id, 'sign-in')).toBeGreaterThan(4)
    expect(logged(user.id, 'sign-in')).toBeLessThanOrEqual(2 * 4)
  })

  test('that both use takeover do so once a minute each', async () => {
    const clocks = movableClocks()
    const user = await addUser(database)
    const fetches = [1, 2].map(() => authorizedFetch(sourceFor(user, { takeOver: true })))
    for (let round = 0; round < rounds; round += 1) {
      for (const fetch of fetches) await statusOf(fetch(`${url}/userinfo`))
    }
    expect(logged(user.id, 'sign-in')).toBeLessThanOrEqual(4)
    clocks.monotonic = 61 * second
    for (let round = 0; round < rounds; round += 1) {
      for (const fetch of fetches) await statusOf(fetch(`${url}/userinfo`))
    }
    expect(logged(user.id, 'sign-in')).toBeLessThanOrEqual(6)
  })

  /** The status, read to its end; -1 for no token. */
  async function statusOf(work: Promise<Response>): Promise<number> {
    const response = await work.catch((error: unknown) => error)
    if (!(response instanceof Response)) return response instanceof TokenSourceError ? -1 : Number.NaN
    await response.text()
    return response.status
  }
})

describe('a fetch with the token', () => {
  type Body = NonNullable<RequestInit['body']>

  /** An API that refuses the first token; its requests besides. */
  async function refusing(script: Script = (response) => answer(response, 200, {})) {
    const tokens = await scripted((response, count) => give(response, `value-of-fetch-${count}`))
    const api = await scripted((response, count, received) =>
      received.headers.authorization === 'Bearer value-of-fetch-1'
        ? answer(response, 401, { error: 'invalid_token' }, invalidToken)
        : script(response, count, received),
    )
    const token = sourceAt(tokens.url, { takeOver: true })
    return { tokens, api, token, fetch: authorizedFetch(token) }
  }

  test('sends it, and signs in and repeats when it has ended in between', async () => {
    const clocks = movableClocks()
    const tokens = await scripted((response, count) => give(response, `value-of-fetch-${count}`))
    const api = await scripted((response, count) => {
      clocks.wall = 1001 * second
      if (count === 1) answer(response, 401, {}, invalidToken)
      else answer(response, 200, { orders: [] })
    })
    const response = await authorizedFetch(sourceAt(tokens.url))(`${api.url}/orders`)
    expect(await response.json()).toEqual({ orders: [] })
    expect(api.received.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer value-of-fetch-1',
      'Bearer value-of-fetch-2',
    ])
  })

  test('replaces a revoked token of the real server under takeover', async () => {
    const user = await addUser(database)
    const fetch = authorizedFetch(sourceFor(user, { takeOver: true }))
    expect((await fetch(`${url}/userinfo`)).status).toBe(200)
    await revokeTokensOfUser(database.writes, user.id)
    const response = await fetch(`${url}/userinfo`)
    expect(await response.json()).toMatchObject({ userName: user.name })
    expect(logged(user.id, 'sign-in')).toBe(2)
  })

  test('returns the 401 unchanged when another program has signed in', async () => {
    const user = await addUser(database)
    const token = sourceFor(user)
    const fetch = authorizedFetch(token)
    await token()
    await signInAt(url, { client, user })
    const response = await fetch(`${url}/userinfo`)
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({
      error: 'invalid_token',
      error_description: 'The token was replaced by a newer sign-in of the same user.',
    })
    expect(await failureOf(fetch(`${url}/userinfo`))).toMatchObject({ code: 'superseded' })
    expect(logged(user.id, 'sign-in')).toBe(2)
  })

  test.each<[string, Script]>([
    ['an outage', (response) => answer(response, 500, {})],
    ['a verdict', (response) => answer(response, 400, { error: 'invalid_grant' })],
    ['the same value again', (response) => give(response, 'value-of-fetch-1')],
  ])('returns the 401 unchanged when the source answers with %s', async (_name, script) => {
    const tokens = await scripted((response, count, received) =>
      count === 1 ? give(response, 'value-of-fetch-1') : script(response, count, received),
    )
    const api = await scripted((response) => answer(response, 401, { sorry: true }, invalidToken))
    const response = await authorizedFetch(sourceAt(tokens.url, { takeOver: true }))(api.url)
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({ sorry: true })
    expect(api.received).toHaveLength(1)
  })

  test('repeats only once and reports the second refusal to the source too', async () => {
    const tokens = await scripted((response, count) => give(response, `value-of-fetch-${count}`))
    const api = await scripted((response, count) => answer(response, 401, { count }, invalidToken))
    const token = sourceAt(tokens.url, { takeOver: true })
    const response = await authorizedFetch(token)(api.url)
    expect(await response.json()).toEqual({ count: 2 })
    expect(await failureOf(token())).toMatchObject({ code: 'superseded' })
  })

  test('repeats nothing after an answer that is not about the token', async () => {
    const tokens = await scripted((response) => give(response, 'value-of-fetch'))
    const api = await scripted((response, count) =>
      answer(response, count === 1 ? 401 : 403, {}, count === 1 ? { 'www-authenticate': 'Basic realm="a"' } : {}),
    )
    const fetch = authorizedFetch(sourceAt(tokens.url, { takeOver: true }))
    expect([(await fetch(api.url)).status, (await fetch(api.url)).status]).toEqual([401, 403])
    expect(api.received).toHaveLength(2)
    expect(tokens.received).toHaveLength(1)
  })

  test('signs in once for 50 requests that were refused at the same time', async () => {
    const { tokens, fetch, api } = await refusing()
    const responses = await Promise.all(Array.from({ length: 50 }, () => fetch(api.url)))
    expect(responses.map(({ status }) => status)).toEqual(Array(50).fill(200))
    expect(tokens.received).toHaveLength(2)
  })

  const form = () => {
    const data = new FormData()
    data.append('name', 'ä')
    data.append('file', new Blob(['content of it']), 'a.txt')
    return data
  }
  test.each<[string, () => Body, RegExp, RegExp]>([
    ['a string', () => 'ä=1', /^ä=1$/, /^text\/plain/],
    ['URLSearchParams', () => new URLSearchParams({ a: 'ä' }), /^a=%C3%A4$/, /^application\/x-www-form-urlencoded/],
    [
      'FormData',
      form,
      /name="name"\r\n\r\nä\r\n.*filename="a.txt".*content of it/s,
      /^multipart\/form-data; boundary=/,
    ],
    ['a Blob', () => new Blob(['blob'], { type: 'image/png' }), /^blob$/, /^image\/png$/],
    ['an ArrayBuffer', () => new TextEncoder().encode('bytes').slice().buffer, /^bytes$/, /^$/],
    ['a Uint8Array', () => new TextEncoder().encode('xbytes').subarray(1), /^bytes$/, /^$/],
    ['a DataView', () => new DataView(new TextEncoder().encode('xbytes').buffer, 1), /^bytes$/, /^$/],
    ['a Buffer', () => Buffer.from('bytes'), /^bytes$/, /^$/],
  ])('sends %s both times', async (_name, body, expected, type) => {
    const { api, fetch } = await refusing()
    expect((await fetch(api.url, { method: 'PUT', body: body() })).status).toBe(200)
    expect(api.received).toHaveLength(2)
    for (const { method, body, headers } of api.received) {
      expect([method, body, headers['content-type'] ?? '']).toEqual([
        'PUT',
        expect.stringMatching(expected),
        expect.stringMatching(type),
      ])
    }
  })

  test('sends a Request both times, with its method, headers and body, and uses it up as fetch does', async () => {
    const { api, fetch } = await refusing()
    const request = new Request(`${api.url}/a`, { method: 'POST', headers: { 'x-own': '1' }, body: form() })
    expect((await fetch(request)).status).toBe(200)
    expect(request.bodyUsed).toBe(true)
    await fetch(new Request(`${api.url}/b`, { headers: { 'x-own': '1' } }))
    await fetch(new Request(`${api.url}/c`, { method: 'POST', body: 'not this' }), { body: 'but this' })
    const [first, next, ...others] = api.received
    expect(first?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(first?.body).toContain('content of it')
    expect(next?.body).toBe(first?.body)
    expect(next?.headers['x-own']).toBe('1')
    expect(others.map(({ method, path, body, headers }) => [method, path, body, headers['x-own']])).toEqual([
      ['GET', '/b', '', '1'],
      ['POST', '/c', 'but this', undefined],
    ])
    await expect(fetch(request)).rejects.toThrow(TypeError)
    expect((await fetch(request, { body: 'its body was read, so another' })).status).toBe(200)
  })

  test('sends a Request that is refused without a body both times', async () => {
    const { api, fetch } = await refusing()
    expect((await fetch(new Request(api.url, { headers: { 'x-own': '1' } }))).status).toBe(200)
    expect(api.received.map(({ headers }) => headers['x-own'])).toEqual(['1', '1'])
  })

  test.each<[string, () => Body]>([
    ['ReadableStream', () => new Blob(['stream']).stream()],
    [
      'iterable',
      () =>
        (async function* () {
          yield Buffer.from('stream')
        })(),
    ],
  ])('sends a %s once: the 401 is returned, and the next request has the new token', async (_name, body) => {
    const { api, fetch, tokens } = await refusing()
    const init = { method: 'POST', body: body(), duplex: 'half' } as const
    const response = await fetch(api.url, init)
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({ error: 'invalid_token' })
    expect(api.received.map(({ body }) => body)).toEqual(['stream'])
    expect((await fetch(api.url)).status).toBe(200)
    expect(tokens.received).toHaveLength(2)
  })

  test('sends the arguments as they were at the call, despite later changes', async () => {
    const { api, fetch } = await refusing()
    const headers = new Headers({ 'x-own': 'before' })
    const bodies = {
      bytes: Buffer.from('before'),
      fields: new URLSearchParams({ a: 'before' }),
      data: form(),
    }
    const inits = Object.values(bodies).map((body) => ({ method: 'POST', headers, body }))
    const answers = inits.map((init) => fetch(api.url, init))
    headers.set('x-own', 'after')
    bodies.bytes.fill('x')
    bodies.fields.set('a', 'after')
    bodies.data.set('name', 'after')
    for (const init of inits) init.method = 'PUT'
    for (const response of await Promise.all(answers)) expect(response.status).toBe(200)
    expect(api.received).toHaveLength(6)
    for (const { method, headers, body } of api.received) {
      expect([method, headers['x-own']]).toEqual(['POST', 'before'])
      expect(body).not.toMatch(/after|xxx/)
    }
  })

  test.each<[string, RequestInit['headers']]>([
    ['Headers', new Headers({ 'x-own': '1', accept: 'text/csv' })],
    [
      'a list',
      [
        ['x-own', '1'],
        ['Accept', 'text/csv'],
      ],
    ],
    ['an object', { 'X-Own': '1', Accept: 'text/csv', authorization: 'Basic YTpi' }],
  ])('keeps the headers of the caller in %s', async (_name, headers) => {
    const { api, fetch } = await refusing()
    await fetch(api.url, { headers: headers ?? {} })
    for (const [index, { headers }] of api.received.entries()) {
      expect([headers['x-own'], headers.accept, headers.authorization]).toEqual([
        '1',
        'text/csv',
        `Bearer value-of-fetch-${index + 1}`,
      ])
    }
    expect(api.received).toHaveLength(2)
  })

  test('accepts a text or a URL, and uses the given fetch', async () => {
    const { api, token } = await refusing()
    let calls = 0
    const counting: typeof fetch = (...args) => {
      calls += 1
      return fetch(...args)
    }
    const fetchOrders = authorizedFetch(token, { fetch: counting })
    await fetchOrders(new URL('/orders?a=1', api.url))
    expect(api.received.map(({ path }) => path)).toEqual(['/orders?a=1', '/orders?a=1'])
    expect(calls).toBe(2)
  })

  test('frees the connection of an unread answer', async () => {
    const tokens = await scripted((response, count) => give(response, `value-of-fetch-${count}`))
    let closed: Promise<unknown> = Promise.resolve()
    const api = await scripted((response, count) => {
      if (count > 1) return void closed.then(() => answer(response, 200, {}))
      closed = once(response, 'close')
      response.writeHead(401, invalidToken).write('this goes on for ever')
    })
    const kept: Response[] = [] // else the garbage collector would close it
    const keeping: typeof fetch = async (...args) => {
      const response = await fetch(...args)
      kept.push(response)
      return response
    }
    const token = sourceAt(tokens.url, { takeOver: true })
    expect((await authorizedFetch(token, { fetch: keeping })(api.url)).status).toBe(200)
    expect(kept).toHaveLength(2)
  })

  test('aborts with its signal during the wait for a token, and the sign-in continues for others', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    const held: ServerResponse[] = []
    const tokens = await scripted((response) => void held.push(response))
    const api = await scripted((response) => answer(response, 200, {}))
    const token = sourceAt(tokens.url)
    const fetch = authorizedFetch(token)
    const aborted = [
      fetch(api.url, { signal: controller.signal }),
      fetch(new Request(api.url, { signal: controller.signal })),
    ]
    const going = fetch(api.url)
    await eventually(async () => held.length, Boolean)
    controller.abort(reason)
    for (const work of aborted) await expect(work).rejects.toBe(reason)
    await expect(fetch(api.url, { signal: controller.signal })).rejects.toBe(reason)
    for (const response of held) give(response, 'value-of-fetch')
    expect((await going).status).toBe(200)
    expect(tokens.received).toHaveLength(1)
    expect(api.received).toHaveLength(1)
  })

  test('aborts with its signal during the wait for another token', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    const tokens = await scripted((response, count) => {
      if (count === 1) give(response, 'value-of-fetch-1')
      else controller.abort(reason)
    })
    const api = await scripted((response) => answer(response, 401, {}, invalidToken))
    const fetch = authorizedFetch(sourceAt(tokens.url, { takeOver: true, timeoutMs: 2000 }))
    await expect(fetch(api.url, { signal: controller.signal })).rejects.toBe(reason)
  })

  test('fails as fetch does, or with the source’s error without a token', async () => {
    const tokens = await scripted((response) => give(response, 'value-of-fetch'))
    const fetch = authorizedFetch(sourceAt(tokens.url))
    const nobody = await nobodysAddress()
    await expect(fetch(nobody)).rejects.toThrow(TypeError)
    await expect(fetch(tokens.url, { headers: { 'not a name': '1' } })).rejects.toThrow(TypeError)
    const none = await failureOf(authorizedFetch(sourceAt(nobody))(tokens.url))
    expect(none.code).toBe('temporarily_unavailable')
  })
})

describe('no secret', () => {
  const secrets = { password, secret }
  const echo = Object.values(secrets).flatMap((text) => [text, encodeURIComponent(text)])

  const scripts: [string, Script][] = [
    ['a token', (response) => give(response, 'a-token-to-be-hidden')],
    ['a token in no form', (response) => answer(response, 200, '{"access_token":"a-token-to-be-hidden", oh')],
    ['a bare token', (response) => answer(response, 200, 'a-token-to-be-hidden')],
    [
      'no lifetime',
      (response) => answer(response, 200, { access_token: 'a-token-to-be-hidden', token_type: 'bearer' }),
    ],
    [
      'an echo of all it got',
      (response, _count, { headers, body }) =>
        answer(response, 400, {
          error: `invalid_grant ${echo.join(' ')}`,
          error_description: `${echo.join(' ')} ${body} ${headers.authorization} ${headers.authorization?.slice(6)}`,
        }),
    ],
    [
      'an echo on a page',
      (response, _count, { headers, body }) => answer(response, 403, `${body} ${headers.authorization}`),
    ],
    [
      'an echo with 500',
      (response, _count, { headers, body }) => answer(response, 500, `${body} ${headers.authorization}`),
    ],
    ['nothing', (response) => void response.destroy()],
  ]

  test.each(scripts)('is in the source, its errors or the console when the server sends %s', async (_name, script) => {
    keepSecret('a-token-to-be-hidden')
    const clocks = movableClocks()
    const lines = watchConsole()
    const server = await scripted(script)
    const token = tokenSource({
      url: server.url,
      clientId: 'a-client',
      clientSecret: secret,
      username: 'ada',
      password,
    })
    const fetch = authorizedFetch(token)
    const call = () => {
      clocks.monotonic += 2 * second // no pause is waited out
      return token().catch((error: unknown) => error)
    }
    const results = [await call(), await call()]
    const failures = results.filter((result) => typeof result !== 'string')
    expectNothingLeaked([...show(token), ...show(fetch), ...failures.flatMap(show), ...lines])
    token.noteRefusal(String(results[0]))
    expectNothingLeaked([...show(token), ...show(await call())])
  })

  test('is in an error whose cause, from a custom fetch, held the whole request', async () => {
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const cause = Object.assign(new Error(`failed: ${init?.body} ${JSON.stringify(init?.headers)}`), { input, init })
      throw new TypeError('fetch failed', { cause })
    }
    const failure = await failureOf(sourceAt('http://127.0.0.1', { fetch })())
    expect(failure.cause).toBeInstanceOf(Error)
    expect(failure.message).toContain('failed: grant_type=password')
    expectNothingLeaked(show(failure))
  })

  test('escapes this search: it finds an error with a secret in it', () => {
    expect(leakedLines(show(new Error('a', { cause: new Error(password) })))).not.toEqual([])
  })

  function show(thing: unknown): string[] {
    const ways = [
      inspect(thing, { depth: 20, showHidden: true, getters: true }),
      JSON.stringify(thing) ?? '',
      String(thing),
      thing instanceof Error ? `${thing.stack}` : '',
    ]
    return ways.flatMap((text) => text.split('\n'))
  }

  function expectNothingLeaked(lines: string[]): void {
    expect(leakedLines(lines)).toEqual([])
  }

  /** Everything written to standard output and standard error from now on. */
  function watchConsole(): string[] {
    const lines: string[] = []
    const spies = [
      ...(['log', 'info', 'warn', 'error', 'debug', 'trace'] as const).map((name) => vi.spyOn(console, name)),
      vi.spyOn(process.stdout, 'write'),
      vi.spyOn(process.stderr, 'write'),
      vi.spyOn(process, 'emitWarning'),
    ]
    for (const spy of spies) spy.mockImplementation(((...args: unknown[]) => void lines.push(inspect(args))) as never)
    onTestFinished(() => {
      for (const spy of spies) spy.mockRestore()
    })
    return lines
  }
})
