// Any PostgreSQL: a guard asks a token server over HTTP
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bearer, type FindBearerToken, type IntrospectionOptions, introspectAt } from '../../src/bearer/index.ts'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { keepSecret, leakedLines, logLines, readLog } from '../support/kept-secrets.ts'
import { later } from '../support/later.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken, basic, bearer as bearing } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { stallEventLoop } from '../support/stall-event-loop.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const origin = await listen(app)
const client = await addClient(database)
const backend = await addClient(database)
basic(backend.id, backend.secret) // notes how it stands in the header

async function signIn(asking: { id: string; secret: string } = client) {
  const user = await addUser(database)
  const value: string = (await askForToken(app, { client: asking, user })).json().access_token
  return { user, value }
}

/** A finder at the real server. */
function finder(options: Partial<IntrospectionOptions> = {}): FindBearerToken {
  return introspectAt({ url: origin, clientId: backend.id, clientSecret: backend.secret, ...options })
}

/** One question as it arrived. */
interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly token: string
}

type Script = (response: ServerResponse, count: number, asked: Asked) => void

/** A server that answers as the script says; `count` begins with 1. Its sockets are counted. */
async function scripted(script: Script, port = 0) {
  const asked: Asked[] = []
  let sockets = 0
  const server: Server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request
    request.on('error', () => undefined)
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const entry = { method, path, headers, body, token: new URLSearchParams(body).get('token') ?? '' }
    script(response, asked.push(entry), entry)
  })
  server.on('connection', () => {
    sockets += 1
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const close = async () => {
    server.closeAllConnections()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(close)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, asked, sockets: () => sockets, close }
}

/** A finder at a scripted server. */
async function findAt(script: Script, options: Partial<IntrospectionOptions> = {}) {
  const server = await scripted(script)
  const find = introspectAt({ url: server.url, clientId: 'a-backend', clientSecret: 'a-backend-secret', ...options })
  return { ...server, find }
}

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

/** What RFC 7662 §2.2 and this server say of a live token. */
function liveToken(more: object = {}) {
  return {
    ...{ active: true, client_id: 'a-client', username: 'ada', sub: 'id-of-ada', role: 'Editor' },
    ...{ token_type: 'bearer', iat: inSeconds(-10), exp: inSeconds(3600) },
    ...more,
  }
}

function sayJson(response: ServerResponse, said: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(said))
}

const sayLive: Script = (response) => sayJson(response, liveToken())
const sayDead: Script = (response) => sayJson(response, { active: false })

const inactive = { ended: 'inactive' }
const outage = { name: 'OAuthError', code: 'temporarily_unavailable', status: 503, retryAfterSeconds: 1 }

/** What rejected; fails when nothing did. */
async function refusalOf(finding: Promise<unknown>): Promise<Error & { reason?: string }> {
  return finding.then(
    (found) => {
      throw new Error(`no outage: ${JSON.stringify(found)}`)
    },
    (error: Error & { reason?: string }) => error,
  )
}

