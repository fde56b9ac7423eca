import { createHmac, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { dialects } from '../../src/dialects/index.ts'
import { spellings } from '../../src/http/routes/token-route.ts'
import { createServer } from '../../src/server.ts'
import { defaultThrottleOptions } from '../../src/throttle/throttle.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { askForToken, basic, bearer } from '../support/requests.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const text = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')
const document: Document = parse(text)
const all: readonly Dialect[] = Object.values(dialects)
const wellKnown = '/.well-known/oauth-authorization-server'

describe('openapi.yaml describes what the server does', async () => {
  const { app, database } = await testServer({
    dialects: all,
    throttle: { ...defaultThrottleOptions, freeAttempts: 1_000 },
  })
  const full = await testServer({
    dialects: all,
    passwords: { ...cheapPasswords, memoryKib: 16_384, concurrency: 1, queueLimit: 0 },
  })
  const broken = await testServer({ dialects: all })
  const unready = await serverOn((await freshDatabase({ isMigrated: false })).url)
  const lost = await serverOn('postgres://nobody@127.0.0.1:1/none')
  const client = await addClient(database)
  const publicClient = await addClient(database, { secret: 'public' })
  const user = await addUser(database)
  const signIn = { grant_type: 'password', username: user.name, password: user.password }
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  const post = (body: string, headers: Record<string, string> = basic(client.id, client.secret)): InjectOptions => ({
    method: 'POST',
    url: '/Token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
  })
  const withToken = (value: string): InjectOptions => ({ url: '/userinfo', headers: bearer(keepSecret(value)) })

  describe('every route, and no other', () => {
    test('describes each served route', async () => {
      const described = describedOperations().map(({ method, path }) => `${method} ${path}`)
      expect((await servedOperations(app, all)).sort()).toEqual(described.sort())
    })

    test.each(all)('serves each route of the dialect $name only where it is on', async (dialect) => {
      const alone = await serverOn('postgres://nobody@127.0.0.1:1/none', [dialect])
      const described = describedOperations().filter(({ needs }) => needs === undefined || needs === dialect.name)
      const served = await servedOperations(alone, [dialect])
      expect(served.sort()).toEqual(described.map(({ method, path }) => `${method} ${path}`).sort())
      expect(document.paths[dialect.path]).toMatchObject({ 'x-dialect': dialect.name })
    })

    test('of this version', () => {
      const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
      expect(document.info.version).toBe(manifest.version)
    })

    test('GET /openapi.yaml sends the file', async () => {
      const response = await app.inject('/openapi.yaml')
      expectDescribed(response, 'GET /openapi.yaml', 200)
      expect(response.body).toBe(text)
    })
  })

  describe('a token', () => {
    test('by Basic', async () => {
      const response = await askForToken(app, { client, user })
      expectDescribed(response, 'POST /Token', 200)
      expect(Object.keys(response.json())).toEqual(document.components.schemas['Token']?.required)
    })

    test('by fields, and for a public client', async () => {
      for (const { id, secret } of [client, publicClient]) {
        const proof = secret === '' ? { client_id: id } : { client_id: id, client_secret: secret }
        const response = await app.inject(post(form({ ...signIn, ...proof }), {}))
        keepSecret(response.json().access_token)
        expectDescribed(response, 'POST /Token', 200)
      }
    })

    test('by the body of a GET', async () => {
      const response = await app.inject({ ...post(form(signIn)), method: 'GET' })
      keepSecret(response.json().access_token)
      expectDescribed(response, 'GET /Token', 200)
    })

    test('for a user without a role', async () => {
      const plain = await addUser(database, { role: '' })
      const response = await askForToken(app, { client, user: plain })
      expectDescribed(response, 'POST /Token', 200)
      expectDescribed(await app.inject(withToken(response.json().access_token)), 'GET /userinfo', 200)
    })
  })

  describe('refusals of /Token', () => {
    const refused: [string, () => InjectOptions, number, string][] = [
      ['a missing field', () => post(form({ ...signIn, username: '' })), 400, 'invalid_request'],
      ['a repeated field', () => post(`${form(signIn)}&username=x`), 400, 'invalid_request'],
      ['an unreadable body', () => post('grant_type=password&username=%zz'), 400, 'invalid_request'],
      ['a body that is no form', () => post(JSON.stringify(signIn)), 400, 'invalid_request'],
      ['two proofs', () => post(form({ ...signIn, client_secret: 'x' })), 400, 'invalid_request'],
      ['two client ids', () => post(form({ ...signIn, client_id: 'another' })), 400, 'invalid_request'],
      ['no grant_type', () => post(form({ ...signIn, grant_type: '' })), 400, 'invalid_request'],
      ['another grant_type', () => post(form({ ...signIn, grant_type: 'code' })), 400, 'unsupported_grant_type'],
      ['an unknown user', () => post(form({ ...signIn, username: 'nobody' })), 400, 'invalid_grant'],
      ['a wrong password', () => post(form({ ...signIn, password: 'wrong' })), 400, 'invalid_grant'],
      ['no client', () => post(form(signIn), {}), 401, 'invalid_client'],
      ['an unknown client', () => post(form(signIn), basic('nobody', 'x')), 401, 'invalid_client'],
      ['a wrong secret', () => post(form(signIn), basic(client.id, 'wrong')), 401, 'invalid_client'],
      ['another scheme', () => post(form(signIn), { authorization: 'Digest x' }), 401, 'invalid_client'],
      ['a long body', () => post(`x=${'a'.repeat(16 * 1024)}`), 413, 'invalid_request'],
    ]

    test.each(refused)('%s', async (_situation, request, status, error) => {
      for (const method of ['POST', 'GET'] as const) {
        const response = await app.inject({ ...request(), method })
        expectDescribed(response, `${method} /Token`, status)
        expect(response.json().error).toBe(error)
      }
    })

    test('another method', async () => {
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
        expectDescribed(await app.inject({ ...post(form(signIn)), method }), 'POST /Token', 405)
      }
      const head = await app.inject({ method: 'HEAD', url: '/Token' })
      expect([head.statusCode, head.headers.allow]).toEqual([405, 'GET, POST'])
    })

    test('a full queue', async () => {
      const asked = { client: await addClient(full.database), user: await addUser(full.database) }
      const responses = await Promise.all(Array.from({ length: 8 }, () => askForToken(full.app, asked)))
      const refusal = responses.find(({ statusCode }) => statusCode !== 200)
      expectDescribed(refusal, 'POST /Token', 503)
    })
  })

  describe('/userinfo', () => {
    test('a live token', async () => {
      const { access_token: value } = (await askForToken(app, { client, user })).json()
      expectDescribed(await app.inject(withToken(value)), 'GET /userinfo', 200)
    })

    test('each kind of dead token has its described sentence', async () => {
      const examples = document.paths['/userinfo']?.['get']?.responses['401']?.content?.['application/json']?.examples
      const superseded = (await askForToken(app, { client, user })).json().access_token
      const last = (await askForToken(app, { client, user })).json().access_token
      const expectSentence = async (kind: string, request: InjectOptions) => {
        const response = await app.inject(request)
        expectDescribed(response, 'GET /userinfo', 401)
        expect(response.json()).toEqual(examples?.[kind]?.value)
      }
      await expectSentence('superseded', withToken(superseded))
      await expectSentence('unknown', withToken('x'))
      await expectSentence('none', { url: '/userinfo' })
      const set = 'update password_grant.tokens set'
      await database.script(`${set} issued_at = now() - interval '2 s', expires_at = now() - interval '1 s'`)
      await expectSentence('expired', withToken(last))
      await database.script(`${set} revoked_at = now()`)
      await expectSentence('revoked', withToken(last))
    })

    test('another method', async () => {
      for (const method of ['POST', 'PUT', 'OPTIONS'] as const) {
        expectDescribed(await app.inject({ url: '/userinfo', method }), 'GET /userinfo', 405)
      }
    })

    test('a malformed header', async () => {
      const request = { url: '/userinfo', headers: { authorization: 'Bearer one two' } }
      expectDescribed(await app.inject(request), 'GET /userinfo', 400)
    })
  })

  describe('/v2/token', () => {
    const operation = 'POST /v2/token'
    const session = (body: string, type = 'application/x-www-form-urlencoded', accept?: string): InjectOptions => ({
      method: 'POST',
      url: '/v2/token',
      headers: { ...(type === '' ? {} : { 'content-type': type }), ...(accept ? { accept } : {}) },
      body,
    })
    const xml = (inside: string) => {
      const { name, namespace } = document.components.schemas['SessionRequest']?.xml ?? {}
      return `<${name} xmlns="${namespace}">${inside}</${name}>`
    }
    const bodies: [type: string, body: string][] = [
      ['application/x-www-form-urlencoded', form(signIn)],
      ['application/json', JSON.stringify(signIn)],
      ['text/json', JSON.stringify(signIn)],
      ['text/javascript', JSON.stringify(signIn)],
      ['application/xml', xml(elements(signIn))],
      ['text/xml', xml(elements(signIn))],
    ]

    test('the described bodies are those tried here', () => {
      const { content } = document.paths['/v2/token']?.['post']?.requestBody ?? {}
      expect(Object.keys(content ?? {})).toEqual(bodies.map(([type]) => type))
    })

    test.each(bodies)('%s, with every described answer', async (type, body) => {
      for (const accept of ['application/json', 'text/json', 'text/javascript', 'application/xml', 'text/xml']) {
        const response = await app.inject(session(body, type, accept))
        expectDescribed(response, operation, 200, accept)
        keepSecret(/access_token(?:":"|>)([\w-]+)/.exec(response.body)?.[1] ?? '')
      }
    })

    test('its fields in the order that is described', async () => {
      const response = await app.inject(session(form({ ...signIn, clientKey: 'reading-room' })))
      keepSecret(response.json().access_token)
      expectDescribed(response, operation, 200)
      expect(Object.keys(response.json())).toEqual(document.components.schemas['SessionToken']?.required)
    })

    const json = 'application/json'
    const refused: [string, example: string, () => InjectOptions, number][] = [
      ['a wrong password', 'invalid_grant', () => session(form({ ...signIn, password: 'wrong' })), 400],
      ['a missing field', 'missing', () => session(JSON.stringify({ ...signIn, username: null }), json), 400],
      ['a repeated field', 'repeated', () => session(`${form(signIn)}&userName=x`), 400],
      ['a long clientKey', 'label', () => session(form({ ...signIn, clientKey: 'x'.repeat(201) })), 400],
      ['no JSON', 'notJson', () => session(form(signIn), json), 400],
      ['no XML', 'notXml', () => session(form(signIn), 'text/xml', json), 400],
      ['a document type', 'documentType', () => session(`<!DOCTYPE x>${xml(elements(signIn))}`, 'text/xml', json), 400],
      ['other XML', 'otherXml', () => session('<OAuthRequest/>', 'text/xml', json), 400],
      ['another grant_type', 'grantType', () => session(form({ ...signIn, grant_type: 'code' })), 400],
      ['a long body', '', () => session(`x=${'a'.repeat(16 * 1024)}`), 413],
      ['another type', '', () => session(form(signIn), 'text/plain'), 415],
      ['another method', '', () => ({ ...session(form(signIn)), method: 'PUT' }), 405],
    ]
    test.each(refused)('refusals: %s', async (_situation, example, request, status) => {
      const response = await app.inject(request())
      expectDescribed(response, operation, status)
      expectExample(response, operation, example)
      for (const accept of ['text/xml', 'application/xml', 'text/javascript', 'text/json']) {
        const { headers = {}, ...rest } = request()
        expectDescribed(await app.inject({ ...rest, headers: { ...headers, accept } }), operation, status, accept)
      }
    })
  })

  describe('/v1/oauth/', () => {
    const operation = 'POST /v1/oauth/'
    const { username, password } = signIn
    const envelope = (fields: Record<string, string>, query: Record<string, string> = {}): InjectOptions => ({
      ...post(form(fields), {}),
      url: `/v1/oauth/?${form(query)}`,
    })

    test('a form, multipart and the query', async () => {
      const multipart = new FormData()
      for (const [name, value] of Object.entries({ username, password })) multipart.append(name, value)
      const whole = new Response(multipart)
      const headers = { 'content-type': whole.headers.get('content-type') ?? '' }
      const requests = [
        envelope({ username, password, 'device-info': 'tablet' }),
        { ...envelope({}), headers, body: await whole.text() },
        envelope({}, { username, password }),
      ]
      for (const request of requests) {
        const response = await app.inject(request)
        expect(response.json().success).toBe(true)
        keepSecret(response.json().data.access_token)
        expectDescribed(response, operation, 200)
      }
    })

    const refused: [string, example: string, () => InjectOptions, number][] = [
      ['a missing field', 'missing', () => envelope({ username }), 200],
      ['a wrong password', 'wrong', () => envelope({ username, password: 'wrong' }), 200],
      ['a field in form and query', '', () => envelope({ username, password }, { username }), 400],
      ['a long device-info', '', () => envelope({ username, password, 'device-info': 'x'.repeat(201) }), 400],
      ['a long body', '', () => envelope({ x: 'x'.repeat(16 * 1024) }), 400],
      ['another method', '', () => ({ ...envelope({ username, password }), method: 'GET' }), 405],
    ]
    test.each(refused)('refusals: %s', async (_situation, example, request, status) => {
      const response = await app.inject(request())
      expectDescribed(response, operation, status)
      expectExample(response, operation, example)
    })

    test('Authorization: Token is answered in the envelope', async () => {
      const { access_token: value } = (await app.inject(envelope({ username, password }))).json().data
      const headers = { authorization: `Token ${keepSecret(value)}` }
      const seats: { id: string; current: boolean }[] = (await app.inject({ url: '/seats', headers })).json().data
      const id = seats.find(({ current }) => current)?.id
      const asked: [string, InjectOptions, number, string][] = [
        ['GET /userinfo', { url: '/userinfo' }, 200, ''],
        ['GET /seats', { url: '/seats' }, 200, ''],
        ['DELETE /seats/{id}', { url: `/seats/${randomUUID()}`, method: 'DELETE' }, 404, 'enveloped'],
        ['GET /userinfo', { url: '/userinfo', method: 'POST' }, 405, 'enveloped'],
        ['GET /seats', { url: '/seats', method: 'PUT' }, 405, 'enveloped'],
        ['GET /userinfo', { url: '/userinfo', headers: { authorization: 'Token x' } }, 401, 'tokenDead'],
        ['GET /seats', { url: '/seats', headers: { authorization: 'Token' } }, 401, 'tokenMissing'],
        ['DELETE /seats/{id}', { url: `/seats/${id}`, method: 'DELETE' }, 204, ''],
        ['DELETE /seats/{id}', { url: `/seats/${id}`, method: 'DELETE' }, 401, 'tokenDead'],
      ]
      for (const [holder, request, status, example] of asked) {
        const response = await app.inject({ headers, ...request })
        expectDescribed(response, holder, status)
        if (example !== '') expectExample(response, holder, example)
        if (status !== 204) expect(response.json().success).toBe(status === 200)
      }
    })
  })

  describe('/auth/login', () => {
    const operation = 'POST /auth/login'

    test('a device signs in, and its token is known', async () => {
      const device = await addDevice(database)
      const response = await app.inject(login(signTime(device)))
      const { token } = response.json()
      expectDescribed(response, operation, 200)
      const headers = { 'x-access-token': keepSecret(token) }
      expectDescribed(await app.inject({ url: '/userinfo', headers }), 'GET /userinfo', 200)
      const seats = await app.inject({ url: '/seats', headers })
      expectDescribed(seats, 'GET /seats', 200)
      const [{ id }] = seats.json()
      const end = { url: `/seats/${id}`, method: 'DELETE', headers } as const
      expectDescribed(await app.inject(end), 'DELETE /seats/{id}', 204)
      expectDescribed(await app.inject({ url: '/userinfo', headers }), 'GET /userinfo', 401)
      const keys = await app.inject('/.well-known/jwks.json')
      expectDescribed(keys, 'GET /.well-known/jwks.json', 200)
      expect(keys.json().keys).toHaveLength(1)
    })

    const refused: [string, example: string, (signed: Signed) => object | string, number][] = [
      ['a missing field', 'missing', (signed) => ({ ...signed, device_key: '' }), 400],
      ['no time', 'timestamp', (signed) => ({ ...signed, timestamp: 'now' }), 400],
      ['no JSON', 'notJson', () => 'x', 400],
      ['a wrong signature', '', (signed) => ({ ...signed, device_signature: '0'.repeat(64) }), 401],
      ['an unknown device', '', (signed) => ({ ...signed, device_key: 'nobody' }), 401],
      ['a long body', '', () => ({ x: 'x'.repeat(16 * 1024) }), 413],
    ]
    test('another content type', async () => {
      const response = await app.inject({ ...login({}), headers: { 'content-type': 'text/plain' } })
      expectDescribed(response, operation, 415)
      expectExample(response, operation)
    })

    test.each(refused)('refusals: %s', async (_situation, example, change, status) => {
      const response = await app.inject(login(change(signTime(await addDevice(database)))))
      expectDescribed(response, operation, status)
      expectExample(response, operation, example)
    })

    test('another method', async () => {
      for (const method of ['GET', 'DELETE', 'OPTIONS'] as const) {
        expectDescribed(await app.inject({ ...login({}), method }), operation, 405)
      }
    })

    test('the eleventh attempt within a minute', async () => {
      const signed = signTime(await addDevice(database))
      const responses = []
      for (let attempt = 0; attempt < 11; attempt += 1) responses.push(await app.inject(login(signed)))
      expect(responses.map(({ statusCode }) => statusCode)).toEqual([200, ...Array(9).fill(401), 429])
      keepSecret(responses[0]?.json().token)
      expectDescribed(responses[10], operation, 429)
      expectExample(responses[10], operation)
    })
  })

  test('a page of another origin', async () => {
    const { app } = await testServer({ dialects: all })
    const paths = ['/Token', '/v2/token', '/v1/oauth/', '/auth/login', '/introspect', '/revoke']
    for (const url of paths) {
      const headers = { 'sec-fetch-site': 'cross-site', 'content-type': 'application/x-www-form-urlencoded' }
      const response = await app.inject({ method: 'POST', url, headers, body: '' })
      expectDescribed(response, `POST ${url}`, 403)
      expectExample(response, `POST ${url}`)
    }
    for (const accept of ['text/xml', 'application/xml', 'text/javascript', 'text/json']) {
      const headers = { 'sec-fetch-site': 'cross-site', accept }
      expectDescribed(await app.inject({ method: 'POST', url: '/v2/token', headers }), 'POST /v2/token', 403, accept)
    }
  })

  test('a dialect that is closed', async () => {
    const { app, database } = await testServer({
      dialects: all,
      throttle: { ...defaultThrottleOptions, freeAttempts: 1_000 },
    })
    await database.script('update password_grant.clients set is_enabled = false')
    const ways = { 'POST /v2/token': '/v2/token', 'POST /v1/oauth/': '/v1/oauth/', 'POST /auth/login': '/auth/login' }
    for (const [operation, url] of Object.entries(ways)) {
      const asked = url === '/auth/login' ? login({ device_key: 'x' }) : { ...post(form(signIn), {}), url }
      const response = await app.inject(asked)
      expectDescribed(response, operation, 404)
      expectExample(response, operation)
    }
  })

  describe('seats', () => {
    const at = (value: string, url = '/seats'): InjectOptions => ({ url, headers: bearer(value) })
    const end = (value: string, id: string): InjectOptions => ({ ...at(value, `/seats/${id}`), method: 'DELETE' })

    test('are listed and ended', async () => {
      const { access_token: value } = (await askForToken(app, { client, user })).json()
      const response = await app.inject(at(value))
      expectDescribed(response, 'GET /seats', 200)
      const [{ id }] = response.json()
      expectDescribed(await app.inject(end(value, randomUUID())), 'DELETE /seats/{id}', 404)
      expectDescribed(await app.inject(end(value, id)), 'DELETE /seats/{id}', 204)
      expectDescribed(await app.inject(end(value, id)), 'DELETE /seats/{id}', 401)
      expectDescribed(await app.inject(at(value)), 'GET /seats', 401)
    })

    test('refusals', async () => {
      const malformed = { headers: { authorization: 'Bearer one two' } }
      expectDescribed(await app.inject({ url: '/seats', ...malformed }), 'GET /seats', 400)
      expectDescribed(await app.inject({ ...end('x', randomUUID()), ...malformed }), 'DELETE /seats/{id}', 400)
      for (const method of ['POST', 'PUT', 'OPTIONS'] as const) {
        expectDescribed(await app.inject({ ...at('x'), method }), 'GET /seats', 405)
        expectDescribed(await app.inject({ ...end('x', randomUUID()), method }), 'DELETE /seats/{id}', 405)
      }
    })
  })

  describe.each(['/introspect', '/revoke'])('%s', (url) => {
    const send = (fields: Record<string, string>, more: InjectOptions = {}): InjectOptions => ({
      ...post(form(fields)),
      url,
      ...more,
    })
    const operation = `POST ${url}`

    test('a live token, and then a dead one', async () => {
      const { access_token: value } = (await askForToken(app, { client, user })).json()
      expectDescribed(await app.inject(send({ token: value })), operation, 200)
      expectDescribed(await app.inject(send({ token: 'x' })), operation, 200)
    })

    test('refusals', async () => {
      expectDescribed(await app.inject(send({})), operation, 400)
      expectDescribed(await app.inject(send({ token: 'x' }, { headers: {} })), operation, 401)
      expectDescribed(await app.inject(send({ token: 'a'.repeat(16 * 1024) })), operation, 413)
      for (const method of ['GET', 'PUT', 'OPTIONS'] as const) {
        expectDescribed(await app.inject(send({}, { method })), operation, 405)
      }
      expectDescribed(await lost.inject(send({ token: 'x' })), operation, 503)
    })
  })

  test('another client’s token is left alone', async () => {
    const { access_token: value } = (await askForToken(app, { client, user })).json()
    const other = await addClient(database)
    const foreign = post(form({ token: value }), basic(other.id, other.secret))
    expectDescribed(await app.inject({ ...foreign, url: '/revoke' }), 'POST /revoke', 400)
  })

  test('the metadata', async () => {
    expectDescribed(await app.inject(`${wellKnown}`), `GET ${wellKnown}`, 200)
  })

  describe('health', () => {
    test('a healthy server', async () => {
      expectDescribed(await app.inject('/health/live'), 'GET /health/live', 200)
      expectDescribed(await app.inject('/health/ready'), 'GET /health/ready', 200)
    })

    test('a database that is not migrated', async () => {
      const response = await unready.inject('/health/ready')
      expectDescribed(response, 'GET /health/ready', 503)
      expect(response.json().reason).toBe('the database is not migrated')
    })
  })

  test('too many attempts, in every form and at every endpoint', async () => {
    const { app, database } = await testServer({
      dialects: all,
      throttle: { ...defaultThrottleOptions, freeAttempts: 1 },
    })
    const wrong = { grant_type: 'password', username: randomWord(), password: 'wrong' }
    const proof = { client_id: (await addClient(database, { secret: 'public' })).id }
    await app.inject(post(form({ ...wrong, ...proof }), {})) // nothing is free but the first
    const guess = (url: string, accept = 'application/json') =>
      app.inject({ ...post(form({ ...wrong, ...proof }), { accept }), url })
    expectDescribed(await guess('/Token'), 'POST /Token', 429)
    expectDescribed(await app.inject({ ...post(form({ ...wrong, ...proof }), {}), method: 'GET' }), 'GET /Token', 429)
    for (const accept of ['application/json', 'text/json', 'text/javascript', 'application/xml', 'text/xml']) {
      expectDescribed(await guess('/v2/token', accept), 'POST /v2/token', 429, accept)
    }
    const enveloped = await guess('/v1/oauth/')
    expectDescribed(enveloped, 'POST /v1/oauth/', 429)
    expectExample(enveloped, 'POST /v1/oauth/')
    const { id } = await addClient(database)
    for (const url of ['/introspect', '/revoke']) {
      const guessed = { ...post(form({ token: 'x' }), basic(id, 'wrong')), url }
      await app.inject(guessed)
      expectDescribed(await app.inject(guessed), `POST ${url}`, 429)
    }
  })

  test('while the database is away', async () => {
    expectDescribed(await lost.inject('/health/live'), 'GET /health/live', 200)
    expectDescribed(await lost.inject('/health/ready'), 'GET /health/ready', 503)
    expectDescribed(await lost.inject(post(form(signIn))), 'POST /Token', 503)
    expectDescribed(await lost.inject({ ...post(form(signIn)), method: 'GET' }), 'GET /Token', 503)
    const { access_token: value } = (await askForToken(app, { client, user })).json()
    expectDescribed(await lost.inject(withToken(value)), 'GET /userinfo', 503)
    expectDescribed(await lost.inject({ ...withToken(value), url: '/seats' }), 'GET /seats', 503)
    const seat = { ...withToken(value), url: `/seats/${randomUUID()}`, method: 'DELETE' } as const
    expectDescribed(await lost.inject(seat), 'DELETE /seats/{id}', 503)
    for (const url of ['/v2/token', '/v1/oauth/']) {
      expectDescribed(await lost.inject({ ...post(form(signIn), {}), url }), `POST ${url}`, 503)
    }
    expectDescribed(await lost.inject(login({ device_key: 'x' })), 'POST /auth/login', 503)
    expectDescribed(await lost.inject('/.well-known/jwks.json'), 'GET /.well-known/jwks.json', 503)
    for (const [operation, request] of Object.entries(holders)) {
      const response = await lost.inject({ ...request, headers: { authorization: `Token ${value}` } })
      expectDescribed(response, operation, 503)
      expectExample(response, operation, 'enveloped')
    }
  })

  test('a fault of the server’s own', async () => {
    const asked = { client: await addClient(broken.database), user: await addUser(broken.database) }
    const { access_token: value } = (await askForToken(broken.app, asked)).json()
    await broken.database.script('alter table password_grant.tokens rename column issued_at to moved')
    expectDescribed(await askForToken(broken.app, asked), 'POST /Token', 500)
    const { user } = asked
    const signIn = { grant_type: 'password', username: user.name, password: user.password }
    for (const url of ['/v2/token', '/v1/oauth/']) {
      expectDescribed(await broken.app.inject({ ...post(form(signIn), {}), url }), `POST ${url}`, 500)
    }
    const device = await addDevice(broken.database)
    expectDescribed(await broken.app.inject(login(signTime(device))), 'POST /auth/login', 500)
    for (const [operation, request] of Object.entries(holders)) {
      const response = await broken.app.inject({ ...request, headers: { authorization: `Token ${value}` } })
      expectDescribed(response, operation, 500)
      expectExample(response, operation, 'enveloped')
    }
    await broken.database.script('alter table password_grant.signing_keys rename column public_key to moved')
    expectDescribed(await broken.app.inject('/.well-known/jwks.json'), 'GET /.well-known/jwks.json', 500)
    expectDescribed(await broken.app.inject(withToken(value)), 'GET /userinfo', 500)
    expectDescribed(await broken.app.inject({ ...withToken(value), url: '/seats' }), 'GET /seats', 500)
    const seat = { ...withToken(value), url: `/seats/${randomUUID()}`, method: 'DELETE' } as const
    expectDescribed(await broken.app.inject(seat), 'DELETE /seats/{id}', 500)
    const named = post(form({ token: value }), basic(asked.client.id, asked.client.secret))
    expectDescribed(await broken.app.inject({ ...named, url: '/introspect' }), 'POST /introspect', 500)
    await broken.database.script('alter table password_grant.tokens rename column revoked_at to gone')
    expectDescribed(await broken.app.inject({ ...named, url: '/revoke' }), 'POST /revoke', 500)
  })

  test('every described status was seen', () => {
    const described = describedOperations().flatMap(({ method, path, responses }) =>
      Object.keys(responses).map((status) => `${method} ${path} ${status}`),
    )
    // a fault behind POST and behind GET is the same one
    expect(described.filter((answer) => !seen.has(answer))).toEqual(['GET /Token 500'])
  })
})

