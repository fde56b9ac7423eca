import basicAuth from '@fastify/basic-auth'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { afterAll, describe, expect, test } from 'vitest'
import { webapi } from '../../src/dialects/webapi.ts'
import { tokenServer } from '../../src/token-server.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { addClient, addUser, cheapPasswords } from '../support/people.ts'
import { expectRefusal } from '../support/refusals.ts'
import { askForToken, askWhose, basic, passwordForm, sendToken } from '../support/requests.ts'

const { database } = await freshDatabase()
const client = await addClient(database)
const user = await addUser(database)
const headers = basic(client.id, client.secret)
const form = { 'content-type': 'application/x-www-form-urlencoded' }
afterAll(() => database.close())

const mounting = { database, dialects: [webapi], passwords: cheapPasswords }

/** A host application that customises everything that a plugin could disturb. */
async function createHost(options: FastifyServerOptions = {}): Promise<{ host: FastifyInstance; seen: string[] }> {
  const host = Fastify(options)
  const seen: string[] = []
  host.decorate('token', 'of the host')
  host.decorateRequest('clientId', 'of the host')
  host.decorateRequest('basicCredentials', null)
  host.decorateReply('json', () => 'of the host')
  await host.register(basicAuth, {
    validate: async (name, password) => {
      if (name !== 'host' || password !== 'host') throw Object.assign(new Error('not for you'), { statusCode: 401 })
    },
    authenticate: { realm: 'host' },
  })
  host.removeContentTypeParser('text/plain')
  host.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, { parsedByHost: body })
  })
  host.addHook('onRequest', async (request) => void seen.push(`${request.method} ${request.url}`))
  host.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    return reply.code(error.statusCode ?? 500).send({ hostSays: error.message })
  })
  host.setNotFoundHandler((request, reply) => reply.code(404).send({ hostHasNo: request.url }))
  host.get('/:id', async (request) => ({ id: (request.params as { id: string }).id }))
  host.post('/echo', async (request) => ({
    body: request.body,
    clientId: (request as { clientId?: unknown }).clientId,
  }))
  host.post('/token2', async (request) => ({ token2: request.body }))
  host.get('/fails', async () => {
    throw new Error('as it likes')
  })
  host.get('/members', { onRequest: host.basicAuth }, async () => ({ member: true }))
  host.get('/files/*', async (request) => ({ file: (request.params as { '*': string })['*'] }))
  host.get('/health', async () => 'ok')
  return { host, seen }
}

/** What the host answers to everything that is its own. */
async function answersOf(host: FastifyInstance): Promise<object[]> {
  const json = { 'content-type': 'application/json' }
  const requests = [
    { url: '/42' },
    { url: '/token2' },
    { url: '/Tokens' },
    { url: '/%54oken2' },
    { url: '/userinfo2' },
    { url: '/introspect2' },
    { url: '/.well-known/something' },
    { method: 'POST' as const, url: '/revoked', headers: form, payload: 'token=a' },
    { url: `/${'a'.repeat(100)}` },
    { url: `/${'a'.repeat(101)}` },
    { url: '/%zz' },
    { url: '/health' },
    { url: '/files/Token' },
    { url: '/fails' },
    { url: '/members' },
    { url: '/members', headers: basic('host', 'host') },
    { url: '/members', headers: basic('host', 'wrong') },
    { url: '/a/b?marker=1' },
    { url: '/Token/' },
    { method: 'HEAD' as const, url: '/42' },
    { method: 'HEAD' as const, url: '/health' },
    { method: 'OPTIONS' as const, url: '/42' },
    { method: 'PUT' as const, url: '/42' },
    { method: 'GET' as const, url: '/42', headers: json, payload: '{broken' },
    { method: 'POST' as const, url: '/token2', headers: form, payload: 'a=%zz&a=1' },
    { method: 'POST' as const, url: '/echo', headers: form, payload: 'a=1&a=2' },
    { method: 'POST' as const, url: '/echo', headers: json, payload: '{"a":1}' },
    { method: 'POST' as const, url: '/echo', headers: json, payload: '{broken' },
    { method: 'POST' as const, url: '/echo', headers: { 'content-type': 'text/plain' }, payload: 'text' },
    { method: 'POST' as const, url: '/echo', headers: { 'content-type': 'garbage' }, payload: 'text' },
    { method: 'POST' as const, url: '/echo', headers: json, payload: `"${'a'.repeat(20_000)}"` },
    { method: 'POST' as const, url: '/nothing', headers: form, payload: 'a=1' },
  ]
  const answers = await Promise.all(requests.map((request) => host.inject(request)))
  return answers.map(({ statusCode, headers: { date: _date, ...rest }, body }, index) => {
    return { asked: requests[index], statusCode, headers: rest, body }
  })
}

