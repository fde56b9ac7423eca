import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { openDatabase } from '../../src/database/postgres.ts'
import { pathInAnyCase } from '../../src/http/path-pattern.ts'
import { createServer } from '../../src/server.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords } from '../support/people.ts'
import { askForToken, basic, bearer } from '../support/requests.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const text = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')
const document: Document = parse(text)
const wellKnown = '/.well-known/oauth-authorization-server'

describe('openapi.yaml describes what the server does', async () => {
  const { app, database } = await testServer()
  const full = await testServer({ passwords: { ...cheapPasswords, concurrency: 1, queueLimit: 0 } })
  const broken = await testServer()
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
    test('what is served is described', async () => {
      const described = describedOperations().map(({ method, path }) => `${method} ${path}`)
      const served = await servedOperations(app, Object.keys(document.paths))
      expect(served.sort()).toEqual(described.sort())
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
      await database.query('', `${set} issued_at = now() - interval '2 s', expires_at = now() - interval '1 s'`)
      await expectSentence('expired', withToken(last))
      await database.query('', `${set} revoked_at = now()`)
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
    test('a server that is well', async () => {
      expectDescribed(await app.inject('/health/live'), 'GET /health/live', 200)
      expectDescribed(await app.inject('/health/ready'), 'GET /health/ready', 200)
    })

    test('a database that is not migrated', async () => {
      const response = await unready.inject('/health/ready')
      expectDescribed(response, 'GET /health/ready', 503)
      expect(response.json().reason).toBe('the database is not migrated')
    })
  })

  test('while the database is away', async () => {
    expectDescribed(await lost.inject('/health/live'), 'GET /health/live', 200)
    expectDescribed(await lost.inject('/health/ready'), 'GET /health/ready', 503)
    expectDescribed(await lost.inject(post(form(signIn))), 'POST /Token', 503)
    expectDescribed(await lost.inject({ ...post(form(signIn)), method: 'GET' }), 'GET /Token', 503)
    const { access_token: value } = (await askForToken(app, { client, user })).json()
    expectDescribed(await lost.inject(withToken(value)), 'GET /userinfo', 503)
  })

  test('a fault of the server’s own', async () => {
    const asked = { client: await addClient(broken.database), user: await addUser(broken.database) }
    const { access_token: value } = (await askForToken(broken.app, asked)).json()
    await broken.database.query('', 'alter table password_grant.tokens rename column issued_at to moved')
    expectDescribed(await askForToken(broken.app, asked), 'POST /Token', 500)
    expectDescribed(await broken.app.inject(withToken(value)), 'GET /userinfo', 500)
    const named = post(form({ token: value }), basic(asked.client.id, asked.client.secret))
    expectDescribed(await broken.app.inject({ ...named, url: '/introspect' }), 'POST /introspect', 500)
    await broken.database.query('', 'alter table password_grant.tokens rename column revoked_at to gone')
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

interface Described {
  headers?: Record<string, { required?: boolean; schema: object }>
  content?: Record<string, { schema: object; examples?: Record<string, { value: unknown }> }>
}

interface Document {
  info: { version: string }
  paths: Record<string, Record<string, { responses: Record<string, Described> }>>
  components: { schemas: Record<string, { required?: string[] }> }
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

const ajv = new Ajv2020({ strict: true, allErrors: true, keywords: ['example'] })
addFormats.default(ajv)

const seen = new Set<string>()

/** Status, body and headers are as described for an operation (`POST /Token`). */
function expectDescribed(response: LightMyRequestResponse | undefined, operation: string, status: number): void {
  const [method = '', path = ''] = operation.split(' ')
  expect(response?.statusCode).toBe(status)
  if (response === undefined) return
  const described = document.paths[path]?.[method.toLowerCase()]?.responses[status]
  expect(described, `${operation} ${status} is described`).toBeDefined()
  seen.add(`${operation} ${status}`)
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

function expectContent(
  response: LightMyRequestResponse,
  operation: string,
  content: NonNullable<Described['content']>,
) {
  const [mediaType = ''] = String(response.headers['content-type']).split(';')
  const { schema } = content[mediaType] ?? {}
  expect(schema, `${operation} ${response.statusCode} is described as ${mediaType}`).toBeDefined()
  expectValid(schema, mediaType === 'application/json' ? response.json() : response.body)
}

function expectValid(schema: object | undefined, value: unknown): void {
  const validate = ajv.compile(schema ?? false)
  validate(value)
  expect(validate.errors ?? []).toEqual([])
}

const plainHeaders = ['content-type', 'content-length', 'date', 'connection', 'keep-alive']

function undescribedHeaders(response: LightMyRequestResponse, described: object): string[] {
  const names = Object.keys(described).map((name) => name.toLowerCase())
  return Object.keys(response.headers).filter((name) => ![...plainHeaders, ...names].includes(name))
}

function describedOperations() {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([name]) => name === 'get' || name === 'post')
      .map(([method, { responses }]) => ({ method: method.toUpperCase(), path, responses })),
  )
}

/** What the router knows, less HEAD beside GET and the methods that a path only refuses. */
async function servedOperations(app: FastifyInstance, paths: readonly string[]): Promise<string[]> {
  const written = new Map(paths.map((path) => [pathInAnyCase(path), path]))
  const lines = app.printRoutes({ commonPrefix: false }).split('\n')
  const routed = lines.flatMap((line) => {
    const [, url = '', methods = ''] = /(\/.*) \(([A-Z, -]+)\)$/.exec(line) ?? []
    const answered = methods.split(', ').filter((method) => method === 'GET' || method === 'POST')
    return answered.map((method) => ({ method: method as 'GET' | 'POST', url: written.get(url) ?? url }))
  })
  const statuses = await Promise.all(routed.map(async (route) => (await app.inject(route)).statusCode))
  return routed.filter((_, index) => statuses[index] !== 405).map(({ method, url }) => `${method} ${url}`)
}

/** A server on a database that is not as it should be; closed after the file. */
async function serverOn(url: string): Promise<FastifyInstance> {
  const database = await openDatabase(url)
  const app = await createServer(database, pino({ level: 'trace' }, logLines), plainOptions)
  afterAll(async () => {
    await app.close()
    await database.close()
  })
  return app
}
