// Each dialect alone, and all of them on one server or inside a host application.
import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { device } from '../../src/dialects/device.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiParity } from '../../src/dialects/webapi-parity.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { generateBytes, signText } from '../../src/secrets.ts'
import { type TokenServerOptions, tokenServer } from '../../src/token-server.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { bearer, passwordForm } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const encryptionKey = generateBytes(32)
const all = [webapi, webapiSession, envelope, device]
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const json = { 'content-type': 'application/json' }
const { app, database } = await testServer({ dialects: all, encryptionKey, throttle: false })
const client = await addClient(database)

/** A token server in a host application, on the file's database; closed after the test. */
async function mount(dialects: readonly Dialect[], more: Partial<TokenServerOptions> & { prefix?: string } = {}) {
  const host = Fastify()
  onTestFinished(() => host.close())
  await host.register(tokenServer, {
    database,
    dialects,
    encryptionKey,
    throttle: false,
    passwords: cheapPasswords,
    ...more,
  })
  return host
}

/** What each dialect needs to give a token, and where it answers with it. */
const ways: readonly {
  readonly dialect: Dialect
  readonly signIn: (on: FastifyInstance, url: string) => Promise<{ value: string; userId: string }>
}[] = [
  {
    dialect: webapi,
    signIn: async (on, url) => {
      const user = await addUser(database)
      const body = passwordForm(user, { client_id: client.id, client_secret: client.secret })
      const response = await on.inject({ method: 'POST', url, headers: form, body })
      return { value: keep(response.json().access_token), userId: user.id }
    },
  },
  {
    dialect: webapiSession,
    signIn: async (on, url) => {
      const user = await addUser(database)
      const body = { grant_type: 'password', userName: user.name, password: user.password, clientKey: 'phone' }
      const response = await on.inject({ method: 'POST', url, headers: json, body })
      return { value: keep(response.json().access_token), userId: user.id }
    },
  },
  {
    dialect: envelope,
    signIn: async (on, url) => {
      const user = await addUser(database)
      const body = new URLSearchParams({ username: user.name, password: user.password }).toString()
      const response = await on.inject({ method: 'POST', url, headers: form, body })
      return { value: keep(response.json().data.access_token), userId: user.id }
    },
  },
  {
    dialect: device,
    signIn: async (on, url) => {
      const [deviceKey, customerKey] = [`device-${randomWord()}`, keepSecret(randomWord())]
      const { userId } = await registerDevice(database.writes, encryptionKey, { deviceKey, customerKey })
      const timestamp = Math.floor(Date.now() / 1_000)
      const device_signature = signText(customerKey, timestamp + deviceKey).toString('hex')
      const body = { device_key: deviceKey, timestamp, device_signature }
      const response = await on.inject({ method: 'POST', url, headers: json, body })
      return { value: keep(response.json().token), userId }
    },
  },
]

const named = ways.map((way) => [way.dialect.name, way] as const)

function keep(value: unknown): string {
  expect(value).toEqual(expect.any(String))
  return keepSecret(String(value))
}

const metadataUrl = '/.well-known/oauth-authorization-server'
const jwksUrl = '/.well-known/jwks.json'

describe.each(named)('%s alone', (_name, { dialect, signIn }) => {
  test('gives tokens that /userinfo accepts, and mounts no other dialect', async () => {
    const host = await mount([dialect])
    const { value, userId } = await signIn(host, dialect.path)
    const whose = await host.inject({ url: '/userinfo', headers: bearer(value) })
    expect([whose.statusCode, whose.json().userId]).toEqual([200, userId])
    for (const other of all) {
      const { statusCode } = await host.inject({ method: 'POST', url: other.path, headers: json, body: '{}' })
      if (other !== dialect) expect(statusCode, other.name).toBe(404)
    }
  })

  test('is described by the metadata: keys for signed tokens, a token endpoint for OAuth', async () => {
    const host = await mount([dialect], { publicUrl: 'https://id.example.com' })
    const { jwks_uri: jwksUri, token_endpoint: endpoint, ...rest } = (await host.inject({ url: metadataUrl })).json()
    expect(jwksUri).toBe(dialect === device ? `https://id.example.com${jwksUrl}` : undefined)
    expect(endpoint).toBe(dialect === webapi ? 'https://id.example.com/Token' : undefined)
    expect(rest.grant_types_supported).toEqual(dialect === webapi ? ['password'] : [])
    expect((await host.inject({ url: jwksUrl })).statusCode).toBe(dialect === device ? 200 : 404)
  })
})

