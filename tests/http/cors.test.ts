import type { FastifyInstance, InjectOptions } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../src/database/postgres.ts'
import { dialects } from '../../src/dialects/index.ts'
import { generateId } from '../../src/secrets.ts'
import { createServer } from '../../src/server.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, basic, bearer, passwordForm } from '../support/requests.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const origin = 'https://app.example.com'
const second = 'http://localhost:5173'
const corsOrigins = [origin, second]
const form = 'application/x-www-form-urlencoded'
const seat = `/seats/${generateId()}`

const preflight = (url: string, from = origin): InjectOptions => ({
  method: 'OPTIONS',
  url,
  headers: {
    origin: from,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  },
})

describe('CORS_ORIGINS', async () => {
  const { app, database } = await testServer({ corsOrigins })
  const client = await addClient(database)
  const user = await addUser(database)
  const proof = basic(client.id, client.secret)
  const post = (body: string, headers: Record<string, string> = proof): InjectOptions => ({
    method: 'POST',
    url: '/Token',
    headers: { origin, 'content-type': form, ...headers },
    body,
  })

  test.each(['/Token', '/token', '/TOKEN', '/userinfo', '/revoke', '/seats', seat])(
    'a preflight of %s is answered',
    async (url) => {
      const response = await app.inject(preflight(url))
      expect(response.statusCode).toBe(204)
      expect(response.body).toBe('')
      expect(corsHeaders(response.headers)).toEqual({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, POST, DELETE',
        'access-control-allow-headers': 'Authorization, Content-Type',
        'access-control-expose-headers': 'WWW-Authenticate, Retry-After',
        'access-control-max-age': '600',
        vary: 'Origin',
      })
    },
  )

  test('each listed origin is echoed', async () => {
    for (const from of corsOrigins) {
      const response = await app.inject(preflight('/Token', from))
      expect(response.headers['access-control-allow-origin']).toBe(from)
    }
  })

  test.each([
    'https://evil.example.com',
    'https://app.example.com.evil.example',
    'https://app.example.com:8443',
    'http://app.example.com',
    'https://APP.example.com',
    'null',
    '*',
  ])('%s is not listed: its preflight is refused like any OPTIONS', async (from) => {
    const response = await app.inject(preflight('/Token', from))
    expect([response.statusCode, response.headers.allow]).toEqual([405, 'GET, POST'])
    expect(corsHeaders(response.headers)).toEqual({ vary: 'Origin' })
  })

  test('an OPTIONS without Origin is not treated as a preflight', async () => {
    for (const url of ['/Token', '/userinfo', '/revoke', '/seats', seat]) {
      const response = await app.inject({ method: 'OPTIONS', url })
      expect(response.statusCode).toBe(405)
      expect(corsHeaders(response.headers)).toEqual({ vary: 'Origin' })
    }
  })

  test('an OPTIONS of a listed origin that names no method is answered like a preflight, not in plain text', async () => {
    const response = await app.inject({ method: 'OPTIONS', url: '/Token', headers: { origin } })
    expect([response.statusCode, response.body]).toEqual([204, ''])
  })

  test('a preflight of an unknown path is 404', async () => {
    const response = await app.inject(preflight('/tokens'))
    expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
    expect(corsHeaders(response.headers)).toEqual({})
  })

  test.each(['/introspect', '/.well-known/oauth-authorization-server', '/health/live', '/openapi.yaml'])(
    '%s answers no page of another origin',
    async (url) => {
      const asked = await app.inject({ ...preflight(url) })
      expect(asked.statusCode).toBe(url === '/introspect' ? 405 : 404)
      expect(corsHeaders(asked.headers)).toEqual({})
      expect(corsHeaders((await app.inject({ url, headers: { origin } })).headers)).toEqual({})
    },
  )

  test('an answer may be read by the origin that asked, without cookies', async () => {
    const response = await app.inject(post(passwordForm(user)))
    const userinfo = { url: '/userinfo', headers: { origin, ...bearer(response.json().access_token) } }
    const revoke = { ...post(`token=${response.json().access_token}`), url: '/revoke' }
    for (const answer of [response, await app.inject(userinfo), await app.inject(revoke)]) {
      expect(answer.statusCode).toBe(200)
      expect(corsHeaders(answer.headers)).toEqual(readable)
    }
  })

  test('an answer to another origin, or to none, has only Vary: Origin', async () => {
    for (const from of ['https://evil.example.com', undefined]) {
      const { headers } = await app.inject({ url: '/userinfo', headers: from === undefined ? {} : { origin: from } })
      expect(corsHeaders(headers)).toEqual({ vary: 'Origin' })
    }
  })

  const refusals: [string, () => InjectOptions, number][] = [
    ['a wrong password', () => post(passwordForm({ ...user, password: 'wrong' })), 400],
    ['a client that is none', () => post(passwordForm(user), basic('nobody', 'x')), 401],
    ['a body that is too long', () => post(`x=${'a'.repeat(16 * 1024)}`), 413],
    ['another method', () => ({ ...post(''), method: 'PUT' }), 405],
    ['another method at /userinfo', () => ({ url: '/userinfo', method: 'DELETE', headers: { origin } }), 405],
    ['another method at /seats', () => ({ url: '/seats', method: 'DELETE', headers: { origin } }), 405],
    ['no token at /seats/{id}', () => ({ url: seat, method: 'DELETE', headers: { origin } }), 401],
    ['no token', () => ({ url: '/userinfo', headers: { origin } }), 401],
    ['a malformed header', () => ({ url: '/userinfo', headers: { origin, authorization: 'Bearer a b' } }), 400],
    ['nothing to revoke', () => ({ ...post(''), url: '/revoke' }), 400],
  ]
  test.each(refusals)('a refusal may be read too: %s', async (_title, request, status) => {
    const response = await app.inject(request())
    expect(response.statusCode).toBe(status)
    expect(corsHeaders(response.headers)).toEqual(readable)
  })

  test('a 503 may be read too', async () => {
    const lost = await serverWithoutDatabase()
    for (const request of [
      post(passwordForm(user)),
      { url: '/userinfo', headers: { origin, ...bearer('x'.repeat(72)) } },
      { ...post('token=x'), url: '/revoke' },
    ]) {
      const response = await lost.inject(request)
      expect(corsHeaders(response.headers)).toEqual(readable)
      if (request.url !== '/userinfo') expect(response.statusCode).toBe(503)
    }
  })
})