/** What of an application others could lean on. */
function possessionsOf(host: FastifyInstance): object {
  return {
    own: Object.keys(host).sort(),
    decorators: ['basicAuth', 'requireToken', 'tokenServer', 'token'].map((name) => host.hasDecorator(name)),
    request: ['clientId', 'basicCredentials', 'token'].map((name) => host.hasRequestDecorator(name)),
    parsers: ['application/x-www-form-urlencoded', 'application/json', 'text/plain', '*'].map((type) =>
      host.hasContentTypeParser(type),
    ),
    methods: host.supportedMethods,
    hooksOfOthers: host.printPlugins().includes('formbody') && !host.printPlugins().includes('fastify-password-grant'),
  }
}

const settings: [string, FastifyServerOptions][] = [
  ['as it comes', {}],
  ['without HEAD routes', { exposeHeadRoutes: false }],
  ['with HEAD routes', { exposeHeadRoutes: true }],
  ['that ignores case and trailing slashes', { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } }],
  ['with a small body limit', { bodyLimit: 30_000 }],
]

describe.each([undefined, '/auth'])('mounted with the prefix %s', (prefix) => {
  test.each(settings)(
    'on a host %s, every route and every error of the host stays unchanged',
    async (name, options) => {
      const { host: alone } = await createHost(options)
      const { host } = await createHost(options)
      const possessions = possessionsOf(host)
      await host.register(tokenServer, { ...mounting, ...(prefix === undefined ? {} : { prefix }) })
      await Promise.all([alone.ready(), host.ready()])
      const [before, after] = [await answersOf(alone), await answersOf(host)]
      if (name.includes('trailing slashes') && prefix === undefined) {
        expect(after.filter((_answer, index) => index !== 18)).toEqual(before.filter((_answer, index) => index !== 18))
      } else expect(after).toEqual(before)
      expect(possessionsOf(host)).toEqual(possessions)
      await Promise.all([alone.close(), host.close()])
    },
  )

  test('signs in and checks tokens in its own format', async () => {
    const { host, seen } = await createHost()
    await host.register(tokenServer, { ...mounting, ...(prefix === undefined ? {} : { prefix }) })
    const url = `${prefix ?? ''}/Token`
    const response = await sendToken(host, { url, headers, body: passwordForm(user) })
    expect(response.statusCode).toBe(200)
    const whose = await host.inject({
      url: `${prefix ?? ''}/userinfo`,
      headers: { authorization: `Bearer ${response.json().access_token}` },
    })
    expect(whose.json().userId).toBe(user.id)
    expect(
      (await sendToken(host, { url: `${prefix ?? ''}/TOKEN`, method: 'GET', headers, body: passwordForm(user) }))
        .statusCode,
    ).toBe(200)
    expectRefusal(await sendToken(host, { url, headers, body: 'a=1&a=2' }), 400, 'invalid_request')
    expectRefusal(await sendToken(host, { url, headers, body: '{"a":1}' }), 400, 'invalid_request')
    expectRefusal(
      await sendToken(host, { url, headers: basic('host', 'host'), body: passwordForm(user) }),
      401,
      'invalid_client',
    )
    expectRefusal(await sendToken(host, { url, headers, body: 'a'.repeat(20_000) }), 413, 'invalid_request')
    expectRefusal(await host.inject({ method: 'PUT', url }), 405, 'invalid_request')
    expect(seen).toContain(`POST ${url}`) // the host's own hooks run before it
    await host.close()
  })

  test('introspects tokens, ends them and describes itself in its own format', async () => {
    const { host } = await createHost()
    await host.register(tokenServer, { ...mounting, ...(prefix === undefined ? {} : { prefix }) })
    const at = (path: string) => `${prefix ?? ''}${path}`
    const signedIn = await sendToken(host, { url: at('/Token'), headers, body: passwordForm(user) })
    const payload = `token=${signedIn.json().access_token}`
    const post = (path: string) =>
      host.inject({ method: 'POST', url: at(path), headers: { ...form, ...headers }, payload })
    expect((await post('/introspect')).json()).toMatchObject({ active: true, sub: user.id, client_id: client.id })
    expect((await post('/revoke')).statusCode).toBe(200)
    expect((await post('/introspect')).json()).toEqual({ active: false })
    const metadata = (await host.inject({ url: at('/.well-known/oauth-authorization-server') })).json()
    expect(metadata.introspection_endpoint).toBe(`${metadata.issuer}${at('/introspect')}`)
    await host.close()
  })
})