describe('all four dialects on one server:', () => {
  test.each(named)('%s gives tokens that the others’ endpoints accept', async (name, { dialect, signIn }) => {
    const { value, userId } = await signIn(app, dialect.path)
    const headers = bearer(value)
    expect((await app.inject({ url: '/userinfo', headers })).json().userId).toBe(userId)
    const listed = await app.inject({ url: '/seats', headers })
    const clientId = dialect === webapi ? client.id : name
    expect(listed.json()).toEqual([expect.objectContaining({ client_id: clientId, current: true })])
    const proof = { client_id: client.id, client_secret: client.secret }
    const asked = await post('/introspect', { token: value, ...proof })
    expect(asked.json()).toMatchObject({ active: true, client_id: clientId, sub: userId })
    const own = dialect === webapi ? proof : { client_id: name }
    expect((await post('/revoke', { token: value, ...own })).statusCode).toBe(200)
    expect((await app.inject({ url: '/userinfo', headers })).statusCode).toBe(401)
  })

  test('the metadata has the token endpoint of the OAuth dialect and the keys', async () => {
    const metadata = (await app.inject({ url: metadataUrl })).json()
    expect(metadata).toMatchObject({
      token_endpoint: `${metadata.issuer}/Token`,
      jwks_uri: `${metadata.issuer}${jwksUrl}`,
    })
    const keys = (await app.inject({ url: jwksUrl })).json()
    expect(Object.keys(keys)).toEqual(['keys'])
    expect(JSON.stringify(keys)).not.toMatch(/"(d|p|q|dp|dq|qi)":/) // what of an RSA key is private
  })

  test('no dialect’s client is accepted at /Token or /introspect with any secret', async () => {
    const user = await addUser(database)
    for (const id of ['webapi-session', 'envelope', 'device']) {
      for (const more of [{ client_id: id }, { client_id: id, client_secret: randomWord() }]) {
        const token = await app.inject({
          method: 'POST',
          url: '/Token',
          headers: form,
          body: passwordForm(user, more as Record<string, string>),
        })
        expect([token.statusCode, token.json().error]).toEqual([401, 'invalid_client'])
        const asked = await post('/introspect', { token: 'x', ...more })
        expect([asked.statusCode, asked.json().error]).toEqual([401, 'invalid_client'])
      }
    }
  })

  test('a label means the same seat in two dialects, and different labels different seats', async () => {
    const user = await addUser(database)
    const asSession = (clientKey: string) => ({
      grant_type: 'password',
      userName: user.name,
      password: user.password,
      clientKey,
    })
    const session = async (label: string) =>
      keep((await app.inject({ method: 'POST', url: '/v2/token', body: asSession(label) })).json().access_token)
    const [first, tablet] = [await session('phone'), await session('tablet')]
    const fields = { username: user.name, password: user.password, 'device-info': 'phone' }
    const second = keep((await post('/v1/oauth/', fields)).json().data.access_token)
    const whose = async (value: string) => (await app.inject({ url: '/userinfo', headers: bearer(value) })).json()
    expect(await whose(first)).toMatchObject({
      error_description: 'The token was replaced by a newer sign-in of the same user.',
    })
    for (const value of [second, tablet]) expect(await whose(value)).toHaveProperty('userId', user.id)
  })

  const post = (url: string, fields: Record<string, string>) =>
    app.inject({ method: 'POST', url, headers: form, body: new URLSearchParams(fields).toString() })
})

