import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, request as send } from 'node:http'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, type ServerProcess } from '../support/processes.ts'

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

/** What is documented and cannot be brought about from outside, with the reason. */
const notProvoked = ['/userinfo expired: only time makes a token expire']

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
    server = await readyServer({ environment: { DATABASE_URL: fresh.url } })
    const client = await addClient(database)
    const other = await addClient(database)
    user = await addUser(database)
    const people = { username: user.name, password: user.password }
    required = { baseUrl: server.url, clientId: client.id, clientSecret: client.secret, ...people }
    const { id: publicClientId } = await addClient(database, { secret: 'public' })
    optional = { publicClientId, otherClientId: other.id, otherClientSecret: other.secret }
    whole = await run({ ...required, ...optional })
  })
  afterAll(() => database.close())

  /** How often the user signed in so far; the log comes a little later than the answer. */
  const signIns = async () => {
    await sleep(200)
    return server.lines.filter((line) => line.includes('"event":"sign-in"') && line.includes(user.id)).length
  }

  test('is of format 2.1, with nothing secret in the files', () => {
    expect(collection.info.schema).toBe('https://schema.getpostman.com/json/collection/v2.1.0/collection.json')
    const secrets = local.values.filter(({ type }) => type === 'secret')
    expect(secrets.map(({ key }) => key)).toEqual(['clientSecret', 'password', 'accessToken', 'otherClientSecret'])
    expect(local.values.filter(({ value }) => value !== '').map(({ key }) => key)).toEqual(['baseUrl'])
    expect(collectionText).not.toMatch(/[A-Za-z0-9_-]{40}/)
  })

  test('finds every answer as it says', () => {
    expect(describeFailures(whole)).toEqual([])
    expect(tried(whole)).toEqual(requestsIn(collection.item, ''))
  })

  test('leaves out only what needs another client, where there is none', async () => {
    const summary = await run(required)
    expect(describeFailures(summary)).toEqual([])
    expect(tried(whole).filter((name) => !tried(summary).includes(name))).toEqual([
      'Refusals / At /introspect / Public client',
      'Refusals / At /revoke / Another client’s token',
    ])
  })

  test('brings about every documented refusal', () => {
    const found = refusalsOf(whole)
    const isFound = ({ path, status, error, sentence }: Documented) =>
      found.some(
        (refusal) =>
          refusal.path === path &&
          refusal.status === status &&
          refusal.body.error === error &&
          (sentence === null || refusal.body.error_description === sentence),
      )
    const documented = documentedRefusals()
    expect(documented.length).toBeGreaterThan(30)
    const missing = documented.filter((refusal) => !isFound(refusal)).map(({ path, name }) => `${path} ${name}`)
    expect(missing).toEqual(notProvoked.map((reason) => reason.split(':')[0]))
  })

  test.each<[string, Change]>([
    ['another error', ({ body, ...rest }) => ({ ...rest, body: body.replace(/"error":"\w+"|(?=\}$)/, otherError) })],
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
const otherError = (found: string) => (found === '' ? ',"error":"another"' : '"error":"another"')

/** Runs the collection, or the folder or request of a name, with the values filled into the environment. */
async function run(values: Record<string, string>, options: Partial<RunOptions> = {}): Promise<Summary> {
  const environment = { ...local, values: local.values.map((one) => ({ ...one, value: values[one.key] ?? one.value })) }
  const settled = { collection, environment, timeoutRequest: 10_000, reporters: [], ...options }
  const summary = await new Promise<Summary>((resolve, reject) => {
    newman.run(settled, (error, done) => (error ? reject(error) : resolve(done)))
  })
  for (const { response } of summary.run.executions) {
    keepSecret(/"access_token":"([^"]+)"/.exec(response?.text() ?? '')?.[1] ?? '')
  }
  for (const name of ['accessToken', 'replacedToken', 'revokedToken']) keepSecret(summary.environment.get(name) ?? '')
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
  readonly body: Partial<Said>
}

/** What was refused in a run, and the answer about a token that is none. */
function refusalsOf({ run }: Summary): Refusal[] {
  return run.executions.flatMap((execution) => {
    const { request, response } = execution
    if (!response || !isRefusal(response.code, response.text())) return []
    const place = whereIs(execution)
    return [{ place, path: request.url.getPath(), status: response.code, body: JSON.parse(response.text()) }]
  })
}

function isRefusal(status: number, body: string): boolean {
  return status >= 400 || body === '{"active":false}'
}

interface Documented {
  readonly path: string
  readonly name: string
  readonly status: number
  readonly error: string | undefined
  /** Where one status has several examples, each is a situation of its own. */
  readonly sentence: string | null
}

interface Said {
  readonly error?: string
  readonly error_description: string
}

/** The refusals in openapi.yaml, but for faults and outages of the server. */
function documentedRefusals(): Documented[] {
  const document: OpenApi = parse(read('openapi.yaml'))
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.values(operations).flatMap(({ responses = {} }) =>
      Object.entries(responses).flatMap(([code, response]) => {
        const status = Number(code)
        if (status < 400 || status >= 500) return []
        const { example, examples = {} } = resolve(document, response).content?.['application/json'] ?? {}
        const single = example ? [{ path, name: code, status, error: example.error, sentence: null }] : []
        const several = Object.entries(examples).map(([name, { value }]) => {
          return { path, name, status, error: value.error, sentence: value.error_description }
        })
        return [...single, ...several]
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
  readonly content?: Record<string, { readonly example?: Said; readonly examples?: Record<string, { value: Said }> }>
}

function resolve(document: OpenApi, response: Response): Response {
  const name = response.$ref?.split('/').at(-1)
  return name === undefined ? response : (document.components.responses[name] ?? {})
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