describe('inside a host', () => {
  test('an unknown path is answered by the host, under the prefix too', async () => {
    const { host } = await createHost()
    await host.register(tokenServer, { ...mounting, prefix: '/auth' })
    for (const url of ['/auth/nothing', '/auth', '/auth/Token/x', '/x/Token']) {
      const response = await host.inject({ url })
      if (url !== '/auth') expect([response.statusCode, response.json()]).toEqual([404, { hostHasNo: url }])
      else expect(response.json()).toEqual({ id: 'auth' })
    }
    await host.close()
  })

  test('health, docs and openapi.yaml are not mounted', async () => {
    const host = Fastify()
    await host.register(tokenServer, mounting)
    for (const url of ['/health/live', '/health/ready', '/docs', '/openapi.yaml']) {
      expect((await host.inject({ url })).statusCode).toBe(404)
    }
    await host.close()
  })

  test('a hook of the host that refuses keeps its status and is answered in the dialect', async () => {
    const host = Fastify()
    host.addHook('onRequest', async () => {
      throw Object.assign(new Error('marker of the host'), { statusCode: 403 })
    })
    await host.register(tokenServer, mounting)
    const response = await sendToken(host, { headers, body: passwordForm(user) })
    expectRefusal(response, 403, 'invalid_request')
    expect(response.body).not.toContain('marker')
    expect((await askWhose(host, 'a')).statusCode).toBe(403)
    await host.close()
  })

  test('a hook of the host that fails is 500 and reveals nothing', async () => {
    const host = Fastify()
    host.addHook('preHandler', async () => {
      throw new Error('marker of the host')
    })
    await host.register(tokenServer, mounting)
    const response = await sendToken(host, { headers, body: passwordForm(user) })
    expectRefusal(response, 500, 'server_error')
    expect(response.body).not.toContain('marker')
    await host.close()
  })

  test('two token servers run side by side and give tokens of one seat', async () => {
    const host = Fastify()
    await host.register(tokenServer, { ...mounting, prefix: '/a' })
    await host.register(tokenServer, { ...mounting, prefix: '/b' })
    const one = await sendToken(host, { url: '/a/Token', headers, body: passwordForm(user) })
    const other = await sendToken(host, { url: '/b/Token', headers, body: passwordForm(user) })
    const ask = (url: string, value: string) => host.inject({ url, headers: { authorization: `Bearer ${value}` } })
    expect((await ask('/b/userinfo', one.json().access_token)).statusCode).toBe(401)
    expect((await ask('/a/userinfo', other.json().access_token)).statusCode).toBe(200)
    await host.close()
  })

  test('closing the host leaves the database open', async () => {
    const host = Fastify()
    await host.register(tokenServer, mounting)
    expect((await askForToken(host, { client, user })).statusCode).toBe(200)
    await host.close()
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
  })

  test('another major version of Fastify is refused by name', async () => {
    const metadata = Reflect.get(tokenServer, Symbol.for('plugin-meta'))
    expect(metadata).toMatchObject({ name: 'fastify-password-grant', fastify: '5.x' })
  })
})
