// Trial: newman runs the collection thirteen times
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, request as send } from 'node:http'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Database } from '../../src/database/database.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { readyServer, type ServerProcess } from '../support/processes.ts'
import { eventually, signInAt } from '../support/wire.ts'

// it comes without types: what follows is what is used of it
const newman: Newman = createRequire(import.meta.url)('newman')

interface Newman {
  run(options: RunOptions, done: (error: Error | null, summary: Summary) => void): void
}
interface RunOptions {
  readonly collection: unknown
  readonly environment: { readonly values: readonly Variable[] }
  readonly folder?: string
  readonly iterationCount?: number
  readonly delayRequest?: number
  readonly timeoutRequest: number
  readonly reporters: readonly string[]
}
interface Variable {
  readonly key: string
  readonly value: string
  readonly type: string
  readonly enabled: boolean
}
interface Summary {
  readonly run: {
    readonly executions: readonly Execution[]
    readonly failures: readonly { readonly error: Error; readonly source?: { readonly name: string } }[]
  }
  readonly environment: { get(name: string): string | undefined }
}
interface Execution {
  readonly item: { readonly name: string; parent(): Folder | undefined }
  readonly request: { readonly url: { getPath(): string } }
  readonly response?: { readonly code: number; text(): string }
  readonly assertions?: readonly { readonly assertion: string; readonly error?: Error | null }[]
}
interface Folder {
  readonly name: string
  parent(): Folder | undefined
}

/** A folder or a request of the collection, as the file has them. */
interface Item {
  readonly name: string
  readonly item?: readonly Item[]
}

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const collectionText = read('postman/fastify-password-grant.postman_collection.json')
const collection: { info: { schema: string }; item: Item[] } = JSON.parse(collectionText)
const local: { values: Variable[] } = JSON.parse(read('postman/local.postman_environment.json'))

const dialects = 'webapi, webapi-session, envelope, device'
const encryptionKey = randomBytes(32)

/** What is documented and cannot be brought about from outside, with the reason. */
const notProvoked = [
  '/Token 403: a browser marks what a page of another origin sends',
  '/Token 429: who runs it would have to wait', // by POST
  '/Token 429: who runs it would have to wait', // by GET
  '/v2/token 403: a browser marks what a page of another origin sends',
  '/v2/token 404: only an administrator closes a dialect',
  '/v2/token 429: who runs it would have to wait',
  '/v1/oauth/ 403: a browser marks what a page of another origin sends',
  '/v1/oauth/ 404: only an administrator closes a dialect',
  '/v1/oauth/ 429: who runs it would have to wait',
  '/auth/login 403: a browser marks what a page of another origin sends',
  '/auth/login 404: only an administrator closes a dialect',
  '/userinfo expired: only time makes a token expire',
  '/introspect 403: a browser marks what a page of another origin sends',
  '/introspect 429: who runs it would have to wait',
  '/revoke 403: a browser marks what a page of another origin sends',
  '/revoke 429: who runs it would have to wait',
]