describe('a path', () => {
  test.each([
    ['webapi', ['/token', '/TOKEN', '/tOKEN']],
    ['webapi-session', ['/V2/token', '/v2/TOKEN', '/V2/Token']],
    ['envelope', ['/v1/oauth', '/V1/OAuth/', '/v1/OAUTH']],
    ['device', ['/AUTH/LOGIN', '/Auth/Login', '/auth/LOGIN']],
  ] as const)('of %s matches in any letter case', async (name, urls) => {
    const way = ways.find(({ dialect }) => dialect.name === name)
    for (const url of urls) expect((await way?.signIn(app, url))?.value, url).toEqual(expect.any(String))
  })

  test.each(['/v2/token/', '/v2/tokens', '/v2', '/auth/login/', '/auth', '/v1/oauth//', '/v1/oauth/x', '/v1'])(
    '%s belongs to no dialect',
    async (url) => {
      const response = await app.inject({ method: 'POST', url, headers: json, body: '{}' })
      expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
    },
  )

  const renamed = ['/a/b', '/c/d', '/e/f/', '/g/h.php']

  test.each(ways.map((way, index) => [renamed[index] ?? '', way] as const))(
    'can be changed, even to one shaped like the others: %s',
    async (path, { signIn }) => {
      const host = await mount(all.map((dialect, index) => ({ ...dialect, path: renamed[index] ?? '' })))
      expect(await signIn(host, path)).toHaveProperty('value')
      expect(await signIn(host, path.toUpperCase())).toHaveProperty('value')
      for (const { path: old } of all) {
        expect((await host.inject({ method: 'POST', url: old, headers: json, body: '{}' })).statusCode).toBe(404)
      }
    },
  )

  test('of a single segment is told apart from the others', async () => {
    const paths = ['/one', '/two', '/three', '/four']
    const host = await mount(all.map((dialect, index) => ({ ...dialect, path: paths[index] ?? '' })))
    for (const [index, { signIn }] of ways.entries()) {
      expect(await signIn(host, paths[index] ?? '')).toHaveProperty('value')
    }
  })

  test.each([
    ['to the letter', '/v2/token', '/v2/token'],
    ['but for letter case', '/Token', '/token'],
    ['but for a slash at the end', '/v1/oauth', '/v1/oauth/'],
  ])('shared by two dialects %s is an Error that names both', async (_what, one, other) => {
    const dialects = [
      { ...webapiSession, path: one },
      { ...envelope, path: other },
    ]
    await expect(mount(dialects)).rejects.toThrow(
      `Two dialects on one path: webapi-session and envelope are both at ${other}.`,
    )
  })
})

describe('the device dialect', () => {
  test.each([
    ['no encryption key', undefined],
    ['an encryption key of 31 bytes', generateBytes(31)],
    ['an encryption key of 33 bytes', generateBytes(33)],
  ])('with %s is an Error that says so', async (_what, key) => {
    await expect(mount([webapi, device], { encryptionKey: key })).rejects.toThrow(
      'The device dialect needs an encryptionKey of 32 bytes.',
    )
  })

  test('alone needs a key', async () => {
    const host = await mount([webapi, webapiSession, envelope], { encryptionKey: undefined })
    const [, session] = ways
    expect(await session?.signIn(host, '/v2/token')).toHaveProperty('value')
    expect((await host.inject({ url: jwksUrl })).statusCode).toBe(404)
  })
})

describe.each([undefined, '/auth/v9'])('in a host application, with the prefix %s', (prefix) => {
  const mounting = { database, dialects: all, encryptionKey, throttle: false, passwords: cheapPasswords }
  const at = (path: string) => `${prefix ?? ''}${path}`
  let alone: FastifyInstance
  let host: FastifyInstance

  beforeAll(async () => {
    alone = createHost()
    host = createHost()
    await host.register(tokenServer, { ...mounting, ...(prefix === undefined ? {} : { prefix }) })
  })
  afterAll(() => Promise.all([alone.close(), host.close()]))

  test('every parser, route and error of the host stays unchanged', async () => {
    const [before, after] = [await answersOf(alone), await answersOf(host)]
    expect(after).toEqual(before)
    expect(after.filter(({ status }) => status === 200)).toHaveLength(7)
  })

  test.each(named)('%s gives tokens', async (_dialect, { dialect, signIn }) => {
    const { value, userId } = await signIn(host, at(dialect.path))
    const whose = await host.inject({ url: at('/userinfo'), headers: bearer(value) })
    expect(whose.json().userId).toBe(userId)
    expect(await signIn(host, at(dialect.path.toUpperCase()))).toHaveProperty('value')
  })

  test.each([
    ['webapi', '/Token', '{"error":"invalid_request","error_description":"'],
    ['webapi-session', '/v2/token', '{"error":"invalid_request","error_description":"'],
    ['envelope', '/v1/oauth/', '{"success":false,"errors":{"message":"'],
    ['device', '/auth/login', '{"error":"invalid_request","message":"'],
  ])('%s refuses in its own format', async (_dialect, path, words) => {
    for (const method of ['POST', 'PUT'] as const) {
      const response = await host.inject({ method, url: at(path), headers: form, body: 'a=%zz' })
      expect(response.statusCode).toBeGreaterThanOrEqual(400)
      expect(response.body.slice(0, words.length)).toBe(words)
      expect(response.headers['cache-control']).toBe('no-store')
    }
  })

  test('the metadata and the keys are under the prefix', async () => {
    const metadata = (await host.inject({ url: at(metadataUrl) })).json()
    expect(metadata.jwks_uri).toBe(`${metadata.issuer}${at(jwksUrl)}`)
    expect((await host.inject({ url: at(jwksUrl) })).json().keys).toHaveLength(1)
  })

  test('seats are listed and ended under the prefix', async () => {
    const [, session] = ways
    const { value } = (await session?.signIn(host, at('/v2/token'))) ?? { value: '' }
    const [seat] = (await host.inject({ url: at('/seats'), headers: bearer(value) })).json()
    const ended = await host.inject({ method: 'DELETE', url: at(`/seats/${seat.id}`), headers: bearer(value) })
    expect(ended.statusCode).toBe(204)
  })
})