describe('an introspection request', () => {
  test('is a form to POST /introspect with Basic credentials and without a token in its URL', async () => {
    const { find, asked } = await findAt(sayLive, { clientId: 'a-backend', clientSecret: 'a secret: 100% é+' })
    await find('a+b/c~d==')
    const [{ headers, ...rest }] = asked as [Asked]
    expect(rest).toEqual({
      method: 'POST',
      path: '/introspect',
      body: 'token=a%2Bb%2Fc%7Ed%3D%3D&token_type_hint=access_token',
      token: 'a+b/c~d==',
    })
    expect(headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
    expect(headers.accept).toBe('application/json')
    // RFC 6749 §2.3.1: form-encoded halves
    const decoded = Buffer.from((headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString()
    expect(decoded).toBe('a-backend:a+secret%3A+100%25+%C3%A9%2B')
  })

  test.each([
    ['', '/introspect'],
    ['/', '/introspect'],
    ['///', '/introspect'],
    ['/\n', '/introspect'],
    [' \t\r\n', '/introspect'],
    ['/auth/\n', '/auth/introspect'],
    ['/auth', '/auth/introspect'],
    ['/auth/v2/', '/auth/v2/introspect'],
  ])('goes below a base address that ends with %j', async (path, whole) => {
    const { url, asked } = await scripted(sayLive)
    await introspectAt({ url: `${url}${path}`, clientId: 'a', clientSecret: 'b' })('abc')
    await introspectAt({ url: new URL(`${url}${path}`), clientId: 'a', clientSecret: 'b' })('abc')
    expect(asked.map((one) => one.path)).toEqual([whole, whole])
  })

  test.each([
    'generated',
    `it's 100% "odd": a+b/c=é😀 ${randomWord()}`,
    `%41+%2B ${randomWord()}`,
    `::${randomWord()}`,
  ])('authenticates a client whose secret is %j', async (secret) => {
    const odd = await addClient(database, {
      id: `Odd._-${randomWord()}`,
      secret: secret === 'generated' ? secret : { chosen: secret },
    })
    const { value, user } = await signIn()
    const find = finder({ clientId: odd.id, clientSecret: odd.secret })
    expect(await find(value)).toMatchObject({ token: { userId: user.id, clientId: client.id, role: 'Editor' } })
    expect(await find('abc')).toEqual(inactive)
  })
})

describe('a cached result', () => {
  test('saves further requests, by default too', async () => {
    for (const options of [{}, { cacheSeconds: 60 }]) {
      const { find, asked } = await findAt(sayLive, options)
      const found = await find('abc')
      for (let time = 0; time < 100; time += 1) expect(await find('abc')).toEqual(found)
      expect(asked).toHaveLength(1)
    }
  })

  test('is refused at the latest `cacheSeconds` after its end', async () => {
    const { user, value } = await signIn()
    const find = finder({ cacheSeconds: 1 })
    expect(await find(value)).toHaveProperty('token.userId', user.id)
    await revokeTokensOfUser(database.writes, user.id)
    expect(await later(1_000, () => find(value))).toEqual(inactive)
  })

  test('is refused 5 seconds after its end by default', async () => {
    const { user, value } = await signIn()
    const find = finder()
    expect(await find(value)).toHaveProperty('token.userId', user.id)
    await revokeTokensOfUser(database.writes, user.id)
    expect(await later(5_000, () => find(value))).toEqual(inactive)
  })

  test('ages from the request, not from a slow answer', async () => {
    const slow: Script = (response) => void setTimeout(() => sayJson(response, liveToken()), 700)
    const { find, asked } = await findAt(slow, { cacheSeconds: 1 })
    await find('abc')
    await sleep(400)
    await find('abc')
    expect(asked).toHaveLength(2)
  })

  test('is refreshed on time by the first request after a stall of the event loop', async () => {
    const { find, asked } = await findAt(sayLive, { cacheSeconds: 0.5 })
    await find('abc')
    await find('abc') // from memory, where no timer has fired since
    stallEventLoop(550)
    await find('abc')
    expect(asked.length).toBeGreaterThan(1)
  })

  test('is never cached with 0 seconds', async () => {
    const { find, asked } = await findAt(sayLive, { cacheSeconds: 0 })
    for (let time = 1; time <= 5; time += 1) {
      await find('abc')
      expect(asked).toHaveLength(time)
    }
  })

  test.each([
    [0, 0],
    [1, 1_000],
  ])('is never older than %i s, though an answer is still on its way', async (cacheSeconds, pauseMs) => {
    const held: ServerResponse[] = []
    const { find } = await findAt(
      (response, count) => {
        // decided while the token lived, delivered much later
        if (count === 1) held.push(response)
        else sayJson(response, { active: false })
      },
      { cacheSeconds, timeoutMs: 20_000 },
    )
    const early = find('abc')
    while (held.length === 0) await sleep(5)
    await sleep(pauseMs)
    const late = find('abc') // the token has ended meanwhile
    await Promise.race([late, sleep(1_000)])
    if (held[0]) sayJson(held[0], liveToken())
    expect(await early).toHaveProperty('token')
    expect(await late).toEqual(inactive)
  })

  test('of a dead token is refreshed after a second at most, regardless of the time for live ones', async () => {
    const { find, asked } = await findAt(
      (response, count) => sayJson(response, count === 1 ? { active: false } : liveToken()),
      {
        cacheSeconds: 60,
      },
    )
    expect(await find('abc')).toEqual(inactive)
    expect(await later(1_000, () => find('abc'))).toHaveProperty('token')
    expect(asked).toHaveLength(2)
  })

  test('of a dead token saves the requests of a storm', async () => {
    const { find, asked } = await findAt(sayDead)
    for (let time = 0; time < 100; time += 1) expect(await find('abc')).toEqual(inactive)
    expect(asked.length).toBeLessThan(100)
  })

  test('of a dead token is never kept with 0 seconds', async () => {
    const { find, asked } = await findAt(sayDead, { cacheSeconds: 0 })
    for (let time = 0; time < 3; time += 1) await find('abc')
    expect(asked).toHaveLength(3)
  })

  test('counts towards `cacheSize`, and the least recently used is evicted first', async () => {
    const { find, asked } = await findAt(sayLive, { cacheSeconds: 60, cacheSize: 2 })
    for (const value of ['a', 'b', 'c', 'b', 'c', 'b', 'd', 'b', 'c', 'a']) await find(value)
    expect(asked.map(({ token }) => token)).toEqual(['a', 'b', 'c', 'd', 'c', 'a'])
  })

  test('is not evicted by values that are not live tokens', async () => {
    const { find, asked } = await findAt(
      (response, _count, { token }) => sayJson(response, token === 'live' ? liveToken() : { active: false }),
      { cacheSeconds: 60, cacheSize: 50 },
    )
    await find('live')
    await Promise.all(Array.from({ length: 200 }, (_, index) => find(`made up ${index}`)))
    expect(await find('live')).toHaveProperty('token')
    expect(asked.filter(({ token }) => token === 'live')).toHaveLength(1)
  })

  test('is limited in number for dead tokens too', async () => {
    const { find, asked } = await findAt(sayDead, { cacheSeconds: 60, cacheSize: 2 })
    for (const value of ['a', 'b', 'c', 'a']) await find(value)
    expect(asked.map(({ token }) => token)).toEqual(['a', 'b', 'c', 'a'])
  })

  test('is not found by another value', async () => {
    const { find } = await findAt((response, _count, { token }) => sayJson(response, liveToken({ username: token })))
    for (const value of ['a', 'A', 'a=', 'a', 'A']) expect(await find(value)).toHaveProperty('token.userName', value)
  })

  test('cannot be changed through a returned value', async () => {
    const { find } = await findAt(sayLive)
    const found = await find('abc')
    if (!('token' in found)) throw new Error('no token')
    expect(() => Object.assign(found.token, { role: 'Administrator' })).toThrow(TypeError)
    expect(() => Object.assign(found, { token: {} })).toThrow(TypeError)
    expect(await find('abc')).toHaveProperty('token.role', 'Editor')
  })

  test('belongs to one finder alone', async () => {
    const server = await scripted(sayLive)
    const options = { url: server.url, clientId: 'a', clientSecret: 'b' }
    const [one, other] = [introspectAt(options), introspectAt(options)]
    await one('abc')
    await other('abc')
    expect(server.asked).toHaveLength(2)
  })
})

describe('concurrent callers', () => {
  test('share one request for one value', async () => {
    const { find, asked } = await findAt((response) => void setTimeout(() => sayJson(response, liveToken()), 50))
    const found = await Promise.all(Array.from({ length: 200 }, () => find('abc')))
    expect(new Set(found.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(found[0]).toHaveProperty('token.userName', 'ada')
    expect(asked).toHaveLength(1)
  })

  test('share an outage, and the next caller asks again', async () => {
    const { find, asked } = await findAt((response, count) => {
      if (count > 1) return sayJson(response, liveToken())
      setTimeout(() => response.writeHead(500).end(), 50)
    })
    const failed = await Promise.all(Array.from({ length: 200 }, () => refusalOf(find('abc'))))
    for (const error of failed) expect(error).toMatchObject(outage)
    expect(asked).toHaveLength(1)
    expect(await find('abc')).toHaveProperty('token')
    expect(asked).toHaveLength(2)
  })

  test('get the result of their own value each', async () => {
    const { find, asked } = await findAt((response, _count, { token }) => {
      setTimeout(() => sayJson(response, liveToken({ username: token })), Math.random() * 50)
    })
    const values = Array.from({ length: 100 }, (_, index) => `value-${index}`)
    const found = await Promise.all([...values, ...values].map((value) => find(value)))
    expect(found.map((one) => 'token' in one && one.token.userName)).toEqual([...values, ...values])
    expect(asked).toHaveLength(100)
  })
})

describe('connections', () => {
  // a second one may be opened in the moment in which the first is given back
  const maxConnections = 3

  test('are reused', async () => {
    const { find, asked, sockets } = await findAt(sayLive, { cacheSeconds: 0 })
    for (let time = 0; time < 30; time += 1) await find('abc')
    expect(asked).toHaveLength(30)
    expect(sockets()).toBeLessThanOrEqual(maxConnections)
  })

  test('are reused after invalid answers', async () => {
    const { find, sockets } = await findAt((response, count) => {
      if (count % 3 === 0) return sayJson(response, liveToken())
      response.writeHead(count % 3 === 1 ? 500 : 401, { 'content-type': 'text/html' }).end('x'.repeat(10_000))
    })
    for (let time = 0; time < 9; time += 1) await find(`value-${time}`).catch(() => undefined)
    expect(sockets()).toBeLessThanOrEqual(maxConnections)
  })

  test('closed by the server are replaced', async () => {
    const { find, sockets } = await findAt((response) => sayJson(response, liveToken(), { connection: 'close' }))
    for (let time = 0; time < 5; time += 1) expect(await find(`value-${time}`)).toHaveProperty('token')
    expect(sockets()).toBe(5)
  })
})

describe('the remaining lifetime of a token', () => {
  const dated = (clockSeconds: number, lifeSeconds: number): Script => {
    return (response) => {
      const now = Math.floor(Date.now() / 1000) + clockSeconds
      sayJson(response, liveToken({ iat: now - 10, exp: now + lifeSeconds }), {
        date: new Date(now * 1000).toUTCString(),
      })
    }
  }

  test.each([
    ['', 0],
    [', though this clock is an hour slow', 3600],
    [', though this clock is an hour fast', -3600],
  ])('limits its time in the cache%s', async (_how, clockSeconds) => {
    const { find, asked } = await findAt(dated(clockSeconds, 1), { cacheSeconds: 60 })
    expect(await find('abc')).toHaveProperty('token')
    await sleep(1_000)
    expect(await find('abc')).toHaveProperty('token')
    expect(asked).toHaveLength(2)
  })

  test.each([
    ['slow', 3600],
    ['fast', -3600],
  ])('comes from the server, so a local clock that is an hour %s kills no live token', async (_how, clockSeconds) => {
    const { find, asked } = await findAt(dated(clockSeconds, 60), { cacheSeconds: 60 })
    for (let time = 0; time < 5; time += 1) expect(await find('abc')).toHaveProperty('token')
    expect(asked).toHaveLength(1)
  })

  test.each([undefined, 'yesterday'])('follows the local clock where the answer has the date %j', async (date) => {
    const { find, asked } = await findAt(
      (response) => {
        response.sendDate = false
        sayJson(response, liveToken({ exp: inSeconds(-1) }), date === undefined ? {} : { date })
      },
      { cacheSeconds: 60 },
    )
    await find('abc')
    await find('abc')
    expect(asked).toHaveLength(2) // nothing left, so nothing is remembered
  })

  test('ends at the real server too, despite the cache', async () => {
    const short = await addClient(database, { lifetimeSeconds: 4 })
    const { value } = await signIn(short)
    const find = finder({ cacheSeconds: 3600 })
    expect(await find(value)).toHaveProperty('token')
    const back = `set issued_at = issued_at - interval '4 s', expires_at = expires_at - interval '4 s'`
    await database.script(`update password_grant.tokens ${back} where client_id = $1`, [short.id])
    expect(await later(4_000, () => find(value))).toEqual(inactive)
  })
})

describe('an invalid answer is an outage, never a verdict:', () => {
  const raw = (status: number, body: string, headers: Record<string, string> = {}): Script => {
    return (response) => void response.writeHead(status, headers).end(body)
  }
  const live = (more: object): Script => {
    return (response) => sayJson(response, liveToken(more))
  }
  const without = (name: string): Script => live({ [name]: undefined })

  test.each<[string, Script]>([
    ['nothing', raw(200, '')],
    ['no JSON', raw(200, 'active=true')],
    ['a page', raw(200, '<!doctype html><title>Welcome</title>', { 'content-type': 'text/html' })],
    ['half of it', raw(200, JSON.stringify(liveToken()).slice(0, -9))],
    ...['null', 'true', '"active"', '[]', '[{"active":false}]', '{}', '0'].map((body): [string, Script] => [
      body,
      raw(200, body),
    ]),
    ['active as a text', live({ active: 'true' })],
    ['inactive as a text', live({ active: 'false' })],
    ['active as a number', live({ active: 1 })],
    ['inactive as a number', raw(200, '{"active":0}')],
    ['inactive as null', raw(200, '{"active":null}')],
    ['nothing but active', raw(200, '{"active":true}')],
    ...['active', 'client_id', 'username', 'sub', 'role', 'iat', 'exp'].map((name): [string, Script] => [
      `no ${name}`,
      without(name),
    ]),
    ['a user id that is a number', live({ sub: 5 })],
    ['a role that is null', live({ role: null })],
    ['a role that is a list', live({ role: ['Editor'] })],
    ['an end as a text', live({ exp: '4102444800' })],
    ['an end that is null', live({ exp: null })],
    ['an end that no calendar has', live({ exp: 1e300 })],
    ['a beginning that no calendar has', live({ iat: -1e15 })],
    ['a live token with 201', (response) => void response.writeHead(201).end(JSON.stringify(liveToken()))],
    ['a dead token with 203', raw(203, '{"active":false}')],
    ['204', raw(204, '')],
    ...[400, 401, 403, 404, 405, 413, 429, 500, 502, 503].map((status): [string, Script] => [
      `${status} and a dead token`,
      raw(status, '{"active":false}'),
    ]),
    ['401 with a challenge for a token', raw(401, '{"error":"invalid_token"}', { 'www-authenticate': 'Bearer' })],
    ['500 and a live token', (response) => void response.writeHead(500).end(JSON.stringify(liveToken()))],
    ['a connection that closes', (response) => void response.destroy()],
    [
      'a connection that closes in the body',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('{"active":false}')
        setTimeout(() => response.destroy(), 20)
      },
    ],
    ['what is not HTTP', (response) => void response.socket?.end('hello\r\n\r\n')],
    ['a compression that is none', raw(200, '{"active":false}', { 'content-encoding': 'gzip' })],
  ])('%s', async (_what, script) => {
    const { find, asked, url } = await findAt(script)
    const value = keepSecret(`value-of-${randomWord()}`)
    const error = await refusalOf(find(value))
    expect(error).toMatchObject(outage)
    expect(error.reason).toMatch(/\S/)
    expect(error.message).not.toContain(String(error.reason))
    // and again, since an outage is not remembered; a host answers 503
    const response = await askGuarded(introspectAt({ url, clientId: 'a', clientSecret: 'b' }), value)
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([503, undefined])
    expect([response.headers['retry-after'], response.headers['cache-control']]).toEqual(['1', 'no-store'])
    expect(response.body).not.toContain(String(error.reason))
    await refusalOf(find(value))
    expect(asked.length).toBeGreaterThanOrEqual(3)
  })

  test.each<[string, Script]>([
    ['does not come', () => {}],
    ['begins and stops', (response) => void response.writeHead(200).write('{"active":')],
    [
      'trickles',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const dripping = setInterval(() => response.write(' '), 10)
        response.on('close', () => clearInterval(dripping))
      },
    ],
  ])('an answer that %s within `timeoutMs`', async (_how, script) => {
    const { find } = await findAt(script, { timeoutMs: 100 })
    expect(await refusalOf(find('abc'))).toMatchObject(outage)
  })

  test('an answer that stops during a garbage collection', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const { find } = await findAt((response) => void response.writeHead(200).write('{'), { timeoutMs: 500 })
    const finding = refusalOf(find('abc'))
    for (let time = 0; time < 4; time += 1) {
      await sleep(50)
      collect() // what fetch keeps of the signal goes with the request
    }
    expect(await finding).toMatchObject(outage)
  })

  test('an endless answer, read only up to the limit', async () => {
    let sent = 0
    const { find } = await findAt(
      (response) => {
        const chunk = Buffer.alloc(64 * 1024, 32)
        const pour = () => {
          while (!response.destroyed && response.write(chunk)) sent += chunk.length
        }
        response.writeHead(200).on('drain', pour)
        pour()
      },
      { timeoutMs: 10_000 },
    )
    expect(await refusalOf(find('abc'))).toMatchObject(outage)
    expect(sent).toBeLessThan(16 * 1024 * 1024)
  })

  test('except a slow answer that arrives in time', async () => {
    const slow: Script = (response) => void setTimeout(() => sayJson(response, liveToken()), 300)
    const { find } = await findAt(slow, { timeoutMs: 10_000 })
    expect(await find('abc')).toHaveProperty('token')
  })

  test('no server at the address', async () => {
    const { url, close } = await scripted(sayLive)
    await close()
    const error = await refusalOf(introspectAt({ url, clientId: 'a', clientSecret: 'b' })('abc'))
    expect(error).toMatchObject(outage)
    expect(error.reason).toBe('the token server cannot be reached')
  })

  test.each([301, 302, 303, 307, 308])(
    'a redirect (%i), which is not followed with credentials and token',
    async (status) => {
      const elsewhere = await scripted(sayLive)
      const { find, asked } = await findAt((response) => {
        response.writeHead(status, { location: `${elsewhere.url}/introspect` }).end()
      })
      expect(await refusalOf(find('abc'))).toMatchObject(outage)
      expect([asked.length, elsewhere.asked.length, elsewhere.sockets()]).toEqual([1, 0, 0])
    },
  )

  test.each(['wrong', 'disabled', 'public', 'unknown'])('credentials of this backend that are %s', async (kind) => {
    const asking = await addClient(database, kind === 'public' ? { secret: 'public' } : {})
    if (kind === 'disabled') await setClientEnabled(database.writes, asking.id, false)
    const clientId = kind === 'unknown' ? `client-${randomWord()}` : asking.id
    const clientSecret = kind === 'wrong' || kind === 'public' ? keepSecret(`wrong-${randomWord()}`) : asking.secret
    basic(clientId, clientSecret || 'none')
    const { value } = await signIn()
    const find = finder({ clientId, clientSecret: clientSecret || keepSecret(randomWord()) })
    const before = readLog().length
    const response = await askGuarded(find, value)
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([503, undefined])
    expect(response.headers['retry-after']).toBe('1')
    expect(response.json().message).toBe('The token cannot be checked right now. Try again shortly.')
    expect(response.body).not.toMatch(/credential|client/i)
    const told = readLog()
      .slice(before)
      .map((line) => JSON.stringify(line))
    expect(told.join('\n')).toContain('the token server refused the credentials of this backend')
    expect(leakedLines([...told, response.body])).toEqual([])
  })

  test('and it ends by itself: without a restart, and with cached results kept until their time', async () => {
    let { close, asked, url } = await scripted(sayLive)
    const find = introspectAt({ url, clientId: 'a', clientSecret: 'b', cacheSeconds: 2 })
    const began = performance.now()
    expect(await find('abc')).toHaveProperty('token')
    await close()
    expect(await refusalOf(find('other'))).toMatchObject(outage)
    // remembered, unless this machine was so slow that it is not any more
    const remembered = await find('abc').catch(() => null)
    if (performance.now() - began < 1_500) expect(remembered).toHaveProperty('token')
    expect(await refusalOf(later(2_000, () => find('abc')))).toMatchObject(outage)
    ;({ close, asked, url } = await scripted(sayLive, Number(new URL(url).port)))
    expect(await find('abc')).toHaveProperty('token')
    expect(await find('other')).toHaveProperty('token')
    expect(asked.map(({ token }) => token)).toEqual(['abc', 'other'])
  })

  /** What a backend answers to a token. */
  async function askGuarded(findToken: FindBearerToken, value: string) {
    const loggerInstance: FastifyBaseLogger = pino({ level: 'trace' }, logLines)
    const host = Fastify({ loggerInstance })
    onTestFinished(() => host.close())
    await host.register(bearer, { findToken })
    host.get('/mine', { onRequest: host.requireToken() }, async () => 'mine')
    return host.inject({ url: '/mine', headers: bearing(value) })
  }
})

describe('the options of introspectAt', () => {
  const right = { url: 'https://tokens.example.com', clientId: 'a', clientSecret: 'b' }

  test.each<[string, object]>([
    ['no address', { url: undefined }],
    ['an empty address', { url: '' }],
    ['an address without its scheme', { url: 'tokens.example.com' }],
    ['an address of another kind', { url: 'postgres://localhost/a' }],
    ['an address with a query', { url: 'https://tokens.example.com/?a=1' }],
    ['an address with a fragment', { url: 'https://tokens.example.com/#a' }],
    ['an address with credentials in it', { url: 'https://a:b@tokens.example.com' }],
    ['no client', { clientId: undefined }],
    ['an empty client', { clientId: '' }],
    ['a client with the line break of its file', { clientId: 'a\n' }],
    ['no secret', { clientSecret: undefined }],
    ['an empty secret', { clientSecret: '' }],
    ['a secret with the line break of its file', { clientSecret: 'b\r\n' }],
    ['a secret with half a character', { clientSecret: 'b\uD83D' }],
    ['a time to remember that is negative', { cacheSeconds: -1 }],
    ['a time to remember that is a text', { cacheSeconds: '5' }],
    ['a cache time that is not a number', { cacheSeconds: Number.NaN }],
    ['a time to remember without end', { cacheSeconds: Number.POSITIVE_INFINITY }],
    ['no room', { cacheSize: 0 }],
    ['room without end', { cacheSize: Number.POSITIVE_INFINITY }],
    ['half a place', { cacheSize: 1.5 }],
    ['no time to answer', { timeoutMs: 0 }],
    ['a time to answer that is negative', { timeoutMs: -1 }],
    ['a time to answer without end', { timeoutMs: Number.POSITIVE_INFINITY }],
    ['a time to answer that no timer knows', { timeoutMs: 2 ** 40 }],
  ])('are refused at the start by name when invalid: %s', (_what, options) => {
    const attempt = () => introspectAt({ ...right, ...options })
    expect(attempt).toThrow(TypeError)
    expect(attempt).toThrow(new RegExp(`^${Object.keys(options)[0]} must`))
  })

  test('are accepted when valid', () => {
    for (const options of [{}, { cacheSeconds: 0 }, { cacheSeconds: 0.5 }, { cacheSize: 1 }, { timeoutMs: 1 }]) {
      expect(introspectAt({ ...right, ...options })).toBeTypeOf('function')
    }
  })
})