/** What a device sends. */
interface Signed {
  readonly device_key: string
  readonly timestamp: number
  readonly device_signature: string
}

async function addDevice({ writes: query }: Database): Promise<{ deviceKey: string; customerKey: string }> {
  const device = { deviceKey: `device-${randomWord()}`, customerKey: keepSecret(randomWord()) }
  await registerDevice(query, plainOptions.encryptionKey as Buffer, device)
  return device
}

function signTime({ deviceKey, customerKey }: { deviceKey: string; customerKey: string }): Signed {
  const timestamp = Math.floor(Date.now() / 1_000)
  const signature = createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
  return { device_key: deviceKey, timestamp, device_signature: signature }
}

function login(body: object | string): InjectOptions {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { method: 'POST', url: '/auth/login', headers: { 'content-type': 'application/json' }, body: text }
}

/** One request to each endpoint for token holders. */
const holders: Record<string, InjectOptions> = {
  'GET /userinfo': { url: '/userinfo' },
  'GET /seats': { url: '/seats' },
  'DELETE /seats/{id}': { url: `/seats/${randomUUID()}`, method: 'DELETE' },
}

function elements(fields: Record<string, string>): string {
  return Object.entries(fields)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join('')
}

interface Described {
  headers?: Record<string, { required?: boolean; schema: object }>
  content?: Record<string, { schema: Schema; example?: unknown; examples?: Record<string, { value: unknown }> }>
}