test('webapi with parity stands in for webapi, beside the others', async () => {
  const host = await mount([webapiParity, webapiSession, envelope, device])
  const user = await addUser(database)
  const body = passwordForm(user, { client_id: client.id, client_secret: client.secret })
  const answered = await host.inject({ method: 'POST', url: '/token', headers: form, body })
  keep(answered.json().access_token)
  expect(answered.headers['content-type']).toBe('application/json;charset=UTF-8')
  expect(answered.json().expires_in).toBe(1_209_599)
  expect((await host.inject({ url: metadataUrl })).json()).toHaveProperty('token_endpoint')
})

/** A host application with its own parsers, errors and routes. */
function createHost(): FastifyInstance {
  const host = Fastify()
  host.addContentTypeParser(
    ['application/x-www-form-urlencoded', 'application/xml', 'multipart/form-data'],
    { parseAs: 'string' },
    (_request, body, done) => done(null, { parsedByHost: body }),
  )
  host.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ hostSays: error.message }),
  )
  host.setNotFoundHandler((request, reply) => reply.code(404).send({ hostHasNo: request.url }))
  host.post('/echo', async (request) => ({ body: request.body }))
  host.post('/v2/tokens', async (request) => ({ tokens: request.body }))
  host.get('/v1/:name', async (request) => ({ named: (request.params as { name: string }).name }))
  host.get('/auth/:page', async (request) => ({ page: (request.params as { page: string }).page }))
  host.get('/.well-known/security.txt', async () => 'Contact: host')
  host.get('/fails', async () => {
    throw new Error('as it likes')
  })
  return host
}

interface HostAnswer {
  readonly asked: object
  readonly status: number
  readonly headers: object
  readonly body: string
}

/** What the application answers to everything that is its own. */
async function answersOf(host: FastifyInstance): Promise<HostAnswer[]> {
  const requests = [
    { method: 'POST' as const, url: '/echo', headers: form, payload: 'a=1&a=2' },
    { method: 'POST' as const, url: '/echo', headers: { 'content-type': 'application/xml' }, payload: '<a/>' },
    { method: 'POST' as const, url: '/echo', headers: json, payload: '{"a":1}' },
    { method: 'POST' as const, url: '/v2/tokens', headers: json, payload: '{"a":1}' },
    { url: '/v1/other' },
    { url: '/auth/logout' },
    { url: '/.well-known/security.txt' },
    { method: 'POST' as const, url: '/echo', headers: json, payload: '{broken' },
    { method: 'POST' as const, url: '/echo', headers: { 'content-type': 'text/csv' }, payload: 'a' },
    { method: 'POST' as const, url: '/nothing', headers: json, payload: '{}' },
    { method: 'PUT' as const, url: '/echo', headers: json, payload: '{}' },
    { method: 'DELETE' as const, url: '/v1/other' },
    { url: '/.well-known/other' },
    { url: '/v2' },
    { url: '/fails' },
    { url: '/%zz' },
  ]
  const answers = await Promise.all(requests.map((request) => host.inject(request)))
  return answers.map(({ statusCode, headers: { date: _date, ...rest }, body }, index) => ({
    asked: requests[index] ?? {},
    status: statusCode,
    headers: rest,
    body,
  }))
}