describe('the Postman collection', () => {
  let database: Database
  let server: ServerProcess
  let user: Awaited<ReturnType<typeof addUser>>
  let required: Record<string, string>
  let optional: Record<string, string>
  let whole: Summary

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    const environment = {
      DATABASE_URL: fresh.url,
      DIALECTS: dialects,
      ENCRYPTION_KEY: encryptionKey.toString('base64'),
    }
    server = await readyServer({ environment })
    const client = await addClient(database)
    const other = await addClient(database)
    user = await addUser(database)
    const people = { username: user.name, password: user.password }
    required = { baseUrl: server.url, dialects, clientId: client.id, clientSecret: client.secret, ...people }
    const { id: publicClientId } = await addClient(database, { secret: 'public' })
    optional = { publicClientId, otherClientId: other.id, otherClientSecret: other.secret }
    whole = await run({ ...required, ...optional, ...(await addDevice(database)) })
  })
  afterAll(() => database.close())

  /** Counts the user's sign-ins so far. The log comes later than the answer, so it waits for the line of one more. */
  const signIns = async () => {
    const last = await addUser(database)
    await signInAt(server.url, { client: await addClient(database), user: last })
    await eventually(async () => server.lines.some((line) => line.includes(last.id)), Boolean)
    return server.lines.filter((line) => line.includes('"event":"sign-in"') && line.includes(user.id)).length
  }

  test('is of format 2.1, with nothing secret in the files', () => {
    expect(collection.info.schema).toBe('https://schema.getpostman.com/json/collection/v2.1.0/collection.json')
    const secrets = local.values.filter(({ type }) => type === 'secret')
    const tokens = ['accessToken', 'sessionToken', 'envelopeToken', 'deviceToken']
    const keys = ['clientSecret', 'password', 'otherClientSecret', 'customerKey', ...tokens]
    expect(secrets.map(({ key }) => key).sort()).toEqual(keys.sort())
    expect(local.values.filter(({ value }) => value !== '').map(({ key }) => key)).toEqual(['baseUrl'])
    expect(collectionText).not.toMatch(/[A-Za-z0-9_-]{40}/)
  })

  test('finds every answer as it says', () => {
    expect(describeFailures(whole)).toEqual([])
    expect(tried(whole)).toEqual(requestsIn(collection.item, ''))
  })

  test('leaves out only what needs another client or a device, where there is none', async () => {
    const summary = await run(required)
    expect(describeFailures(summary)).toEqual([])
    expect(tried(whole).filter((name) => !tried(summary).includes(name))).toEqual([
      'Use / Dialect device / Sign a device in',
      'Use / Dialect device / Whose device token',
      'Refusals / At /introspect / Public client',
      'Refusals / At /revoke / Another client’s token',
    ])
  })

  test('leaves out the dialects that the environment does not name', async () => {
    const summary = await run({ ...required, ...optional, ...(await addDevice(database)), dialects: '' })
    expect(describeFailures(summary)).toEqual([])
    const places = tried(whole).filter((name) => !tried(summary).includes(name))
    expect([...new Set(places.map((name) => name.split(' / ').slice(0, -1).join(' / ')))]).toEqual([
      'Use / Dialect webapi-session',
      'Use / Dialect envelope',
      'Use / Dialect device',
      'Refusals / With Authorization: Token',
      'Refusals / At /v2/token',
      'Refusals / At /v1/oauth/',
      'Refusals / At /auth/login',
    ])
  })

  test('signs a device in again and again, whatever the second', async () => {
    const device = await addDevice(database)
    const summary = await run({ ...required, ...device }, { folder: 'Sign a device in', iterationCount: 3 })
    expect(describeFailures(summary)).toEqual([])
    expect(tried(summary)).toHaveLength(1)
  })

  test('brings about every documented refusal', () => {
    const found = refusalsOf(whole)
    const isFound = ({ path, status, error, sentence }: Documented) =>
      found.some(
        (refusal) =>
          refusal.path === path &&
          refusal.status === status &&
          (error === null || refusal.said.error === error) &&
          (sentence === null || refusal.said.sentence === sentence),
      )
    const documented = documentedRefusals()
    expect(documented.length).toBeGreaterThan(70)
    const missing = documented.filter((refusal) => !isFound(refusal)).map(({ path, name }) => `${path} ${name}`)
    expect(missing).toEqual(notProvoked.map((reason) => reason.split(':')[0]))
  })

  test.each<[string, Change]>([
    ['another error', ({ body, ...rest }) => ({ ...rest, body: body.replace(errorOrEnd, otherError) })],
    ['another status', (answer) => ({ ...answer, status: answer.status === 422 ? 400 : 422 })],
    ['no headers', (answer) => ({ ...answer, headers: { 'content-type': 'application/json' } })],
  ])('notices %s in each refusal', async (change, wrong) => {
    const proxy = await refusingOtherwise(server.url, wrong)
    const summary = await run({ ...required, ...optional, baseUrl: proxy.url }, { folder: 'Refusals' })
    await proxy.close()
    const failed = new Set(summary.run.executions.filter(hasFailed).map(whereIs))
    const isNoticed = ({ place, path }: Refusal) => failed.has(place) || (change === 'no headers' && path === elsewhere)
    const unnoticed = refusalsOf(whole).filter((refusal) => !isNoticed(refusal))
    expect(unnoticed.map(({ place }) => place)).toEqual([])
  })

  describe('the pre-request script', () => {
    test('signs in when there is no token, and keeps it while it lives', async () => {
      const before = await signIns()
      const summary = await run(required, { folder: 'Whose token', iterationCount: 3 })
      expect(describeFailures(summary)).toEqual([])
      expect(await signIns()).toBe(before + 1)
    })

    test('signs in again when the token is about to expire', async () => {
      const { id, secret } = await addClient(database, { lifetimeSeconds: 2 })
      const before = await signIns()
      const shortLived = { ...required, clientId: id, clientSecret: secret }
      const summary = await run(shortLived, { folder: 'Whose token', iterationCount: 2, delayRequest: 2_500 })
      expect(describeFailures(summary)).toEqual([])
      expect(await signIns()).toBe(before + 2)
    })

    test('leaves the sign-in itself, and what sends no token, alone', async () => {
      const before = await signIns()
      for (const folder of ['Sign in', 'Metadata', 'Unknown token']) {
        expect(describeFailures(await run(required, { folder }))).toEqual([])
      }
      expect(await signIns()).toBe(before + 1)
    })

    test('says so when the sign-in is refused', async () => {
      const summary = await run({ ...required, password: 'wrong' }, { folder: 'Whose token' })
      expect(describeFailures(summary).join()).toContain('invalid_grant')
    })
  })
})