interface Schema {
  required?: string[]
  xml?: { name: string; namespace?: string }
}

interface Operation {
  requestBody?: { content: object }
  responses: Record<string, Described>
}

interface Document {
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

// `$ref` may stand anywhere in the description: resolved once, so that the tests need not know
inline(document)

function inline(node: unknown): void {
  if (typeof node !== 'object' || node === null) return
  for (const [key, value] of Object.entries(node)) {
    const target = find(value?.$ref)
    if (target !== undefined) Object.assign(node, { [key]: target })
    else inline(value)
  }
}

function find(reference: unknown): unknown {
  if (typeof reference !== 'string') return undefined
  const names = reference.replace('#/', '').split('/')
  const target = names.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], document)
  inline(target)
  return target
}

// `type: [string, 'null']` is how OpenAPI 3.1 writes what may be null
const strictly = { strict: true, allErrors: true, allowUnionTypes: true, keywords: ['example', 'xml'] }
const ajv = addFormats.default(new Ajv2020(strictly))
/** In XML all is text. */
const xmlAjv = addFormats.default(new Ajv2020({ ...strictly, coerceTypes: true }))

const seen = new Set<string>()

/** Status, body and headers are as described for an operation (`POST /Token`); the body's type is as wanted. */
function expectDescribed(
  response: LightMyRequestResponse | undefined,
  operation: string,
  status: number,
  type = 'application/json',
): void {
  expect(response?.statusCode).toBe(status)
  if (response === undefined) return
  const described = findDescribed(operation, status)
  expect(described, `${operation} ${status} is described`).toBeDefined()
  seen.add(`${operation} ${status}`)
  if (type in (described?.content ?? {})) expect(response.headers['content-type']).toBe(`${type}; charset=utf-8`)
  if (described?.content) expectContent(response, operation, described.content)
  else expect(response.body, `${operation} ${status} is described without a body`).toBe('')
  const headers = described?.headers ?? {}
  for (const [name, header] of Object.entries(headers)) {
    const value = response.headers[name.toLowerCase()]
    expect(value, `${operation} ${status} sends ${name}`).toBeDefined()
    expectValid(header.schema, String(value))
  }
  expect(undescribedHeaders(response, headers)).toEqual([])
}

