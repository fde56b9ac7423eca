import { METHODS } from 'node:http'
// The effects of a host application and the four dialects mounted in it on each other.
import Fastify, { type FastifyInstance, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { device } from '../../src/dialects/device.ts'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { generateBytes } from '../../src/secrets.ts'
import { type TokenServerOptions, tokenServer } from '../../src/token-server.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, leakedLines, logLines, readLog } from '../support/kept-secrets.ts'
import { addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { bearer } from '../support/requests.ts'

const { database } = await freshDatabase()
const user = await addUser(database)
afterAll(() => database.close())
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const mounting: TokenServerOptions = {
  database,
  dialects: [webapi, webapiSession, envelope, device],
  passwords: cheapPasswords,
  encryptionKey: generateBytes(32),
}

async function createHost(
  options: FastifyServerOptions,
  furnish: (host: FastifyInstance) => void = () => undefined,
): Promise<FastifyInstance> {
  const host: FastifyInstance = Fastify(options)
  furnish(host)
  await host.register(tokenServer, mounting)
  await host.ready()
  onTestFinished(() => host.close())
  return host
}

async function signIn(host: FastifyInstance): Promise<string> {
  const body = new URLSearchParams({ username: user.name, password: user.password }).toString()
  const response = await host.inject({ method: 'POST', url: '/v1/oauth/', headers: form, body })
  return keepSecret(response.json().data.access_token)
}

/** A host sets no cache headers unless told to. */
function isOurs({ headers }: LightMyRequestResponse): boolean {
  return headers['cache-control'] === 'no-store'
}

const written = ['/Token', '/v2/token', '/v1/oauth', '/v1/oauth/', '/auth/login']

describe('every dialect is at its path', () => {
  const routers: [string, FastifyServerOptions][] = [
    ['as it comes', {}],
    ['that ignores a slash', { routerOptions: { ignoreTrailingSlash: true } }],
    ['that ignores case', { routerOptions: { caseSensitive: false } }],
    ['that ignores both', { routerOptions: { ignoreTrailingSlash: true, caseSensitive: false } }],
    ['that ignores a second slash', { routerOptions: { ignoreDuplicateSlashes: true } }],
  ]
  test.each(routers)('with a router %s, in any letter case', async (_how, options) => {
    const host = await createHost(options)
    for (const url of written.flatMap((path) => [path, path.toUpperCase(), path.toLowerCase()])) {
      const response = await host.inject({ method: 'POST', url, headers: form, body: '' })
      expect([url, isOurs(response)]).toEqual([url, true])
    }
  })

  test.each(['/*', '/v1/*', '/v2/:thing', '/auth/:action', '/:one/:two', '/:one'])(
    'beside a route of the host, %s, that would match too',
    async (route) => {
      const host = await createHost({}, (furnished) => furnished.all(route, async () => 'of the host'))
      for (const url of written) {
        const response = await host.inject({ method: 'POST', url, headers: form, body: '' })
        expect([url, isOurs(response)]).toEqual([url, true])
      }
    },
  )
})

test('a host that logs requests logs no query of our endpoints under any method', async () => {
  const routes: { method: 'GET'; url: string }[] = []
  const host = await createHost({ logger: { level: 'trace', stream: logLines } }, (furnished) => {
    furnished.addHook('onRoute', ({ method, url }) => {
      if (url.includes('(^')) return // a spelling of one that is in the list
      for (const one of [method].flat()) if (METHODS.includes(one)) routes.push({ method: one as 'GET', url })
    })
  })
  const urls = routes.map(({ url }) => url)
  expect(urls).toEqual(
    expect.arrayContaining([...written, '/revoke', '/introspect', '/userinfo', '/seats', '/seats/:id']),
  )
  const before = readLog().length
  const secret = keepSecret(randomWord())
  const query = new URLSearchParams({ username: user.name, password: secret, token: secret })
  for (const { method, url } of routes) await host.inject({ method, url: `${url}?${query}` })
  const lines = readLog().slice(before)
  expect(lines.filter(({ msg }) => msg === 'incoming request')).toHaveLength(routes.length)
  expect(lines.filter((line) => JSON.stringify(line).includes('?'))).toEqual([])
  expect(leakedLines()).toEqual([])
})

test('the keys stay plain in a host that wraps its payloads', async () => {
  const host = await createHost({}, (furnished) => {
    furnished.setReplySerializer((payload) => JSON.stringify({ wrapped: payload }))
  })
  expect((await host.inject('/.well-known/jwks.json')).json()).toEqual({ keys: expect.any(Array) })
})

test('a device’s rate limit headers stand beside those of the host', async () => {
  const host = await createHost({}, (furnished) => {
    furnished.addHook('onRequest', async (_request, reply) => void reply.header('x-ratelimit-limit', '1000'))
  })
  const { headers } = await host.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  expect([headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']]).toEqual([
    '10',
    expect.stringMatching(/^\d$/),
  ])
})

describe('a hook of the host that refuses', () => {
  const refusing = (furnished: FastifyInstance) => {
    furnished.addHook('onRequest', async () => {
      throw Object.assign(new Error('not you'), { statusCode: 403 })
    })
  }

  test.each(['/Token', '/v2/token', '/v1/oauth/', '/auth/login'])('keeps its status at %s', async (url) => {
    const host = await createHost({}, refusing)
    expect((await host.inject({ method: 'POST', url, headers: form, body: '' })).statusCode).toBe(403)
  })

  test('sees the type of the response afterwards', async () => {
    const seen: unknown[] = []
    const host = await createHost({}, (furnished) => {
      refusing(furnished)
      furnished.addHook('onResponse', async (request) => void seen.push(request.headers['content-type']))
    })
    await host.inject({ method: 'POST', url: '/Token', headers: { 'content-type': 'application/json' }, body: '{}' })
    expect(seen).toEqual(['application/json'])
  })
})

describe('DELETE /seats/{id} with an unexpected body', () => {
  const strict = (furnished: FastifyInstance) => {
    furnished.addContentTypeParser('*', (_request, _body, done) => done(new Error('not here')))
  }
  test.each([
    ['a JSON header and no body', { 'content-type': 'application/json' }, ''],
    ['broken JSON', { 'content-type': 'application/json' }, '{x'],
    ['a type the host refuses', { 'content-type': 'text/x-anything' }, 'x'],
  ])('ends the seat all the same: %s', async (_what, headers, body) => {
    const host = await createHost({}, strict)
    const value = await signIn(host)
    const [seat] = (await host.inject({ url: '/seats', headers: bearer(value) })).json()
    const request = { method: 'DELETE' as const, url: `/seats/${seat.id}`, body }
    expect((await host.inject({ ...request, headers })).statusCode).toBe(401)
    expect((await host.inject({ ...request, headers: { ...headers, ...bearer(value) } })).statusCode).toBe(204)
    expect((await host.inject({ url: '/userinfo', headers: bearer(value) })).statusCode).toBe(401)
  })
})

test.each([0, -1, 1.5, Number.NaN])('a limit of %d seats is refused at registration', async (maxSeatsPerUser) => {
  const host = Fastify()
  onTestFinished(() => host.close())
  await expect(host.register(tokenServer, { ...mounting, maxSeatsPerUser })).rejects.toThrow(/maxSeatsPerUser/)
})
