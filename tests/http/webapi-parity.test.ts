// WEBAPI_PARITY, golden answers over a real socket: status line, headers and body to the byte.
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { readConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiParity } from '../../src/dialects/webapi-parity.ts'
import { createServer } from '../../src/server.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, basic, bearer, passwordForm } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const { dialects } = readConfig({ DATABASE_URL: 'postgres://x/y', WEBAPI_PARITY: 'true' })
const { app, database } = await testServer({ dialects, throttle: false })
const origin = await listen(app)
const plainOrigin = await openServer(database, webapi)
const client = await addClient(database)
const user = await addUser(database, { name: 'user@example.com', role: 'Éditeur' })
const headers = basic(client.id, client.secret)

async function openServer(other: Database, dialect: typeof webapi): Promise<string> {
  const server = await createServer(other, pino({ level: 'trace' }, logLines), { ...plainOptions, dialects: [dialect] })
  afterAll(() => server.close())
  return listen(server)
}

/** The request to `/Token`; a form by POST, unless said otherwise. */
interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Raw {
  readonly statusLine: string
  /** Names in lower case; without those of the connection and the date. */
  readonly headers: Record<string, string>
  readonly body: string
}

async function send(
  { method = 'POST', path = '/Token', headers: more = {}, body = '' }: Sent,
  to = origin,
): Promise<Raw> {
  const lines = Object.entries({
    host: 'sandbox.sample',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...more,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  const answer = await sendBytes(to, `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
  const [head = '', text = ''] = [
    answer.slice(0, answer.indexOf('\r\n\r\n')),
    answer.slice(answer.indexOf('\r\n\r\n') + 4),
  ]
  const [statusLine = '', ...rest] = head.split('\r\n')
  const { date, connection, 'content-length': length, ...received } = readHeaders(rest)
  expect(date).toMatch(/ GMT$/)
  expect(connection).toBe('close')
  expect(Number(length)).toBe(Buffer.byteLength(text))
  return { statusLine, headers: received, body: text }
}

function readHeaders(lines: readonly string[]): Record<string, string> {
  const entries = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 2),
  ])
  expect(new Set(entries.map(([name]) => name)).size).toBe(entries.length)
  return Object.fromEntries(entries)
}

/** Everything a Katana answer has; no challenge, no other header, no other spelling. */
function golden(statusLine: string, body: string): Raw {
  return {
    statusLine,
    headers: {
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      'content-type': 'application/json;charset=UTF-8',
      expires: '-1',
    },
    body,
  }
}

function jsonOf(answer: Raw): Record<string, string> {
  return JSON.parse(answer.body)
}

async function signIn(sent: Sent, to = origin): Promise<Raw> {
  const answer = await send(sent, to)
  if (answer.statusLine.includes('200')) keepSecret(jsonOf(answer)['access_token'] ?? '')
  return answer
}

/** The seat as the database has it, its times as HTTP writes them. */
async function seatOf(userId: string): Promise<{ issued: string; expires: string; seconds: number }> {
  const format = `'Dy, DD Mon YYYY HH24:MI:SS "GMT"'`
  const [row] = await database.script<{ issued: string; expires: string; seconds: number }>(
    `select to_char(issued_at at time zone 'UTC', ${format}) as issued,
      to_char(expires_at at time zone 'UTC', ${format}) as expires,
      extract(epoch from expires_at - issued_at)::int as seconds
    from password_grant.tokens where user_id = $1 and device = ''`,
    [userId],
  )
  if (!row) throw new Error('no such seat')
  return row
}

describe('a sign-in', () => {
  test.each<[string, Sent]>([
    ['by POST', { headers, body: passwordForm(user) }],
    [
      'as published',
      { method: 'GET', headers: { ...headers, 'content-type': 'application/json' }, body: passwordForm(user) },
    ],
    ['in any letter case', { path: '/TOKEN', headers, body: passwordForm(user) }],
    [
      'with the client in the form',
      { body: passwordForm(user, { client_id: client.id, client_secret: client.secret }) },
    ],
  ])('%s is answered to the byte, one second short', async (_what, sent) => {
    const answer = await signIn(sent)
    const { issued, expires, seconds } = await seatOf(user.id)
    expect(seconds).toBe(14 * 24 * 3600)
    expect(answer).toEqual(
      golden(
        'HTTP/1.1 200 OK',
        `{"access_token":"${jsonOf(answer)['access_token']}","token_type":"bearer","expires_in":1209599,` +
          `"userName":"user@example.com","userId":"${user.id}","role":"Éditeur",` +
          `".issued":"${issued}",".expires":"${expires}"}`,
      ),
    )
  })

  test.each([
    [1, undefined],
    [2, 1],
    [3600, 3599],
  ])('of a client whose tokens live %i seconds has expires_in %s', async (lifetimeSeconds, expiresIn) => {
    const brief = await addClient(database, { lifetimeSeconds })
    const answer = await signIn({ headers: basic(brief.id, brief.secret), body: passwordForm(user) })
    expect(answer.statusLine).toBe('HTTP/1.1 200 OK')
    expect(jsonOf(answer)['expires_in']).toBe(expiresIn)
    expect('expires_in' in jsonOf(answer)).toBe(expiresIn !== undefined)
    expect((await seatOf(user.id)).seconds).toBe(lifetimeSeconds)
  })
})

const silentClient = '{"error":"invalid_client"}'
const silentGrant = '{"error":"unsupported_grant_type"}'
const wrongUser = '{"error":"invalid_grant","error_description":"The user name or password is incorrect."}'
const invalid = (description: string) => `{"error":"invalid_request","error_description":"${description}"}`

describe('a refusal is 400 without a challenge, to the byte', async () => {
  const disabledUser = await addUser(database)
  await changeUser(database.writes, disabledUser.name, { isEnabled: false })
  const disabledClient = await addClient(database)
  await setClientEnabled(database.writes, disabledClient.id, false)
  const right = passwordForm(user)
  const wrong = keepSecret('wrong-password')

  const cases: Record<string, [sent: Sent, body: string]> = {
    'a wrong password': [{ headers, body: passwordForm({ ...user, password: wrong }) }, wrongUser],
    'a user nobody knows': [{ headers, body: passwordForm({ ...user, name: 'nobody' }) }, wrongUser],
    'a disabled user': [{ headers, body: passwordForm(disabledUser) }, wrongUser],
    'no client': [{ body: right }, silentClient],
    'nothing at all': [{}, silentClient],
    'a client nobody knows': [{ headers: basic('nobody', wrong), body: right }, silentClient],
    'a wrong client secret': [{ headers: basic(client.id, wrong), body: right }, silentClient],
    'a wrong client secret in the form': [
      { body: passwordForm(user, { client_id: client.id, client_secret: wrong }) },
      silentClient,
    ],
    'a client without its secret': [{ body: passwordForm(user, { client_id: client.id }) }, silentClient],
    'a disabled client': [{ headers: basic(disabledClient.id, disabledClient.secret), body: right }, silentClient],
    'a built-in client': [{ body: passwordForm(user, { client_id: 'envelope' }) }, silentClient],
    'another scheme and no client in the form': [
      { headers: { authorization: 'Bearer abc' }, body: right },
      silentClient,
    ],
    'an unreadable Authorization and no client in the form': [
      { headers: { authorization: 'Basic *' }, body: right },
      silentClient,
    ],
    'no client and another grant_type': [{ body: 'grant_type=refresh_token' }, silentClient],
    'an empty body': [{ headers }, silentGrant],
    'no grant_type': [{ headers, body: 'username=a&password=b' }, silentGrant],
    'an empty grant_type': [{ headers, body: 'grant_type=&username=a&password=b' }, silentGrant],
    'another grant_type': [{ headers, body: 'grant_type=refresh_token&refresh_token=x' }, silentGrant],
    'no username': [{ headers, body: 'grant_type=password&password=b' }, invalid('The field username is missing.')],
    'an empty username': [
      { headers, body: 'grant_type=password&username=&password=b' },
      invalid('The field username is missing.'),
    ],
    'no password': [{ headers, body: 'grant_type=password&username=a' }, invalid('The field password is missing.')],
    'a repeated field': [{ headers, body: `${right}&username=x` }, invalid('The body has the same field twice.')],
    JSON: [
      { headers, body: '{"grant_type":"password"}' },
      invalid('The body is JSON. Send a form: grant_type=password&username=...&password=...'),
    ],
    'two ways of saying who the client is': [
      { headers, body: `${right}&client_secret=x` },
      invalid('The client authenticates in two ways. Use either the Authorization header or fields.'),
    ],
  }
  for (const method of ['POST', 'GET']) {
    test.each(Object.entries(cases))(`${method}: %s`, async (_what, [sent, body]) => {
      expect(await send({ ...sent, method })).toEqual(golden('HTTP/1.1 400 Bad Request', body))
    })
  }
})

describe('a refusal explains nothing, where it would without parity', () => {
  const halfEncoded = `grant_type=password&username=${user.name}&password=a+b%25`
  test.each<[string, Sent, string]>([
    [
      'fields in the query',
      { headers, path: '/Token?username=a&password=b', body: 'grant_type=password' },
      invalid('The field username is missing.'),
    ],
    ['a body encoded twice', { headers, body: passwordForm({ ...user, password: 'a%252Bb%2540' }) }, wrongUser],
    ['a body partly encoded', { headers, body: halfEncoded }, wrongUser],
    ['no client', { body: passwordForm(user) }, silentClient],
  ])('%s', async (_what, sent, body) => {
    expect(await send(sent)).toEqual(golden('HTTP/1.1 400 Bad Request', body))
    const explained = jsonOf(await send(sent, plainOrigin))['error_description'] ?? ''
    expect(explained.length).toBeGreaterThan((jsonOf({ ...golden('', body) })['error_description'] ?? '').length)
  })
})

describe('a case that the ancestor had no answer for is as without parity', async () => {
  const away = await openDatabase('postgres://someone:sesame-42@127.0.0.1:1/none')
  afterAll(() => away.close())
  const awayOrigins = [await openServer(away, webapiParity), await openServer(away, webapi)] as const
  const here = [origin, plainOrigin] as const

  test.each<[string, Sent, readonly [string, string], string]>([
    ['another method', { method: 'PUT', headers, body: passwordForm(user) }, here, '405 Method Not Allowed'],
    ['a body one byte too long', { headers, body: 'a'.repeat(16_385) }, here, '413 Payload Too Large'],
    ['a database that is away', { headers, body: passwordForm(user) }, awayOrigins, '503 Service Unavailable'],
  ])('%s', async (_what, sent, [withParity, without], status) => {
    const answer = await send(sent, withParity)
    expect(answer).toEqual(await send(sent, without))
    expect(answer.statusLine).toBe(`HTTP/1.1 ${status}`)
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      pragma: 'no-cache',
    })
    expect(answer.headers['allow']).toBe(status.startsWith('405') ? 'GET, POST' : undefined)
    expect(answer.headers['retry-after']).toEqual(status.startsWith('503') ? expect.stringMatching(/^\d+$/) : undefined)
  })
})

describe('parity ends at /Token', () => {
  test.each(['/introspect', '/revoke'])('%s refuses a client with 401 and a challenge', async (path) => {
    const answer = await send({ path, headers: basic(client.id, keepSecret('wrong-secret')), body: 'token=x' })
    expect(answer.statusLine).toBe('HTTP/1.1 401 Unauthorized')
    expect(answer.headers['www-authenticate']).toMatch(/^Basic realm="/)
  })

  test('its tokens are used and superseded as usual', async () => {
    const first = (await askForToken(app, { client, user })).json().access_token
    const second = (await askForToken(app, { client, user })).json().access_token
    const [old, live] = [await whose(first), await whose(second)]
    expect([old.statusLine, live.statusLine]).toEqual(['HTTP/1.1 401 Unauthorized', 'HTTP/1.1 200 OK'])
    expect(old.headers['www-authenticate']).toMatch(/^Bearer .*replaced by a newer sign-in/)
    expect(jsonOf(live)['userName']).toBe(user.name)
  })

  function whose(value: string): Promise<Raw> {
    return send({ method: 'GET', path: '/userinfo', headers: bearer(value) })
  }
})

describe('an Authorization header that is not a readable Basic one', () => {
  const inForm = passwordForm(user, { client_id: client.id, client_secret: client.secret })

  test.each([
    'Bearer undefined',
    'Bearer abc',
    'bearer',
    'Basic',
    'Basic *',
    `Basic ${btoa('no colon')}`,
    'Basic eDp5ejE',
    'Digest x=y',
  ])('%s is ignored, as Katana does, and the form counts', async (authorization) => {
    expect((await send({ headers: { authorization }, body: inForm })).statusLine).toBe('HTTP/1.1 200 OK')
  })

  test('is refused without parity', async () => {
    const answer = await send({ headers: { authorization: 'Bearer undefined' }, body: inForm }, plainOrigin)
    expect(answer.statusLine).toBe('HTTP/1.1 400 Bad Request')
    expect(JSON.parse(answer.body).error_description).toContain('authenticates in two ways')
  })
})

test('a readable Basic header with a wrong secret is refused with any form', async () => {
  const body = passwordForm(user, { client_id: client.id })
  const answer = await send({ headers: basic(client.id, 'wrong'), body })
  expect([answer.statusLine, answer.body]).toEqual(['HTTP/1.1 400 Bad Request', silentClient])
})