const elsewhere = '/no-such-path'
const errorOrEnd = /"error":"\w+"|<error>\w+|(?=\}$)/
const otherError = (found: string) =>
  found === '' ? ',"error":"another"' : found.startsWith('<') ? '<error>another' : '"error":"another"'

/** Runs the collection, or the folder or request of a name, with the values filled into the environment. */
async function run(values: Record<string, string>, options: Partial<RunOptions> = {}): Promise<Summary> {
  const environment = { ...local, values: local.values.map((one) => ({ ...one, value: values[one.key] ?? one.value })) }
  const settled = { collection, environment, timeoutRequest: 10_000, reporters: [], ...options }
  const summary = await new Promise<Summary>((resolve, reject) => {
    newman.run(settled, (error, done) => (error ? reject(error) : resolve(done)))
  })
  for (const { response } of summary.run.executions) {
    keepSecret(/(?:"access_token":"|"token":"|<access_token>)([^"<]+)/.exec(response?.text() ?? '')?.[1] ?? '')
  }
  const tokens = ['accessToken', 'replacedToken', 'revokedToken', 'sessionToken', 'envelopeToken', 'deviceToken']
  for (const name of tokens) keepSecret(summary.environment.get(name) ?? '')
  return summary
}

function describeFailures({ run }: Summary): string[] {
  return run.failures.map(({ error, source }) => `${source?.name}: ${error.message}`)
}

/** The requests of which something was asserted; a request is listed once more for what its scripts send. */
function tried({ run }: Summary): string[] {
  return [...new Set(run.executions.filter(({ assertions = [] }) => assertions.length > 0).map(whereIs))]
}

function requestsIn(items: readonly Item[], place: string): string[] {
  return items.flatMap(({ name, item }) => (item ? requestsIn(item, `${place}${name} / `) : [`${place}${name}`]))
}

function hasFailed({ assertions = [] }: Execution): boolean {
  return assertions.some(({ error }) => error)
}

/** The folders a request stands in and its name. */
function whereIs({ item }: Execution): string {
  const names = [item.name]
  for (let folder = item.parent(); folder?.parent(); folder = folder.parent()) names.unshift(folder.name)
  return names.join(' / ')
}

interface Refusal {
  readonly place: string
  readonly path: string
  readonly status: number
  readonly said: Said
}

/** What a refusal says, in whatever words. */
interface Said {
  /** The code of an envelope where there is one. */
  readonly error: string | undefined
  readonly sentence: string | undefined
}

/** What was refused in a run, and the answer about a token that is none. */
function refusalsOf({ run }: Summary): Refusal[] {
  return run.executions.flatMap((execution) => {
    const { request, response } = execution
    if (!response || !isRefusal(response.code, response.text())) return []
    const path = request.url.getPath().replace(/^\/seats\/.+/, '/seats/{id}')
    return [{ place: whereIs(execution), path, status: response.code, said: readSaid(response.text()) }]
  })
}

function isRefusal(status: number, body: string): boolean {
  return status >= 400 || body === '{"active":false}' || body.startsWith('{"success":false')
}

function readSaid(body: string): Said {
  if (!body.startsWith('<')) return describeSaid(JSON.parse(body))
  const [, error, sentence] = /^<Error><error>(\w+)<\/error><error_description>([^<]*)/.exec(body) ?? []
  return { error, sentence }
}

function describeSaid({ error, errors, error_description, message }: Body): Said {
  return { error: error ?? errors?.code, sentence: error_description ?? message ?? errors?.message }
}

interface Body {
  readonly success?: boolean
  readonly error?: string
  readonly error_description?: string
  readonly message?: string
  readonly errors?: { readonly code: string; readonly message: string }
}

interface Documented {
  readonly path: string
  readonly name: string
  readonly status: number
  readonly error: string | undefined | null
  /** Where one status has several examples, each is a situation of its own. */
  readonly sentence: string | undefined | null
}

/** The refusals in openapi.yaml, but for faults and outages of the server. */
function documentedRefusals(): Documented[] {
  const document: OpenApi = parse(read('openapi.yaml'))
  const shared = new Set<string>()
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.values(operations).flatMap(({ responses = {} }) =>
      Object.entries(responses).flatMap(([code, response]): Documented[] => {
        const status = Number(code)
        if (status >= 500) return []
        // said by one function to all who hold a token: each of its sentences once, each status everywhere
        if (shared.has(response.$ref ?? '')) return [{ path, name: code, status, error: null, sentence: null }]
        if (/\/(Holder\w+|BadToken|TokenRefused)$/.test(response.$ref ?? '')) shared.add(response.$ref ?? '')
        const { example, examples = {} } = resolve(document, response).content?.['application/json'] ?? {}
        const isSaid = (body: Body) => status >= 400 || body.success === false
        const several = Object.entries(examples).filter(([, { value }]) => isSaid(value))
        return [
          ...(example && isSaid(example)
            ? [{ path, name: code, status, ...describeSaid(example), sentence: null }]
            : []),
          ...several.map(([name, { value }]) => ({ path, name, status, ...describeSaid(value) })),
        ]
      }),
    ),
  )
}

interface OpenApi {
  readonly paths: Record<string, Record<string, { readonly responses?: Record<string, Response> }>>
  readonly components: { readonly responses: Record<string, Response> }
}
interface Response {
  readonly $ref?: string
  readonly content?: Record<string, { readonly example?: Body; readonly examples?: Record<string, { value: Body }> }>
}

function resolve(document: OpenApi, response: Response): Response {
  const name = response.$ref?.split('/').at(-1)
  return name === undefined ? response : (document.components.responses[name] ?? {})
}

/** What the environment needs for a device of its own: none can sign in twice with one second. */
async function addDevice({ writes: query }: Database): Promise<{ deviceKey: string; customerKey: string }> {
  const device = { deviceKey: `device-${randomWord()}`, customerKey: keepSecret(randomWord()) }
  await registerDevice(query, encryptionKey, device)
  return device
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Change = (answer: Answer) => Answer

/** A server that refuses whatever the real one refuses, and does it wrong. */
async function refusingOtherwise(url: string, change: Change): Promise<{ url: string; close(): Promise<unknown> }> {
  const proxy = createServer(async (request, response) => {
    const { method, headers } = request
    const asking = send(new URL(request.url ?? '', url), { method, headers })
    asking.end(await text(request))
    const [real] = await once(asking, 'response')
    const answer = { status: real.statusCode, headers: real.headers, body: await text(real) }
    const changed = isRefusal(answer.status, answer.body) ? change(answer) : answer
    const { 'content-length': _, ...rest } = changed.headers
    response.writeHead(changed.status, rest).end(changed.body)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  const close = async () => {
    proxy.closeAllConnections()
    await once(proxy.close(), 'close')
  }
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`, close }
}