/** The body is the described example, of that name where there are several. */
function expectExample(response: LightMyRequestResponse | undefined, operation: string, name = ''): void {
  const { example, examples } = findDescribed(operation, response?.statusCode ?? 0)?.content?.['application/json'] ?? {}
  expect(response?.json()).toEqual(examples ? examples[name]?.value : example)
}

function findDescribed(operation: string, status: number): Described | undefined {
  const [method = '', path = ''] = operation.split(' ')
  return document.paths[path]?.[method.toLowerCase()]?.responses[status]
}

function expectContent(
  response: LightMyRequestResponse,
  operation: string,
  content: NonNullable<Described['content']>,
) {
  const [mediaType = ''] = String(response.headers['content-type']).split(';')
  const { schema } = content[mediaType] ?? {}
  expect(schema, `${operation} ${response.statusCode} is described as ${mediaType}`).toBeDefined()
  if (mediaType.endsWith('/xml')) expectValid(schema, readElements(response.body, schema?.xml), xmlAjv)
  else if (mediaType === 'application/yaml') expectValid(schema, response.body)
  else expectValid(schema, response.json())
}

/** The fields of flat XML whose root is as described. */
function readElements(body: string, xml: Schema['xml']): Record<string, string | null> {
  const [, root = '', attributes = '', inside = ''] = /^<(\w+)([^>]*)>(.*)<\/\1>$/.exec(body) ?? []
  expect(root).toBe(xml?.name)
  expect(/ xmlns="([^"]*)"/.exec(attributes)?.[1]).toBe(xml?.namespace)
  const fields = [...inside.matchAll(/<(\w+)(?: i:nil="true" \/>|>([^<]*)<\/\1>)/g)]
  expect(fields.map(([whole]) => whole).join('')).toBe(inside)
  return Object.fromEntries(fields.map(([, name = '', text]) => [name, text ?? null]))
}