describe('CORS_ORIGINS with every dialect', async () => {
  const { device, ...others } = dialects
  const options = { corsOrigins, throttle: false }
  const { app, database } = await testServer({ ...options, dialects: [...Object.values(others), device] })
  const { app: without } = await testServer({ ...options, dialects: Object.values(others) })
  const user = await addUser(database)

  test.each(['/v2/token', '/V2/Token', '/v1/oauth/', '/v1/oauth', '/V1/OAUTH/', '/auth/login', '/AUTH/LOGIN'])(
    'a preflight of %s is answered',
    async (url) => {
      const response = await app.inject(preflight(url))
      expect([response.statusCode, response.body]).toEqual([204, ''])
      expect(corsHeaders(response.headers)).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, POST, DELETE',
      })
    },
  )

  test('a token header is allowed only where its dialect is mounted', async () => {
    const allowed = async (on: FastifyInstance, url: string) =>
      (await on.inject(preflight(url))).headers['access-control-allow-headers']
    for (const url of ['/userinfo', '/seats', seat, '/Token']) {
      expect(await allowed(app, url)).toBe('Authorization, Content-Type, x-access-token')
      expect(await allowed(without, url)).toBe('Authorization, Content-Type')
    }
  })

  test('an unmounted dialect answers no preflight', async () => {
    const response = await without.inject(preflight('/auth/login'))
    expect([response.statusCode, corsHeaders(response.headers)]).toEqual([404, {}])
  })

  test('a preflight of another origin is refused in the format of the dialect', async () => {
    const evil = 'https://evil.example.com'
    const [session, envelope] = [
      await app.inject(preflight('/v2/token', evil)),
      await app.inject(preflight('/v1/oauth/', evil)),
    ]
    expect([session.statusCode, session.json().error]).toEqual([405, 'invalid_request'])
    expect([envelope.statusCode, envelope.json().success]).toEqual([405, false])
    for (const { headers } of [session, envelope]) {
      expect(corsHeaders(headers)['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('a page of a listed origin signs in, lists its seats and ends one', async () => {
    const body = { grant_type: 'password', userName: user.name, password: user.password, clientKey: 'page' }
    const signedIn = await app.inject({ method: 'POST', url: '/v2/token', headers: { origin }, body })
    const headers = { origin, ...bearer(keepSecret(signedIn.json().access_token)) }
    const listed = await app.inject({ url: '/seats', headers })
    const url = `/seats/${listed.json()[0].id}`
    const ended = await app.inject({ method: 'DELETE', url, headers })
    const refused = await app.inject({ url: '/seats', headers })
    const answers = [signedIn, listed, ended, refused]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 204, 401])
    for (const answer of answers) {
      expect(String(answer.headers.vary).split(', ')).toContain('Origin') // beside what an answer varies by itself
      expect(corsHeaders(answer.headers)).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-expose-headers':
          'WWW-Authenticate, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset',
      })
    }
  })

  test('a refusal may be read in every dialect', async () => {
    for (const url of ['/v2/token', '/v1/oauth/', '/auth/login']) {
      const { headers } = await app.inject({ method: 'POST', url, headers: { origin, 'content-type': form }, body: '' })
      expect(corsHeaders(headers), url).toMatchObject({ 'access-control-allow-origin': origin })
    }
  })
})

describe('without CORS_ORIGINS', async () => {
  const { app, database } = await testServer()
  const client = await addClient(database)
  const user = await addUser(database)

  test('OPTIONS is refused like any other method, from every origin', async () => {
    for (const url of ['/Token', '/userinfo', '/revoke', '/introspect', '/seats', seat]) {
      const response = await app.inject(preflight(url))
      expect([response.statusCode, response.headers.allow]).toEqual([405, expect.any(String)])
      expect(corsHeaders(response.headers)).toEqual({})
    }
    expect((await app.inject(preflight('/nothing'))).statusCode).toBe(404)
  })

  test('no answer has a CORS header', async () => {
    const { access_token: value } = (await askForToken(app, { client, user })).json()
    const answers = [
      await app.inject({ url: '/userinfo', headers: { origin, ...bearer(value) } }),
      await app.inject({ url: '/userinfo', headers: { origin } }),
      await app.inject({ method: 'POST', url: '/Token', headers: { origin, 'content-type': form }, body: '' }),
    ]
    for (const { headers } of answers) expect(corsHeaders(headers)).toEqual({})
  })
})

const readable = {
  'access-control-allow-origin': origin,
  'access-control-expose-headers': 'WWW-Authenticate, Retry-After',
  vary: 'Origin',
}

function corsHeaders(headers: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name === 'vary' || name.startsWith('access-control-')),
  )
}

async function serverWithoutDatabase(): Promise<FastifyInstance> {
  const database = await openDatabase('postgres://nobody@127.0.0.1:1/none')
  const app = await createServer(database, pino({ level: 'trace' }, logLines), { ...plainOptions, corsOrigins })
  afterAll(async () => {
    await app.close()
    await database.close()
  })
  return app
}
