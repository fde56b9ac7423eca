// Any PostgreSQL: a start warns about settings
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, leakedLines } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, type ServerProcess, startServer } from '../support/processes.ts'
import { passwordForm } from '../support/requests.ts'
import { sendBytes } from '../support/sockets.ts'
import { ask } from '../support/wire.ts'

const defaultClient = 'WEBAPI_DEFAULT_CLIENT: a request without client credentials counts as the client old-app'
const envelopeDebug = 'ENVELOPE_DEBUG: debug=1 tells every caller which users exist; do not use it in production'

let database: Database
let environment: Record<string, string>

beforeAll(async () => {
  const fresh = await freshDatabase()
  database = fresh.database
  environment = { DATABASE_URL: fresh.url, ARGON2_MEMORY_KIB: '19456', ARGON2_PASSES: '2' }
  return () => database.close()
})

describe('a start', () => {
  const both = { WEBAPI_DEFAULT_CLIENT: 'old-app', ENVELOPE_DEBUG: 'true' }
  const warned: [string, Record<string, string>, string[]][] = [
    ['with a default client for requests without one', { WEBAPI_DEFAULT_CLIENT: 'old-app' }, [defaultClient]],
    ['with such a client under parity', { WEBAPI_DEFAULT_CLIENT: 'old-app', WEBAPI_PARITY: 'true' }, [defaultClient]],
    ['with debug=1 allowed', { DIALECTS: 'envelope', ENVELOPE_DEBUG: 'true' }, [envelopeDebug]],
    ['with both', { DIALECTS: 'webapi,envelope', ...both }, [defaultClient, envelopeDebug]],
    ['with both set for dialects that are not served', { DIALECTS: 'webapi-session', ...both }, []],
    [
      'with neither',
      { DIALECTS: 'webapi,webapi-session,envelope', ENVELOPE_DEBUG: 'false', WEBAPI_PARITY: 'true' },
      [],
    ],
  ]
  test.each(warned)('%s logs exactly the matching warnings', async (_what, more, expected) => {
    const server = await readyServer({ environment: { ...environment, ...more } })
    expect(warnings(server)).toEqual(expected)
    await server.end()
  })
})

describe('a setting with a warning', () => {
  test('takes a /Token request without a client as the default client', async () => {
    const client = await addClient(database, { secret: 'public' })
    const user = await addUser(database)
    const server = await readyServer({ environment: { ...environment, WEBAPI_DEFAULT_CLIENT: client.id } })
    const answered = await ask(`${server.url}/Token`, { method: 'POST', body: passwordForm(user) })
    expect(answered.status).toBe(200)
    keepSecret(answered.body.access_token)
    const [seat] = await database.script('select client_id from password_grant.tokens where user_id = $1', [user.id])
    expect(seat).toEqual({ client_id: client.id })
    await server.end()
  })

  test.each([
    ['true', { username: 'Username nobody does not exist.' }],
    ['false', undefined],
  ])('ENVELOPE_DEBUG=%s answers debug=1 with %o', async (ENVELOPE_DEBUG, debug) => {
    const server = await readyServer({ environment: { ...environment, DIALECTS: 'envelope', ENVELOPE_DEBUG } })
    const url = `${server.url}/v1/oauth/?username=nobody&password=${keepSecret('wrong-password')}&debug=1`
    const { status, body } = await ask(url, { method: 'POST' })
    expect([status, body.errors.code, body.debug]).toEqual([200, '1142', debug])
    await server.end()
  })
})

test('a password in a query never appears in the output, even at the finest log level', async () => {
  const user = await addUser(database)
  const more = { DIALECTS: 'envelope', ENVELOPE_DEBUG: 'true', LOG_LEVEL: 'trace' }
  const starting = startServer({ environment: { ...environment, ...more } })
  const server = await starting.ready
  const query = new URLSearchParams({ username: user.name, password: user.password, debug: '1' })
  for (const path of ['/v1/oauth/', '/v1/oauth', '/v1/oauth/x', '/v1/%zz', '/v1/oauth/%ff', '/userinfo']) {
    for (const method of ['POST', 'GET', 'PUT']) {
      const { body } = await ask(`${server.url}${path}?${query}`, { method })
      if (body.data) keepSecret(body.data.access_token)
    }
  }
  for (const broken of ['HTTP/9.9\r\n\r\n', 'HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n', 'and more\r\n\r\n']) {
    expect(await sendBytes(server.url, `POST /v1/oauth/?${query} ${broken}`)).toMatch(/^HTTP\/1\.1 400 /)
  }
  await server.end()
  const printed = [...server.lines, starting.stderr()]
  expect(printed.filter((line) => line.includes('"event":"sign-in"'))).toHaveLength(2)
  expect(leakedLines(printed)).toEqual([])
  expect(printed.filter((line) => line.includes('?'))).toEqual([])
})

describe('two dialects on one path', () => {
  test.each<[Record<string, string>, string]>([
    [
      { DIALECTS: 'webapi,envelope', ENVELOPE_PATH: '/Token' },
      'WEBAPI_PATH, ENVELOPE_PATH: two dialects share the path /Token; give each its own path',
    ],
    [
      { DIALECTS: 'webapi,webapi-session', WEBAPI_PATH: '/V2/TOKEN' },
      'WEBAPI_PATH, WEBAPI_SESSION_PATH: two dialects share the path /v2/token; give each its own path',
    ],
    [
      { DIALECTS: 'envelope,webapi-session', WEBAPI_SESSION_PATH: '/v1/OAuth' },
      'ENVELOPE_PATH, WEBAPI_SESSION_PATH: two dialects share the path /v1/OAuth; give each its own path',
    ],
  ])('stop the server at start with exit code 2 and a message: %o', async (more, sentence) => {
    const starting = startServer({ environment: { ...environment, ...more } })
    expect(await starting.exited).toBe(2)
    expect(starting.stderr()).toBe(`Invalid settings:\n  ${sentence}\n`)
    expect(starting.lines).toEqual([])
  })

  test('are reported together with every other mistake', async () => {
    const more = { DIALECTS: 'webapi,envelope', ENVELOPE_PATH: '/token', PORT: 'x', ENVELOPE_DEBUG: 'yes' }
    const starting = startServer({ environment: { ...environment, ...more } })
    expect(await starting.exited).toBe(2)
    for (const name of ['PORT: ', 'ENVELOPE_DEBUG: ', 'WEBAPI_PATH, ENVELOPE_PATH: ']) {
      expect(starting.stderr()).toContain(`\n  ${name}`)
    }
  })

  test('are accepted while the server mounts only one of them', async () => {
    const more = { DIALECTS: 'webapi', ENVELOPE_PATH: '/Token' }
    const server = await readyServer({ environment: { ...environment, ...more } })
    expect(warnings(server)).toEqual([])
    await server.end()
  })
})

function warnings({ lines }: Pick<ServerProcess, 'lines'>): string[] {
  return lines.map((line) => JSON.parse(line)).flatMap(({ level, msg }) => (level >= 40 ? [msg] : []))
}