function expectValid(schema: object | undefined, value: unknown, checker = ajv): void {
  const validate = checker.compile(schema ?? false)
  validate(value)
  expect(validate.errors ?? []).toEqual([])
}

const plainHeaders = ['content-type', 'content-length', 'date', 'connection', 'keep-alive']

function undescribedHeaders(response: LightMyRequestResponse, described: object): string[] {
  const names = Object.keys(described).map((name) => name.toLowerCase())
  return Object.keys(response.headers).filter((name) => ![...plainHeaders, ...names].includes(name))
}

/** Every operation, and the dialect it needs. */
function describedOperations() {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([name]) => ['get', 'post', 'delete'].includes(name))
      .map(([method, { responses }]) => {
        return { method: method.toUpperCase(), path, responses, needs: (item as { 'x-dialect'?: string })['x-dialect'] }
      }),
  )
}

/** What the router knows, less HEAD beside GET and the methods that a path only refuses. */
async function servedOperations(app: FastifyInstance, mounted: readonly Dialect[]): Promise<string[]> {
  await app.ready()
  const written = new Map(mounted.flatMap((dialect) => spellings(dialect, mounted).map((url) => [url, dialect.path])))
  const routed = routesOf(app).flatMap(({ url, methods }) =>
    methods
      .filter((method) => method === 'GET' || method === 'POST' || method === 'DELETE')
      .map((method) => ({ method, url: written.get(url) ?? url.replace(/:(\w+)/g, '{$1}') })),
  )
  const statuses = await Promise.all(routed.map(async (route) => (await app.inject(route)).statusCode))
  const answered = routed.filter((_, index) => statuses[index] !== 405).map(({ method, url }) => `${method} ${url}`)
  return [...new Set(answered)] // a path may have two spellings
}

/** The router's tree, in which a path that continues another is written below it, by what it adds. */
function routesOf(app: FastifyInstance): { url: string; methods: string[] }[] {
  const above: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', part = '', methods = ''] = /^([│ ]*)[├└]── (\/.*) \(([A-Z, -]+)\)$/.exec(line) ?? []
      const depth = indent.length / 4
      above.splice(depth, above.length, part)
      return part === '' ? [] : [{ url: above.join(''), methods: methods.split(', ') }]
    })
}

/** A server on a database that is not as it should be; closed after the file. */
async function serverOn(url: string, mounted = all): Promise<FastifyInstance> {
  const database = await openDatabase(url, { timeouts: patience })
  const app = await createServer(database, pino({ level: 'trace' }, logLines), { ...plainOptions, dialects: mounted })
  afterAll(async () => {
    await app.close()
    await database.close()
  })
  return app
}
