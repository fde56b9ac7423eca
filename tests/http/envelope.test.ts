// POST /v1/oauth/ and its tokens: the published page, refusals, seats, the Token scheme, debug, the log.
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { readConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { envelope, envelopeWithDebug } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { createServer } from '../../src/server.ts'
import { revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, leakedLines, logLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken, askWhose, basic, bearer, passwordForm, sendToken } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const { app, database } = await testServer({ dialects: [webapi, webapiSession, envelope], throttle: false })
const origin = await listen(app)
const client = await addClient(database)
const away = await openDatabase('postgres://someone:sesame-42@127.0.0.1:1/none')
afterAll(() => away.close())
keepSecret('sesame-42')

/** The request; a form, unless its type says otherwise. */
interface Call {
  readonly url?: string
  readonly query?: Record<string, string> | string
  readonly body?: string | Buffer
  readonly type?: string
}

/** `POST /v1/oauth/`; notes the value it gets as a secret. */
async function post(call: Call, server = app): Promise<LightMyRequestResponse> {
  const { url = '/v1/oauth/', query = '', body, type = 'application/x-www-form-urlencoded' } = call
  const response = await server.inject({
    method: 'POST',
    url: `${url}?${new URLSearchParams(query)}`,
    ...(body === undefined ? {} : { headers: { 'content-type': type }, body }),
  })
  if (response.statusCode === 200) keepSecret(response.json().data?.access_token ?? '')
  return response
}

type Person = Awaited<ReturnType<typeof addUser>>

function credentials({ name, password }: Person, more: Record<string, string> = {}): Record<string, string> {
  return { username: name, password, ...more }
}

/** The token of a sign-in with a label. */
async function signIn(user: Person, label?: string): Promise<string> {
  const response = await post({ query: credentials(user, label === undefined ? {} : { 'device-info': label }) })
  expect(response.statusCode).toBe(200)
  return response.json().data.access_token
}

async function serverOn(other: Database, dialects: readonly Dialect[]): Promise<FastifyInstance> {
  const server = await createServer(other, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    dialects,
    throttle: false,
  })
  afterAll(() => server.close())
  return server
}

/** The seats of a user with a live token, by their labels. */
async function seatsOf(user: Person): Promise<{ device: string; client: string }[]> {
  return database.script(
    `select device, client_id as client from password_grant.tokens
    where user_id = $1 and revoked_at is null order by device collate "C"`,
    [user.id],
  )
}

async function isAlive(value: string): Promise<boolean> {
  const { statusCode } = await askWhose(app, value)
  expect([200, 401]).toContain(statusCode)
  return statusCode === 200
}

const edge = '------------------------d74496d66958873e'

/** A body as curl -F writes it. */
function curlForm(fields: Record<string, string>): Call & { body: string } {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${edge}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  return { body: `${parts.join('')}--${edge}--\r\n`, type: `multipart/form-data; boundary=${edge}` }
}

function form(fields: Record<string, string>): Call {
  return { body: new URLSearchParams(fields).toString() }
}

describe('a sign-in', () => {
  const pixel = { 'device-info': 'Pixel 2' }
  const transcripts: Record<string, [sent: (user: Person) => Call, label: string]> = {
    'as published': [(user) => ({ query: credentials(user, { ...pixel, debug: '0' }) }), 'Pixel 2'],
    'as published, without what is optional': [(user) => ({ query: credentials(user) }), 'Unknown'],
    'by a form': [(user) => form(credentials(user, pixel)), 'Pixel 2'],
    'by a form without device-info': [(user) => form(credentials(user)), 'Unknown'],
    'by multipart': [(user) => curlForm(credentials(user, pixel)), 'Pixel 2'],
    'by a form and the query': [(user) => ({ ...form(credentials(user)), query: pixel }), 'Pixel 2'],
    'by multipart and the query': [(user) => ({ ...curlForm(pixel), query: credentials(user) }), 'Pixel 2'],
    'without the slash': [(user) => ({ url: '/v1/oauth', query: credentials(user) }), 'Unknown'],
    'in capitals': [(user) => ({ url: '/V1/OAuth/', query: credentials(user) }), 'Unknown'],
    'in capitals without the slash': [(user) => ({ url: '/V1/OAUTH', ...form(credentials(user)) }), 'Unknown'],
    'with an empty device-info': [(user) => form(credentials(user, { 'device-info': '' })), 'Unknown'],
    'with the longest label': [
      (user) => form(credentials(user, { 'device-info': '🌍'.repeat(200) })),
      '🌍'.repeat(200),
    ],
    'with a body of 16 KiB': [
      (user) => ({ body: `${form(credentials(user)).body}&x=`.padEnd(16_384, 'x') }),
      'Unknown',
    ],
    'with debug=1 where that is not allowed': [(user) => form(credentials(user, { debug: '1' })), 'Unknown'],
  }
  test.each(Object.entries(transcripts))(
    '%s gets the published answer, to the letter',
    async (_what, [sent, label]) => {
      const user = await addUser(database, {
        name: `jürgen+${randomWord()}@example.com`,
        password: `ü&= %+${randomWord()}`,
      })
      const response = await post(sent(user))
      const [row] = await database.script<object>(
        `select device, client_id as client, extract(epoch from expires_at)::int as end,
        extract(epoch from expires_at - issued_at)::int as seconds
      from password_grant.tokens where user_id = $1`,
        [user.id],
      )
      expect(row).toEqual({ device: label, client: 'envelope', end: expect.any(Number), seconds: 30 * 24 * 3600 })
      const { access_token: value } = response.json().data
      expect(response.body).toBe(
        `{"success":true,"data":{"access_token":"${value}","expiry":${(row as { end: number }).end}}}`,
      )
      expect(response.statusCode).toBe(200)
      expectUncacheable(response)
      expect((await askWhose(app, value)).json().userName).toBe(user.name)
    },
  )

  test('by curl -F works over a socket', async () => {
    const { body, type } = curlForm(credentials(await addUser(database)))
    const answer = await sendBytes(
      origin,
      `POST /v1/oauth/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n` +
        `Content-Length: ${body.length}\r\nContent-Type: ${type}\r\nConnection: close\r\n\r\n${body}`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    const [, value = ''] =
      /\r\n\r\n\{"success":true,"data":\{"access_token":"([^"]+)","expiry":\d+\}\}$/.exec(answer) ?? []
    expect(await isAlive(keepSecret(value))).toBe(true)
  })

  test('lasts as long as ENVELOPE_LIFETIME_SECONDS says', async () => {
    const environment = { DATABASE_URL: 'postgres://x/y', DIALECTS: 'envelope', ENVELOPE_LIFETIME_SECONDS: '61' }
    const server = await serverOn(database, readConfig(environment).dialects)
    const user = await addUser(database)
    const { expiry } = (await post({ query: credentials(user) }, server)).json().data
    const [row] = await database.script<object>(
      `select extract(epoch from issued_at)::int as start from password_grant.tokens where user_id = $1`,
      [user.id],
    )
    expect(expiry - (row as { start: number }).start).toBe(61)
  })
})

const badData =
  '{"success":false,"errors":{"message":"Incorrect data format or data supplied is too large. Please check ' +
  'documentation for more information.","type":"APIMethodException","code":"2400"}}'
const notSupplied =
  '{"success":false,"errors":{"message":"Username/password not supplied.","type":"OAuthException","code":"1157"}}'
const wrongUser =
  '{"success":false,"errors":{"message":"Wrong username/password. Please try again.",' +
  '"type":"OAuthException","code":"1142"}}'
const noPath =
  '{"success":false,"errors":{"message":"Unknown path components: /oauth/","type":"APIMethodException","code":"2600"}}'
const otherMethod =
  '{"success":false,"errors":{"message":"Unsupported get request. Please check documentation for more information.",' +
  '"type":"APIMethodException","code":"3100"}}'
const outage =
  '{"success":false,"errors":{"message":"Server encountered an error. Please try again later",' +
  '"type":"ServerSideException","code":"5501"}}'
const ourFault =
  '{"success":false,"errors":{"message":"Unknown error occured. This should not happen normally. Please contact a ' +
  'developer.","type":"ServerSideException","code":"5404"}}'
const noToken =
  '{"success":false,"errors":{"message":"An active access token must be used to query information about the current ' +
  'visitors.","type":"OAuthException","code":"1190"}}'
const deadToken =
  '{"success":false,"errors":{"message":"Invalid OAuth access token.","type":"OAuthException","code":"1403"}}'

function expectUncacheable({ headers }: LightMyRequestResponse): void {
  expect([headers['content-type'], headers['cache-control'], headers.pragma]).toEqual([
    'application/json; charset=utf-8',
    'no-store',
    'no-cache',
  ])
}

function expectAnswer(response: LightMyRequestResponse, status: number, body: string): void {
  expect([response.statusCode, response.body]).toEqual([status, body])
  expectUncacheable(response)
  expect(response.headers['retry-after']).toEqual(status === 503 ? expect.stringMatching(/^[1-9]\d*$/) : undefined)
  expect(response.headers['www-authenticate']).toEqual(status === 401 ? 'Token realm="password-grant"' : undefined)
}

describe('a refusal', async () => {
  const user = await addUser(database)
  const disabled = await addUser(database)
  await changeUser(database.writes, disabled.name, { isEnabled: false })
  const without = await addUser(database, { passwordHash: null })
  const right = credentials(user)
  const body = String(form(right).body)
  const wrong = { ...right, password: keepSecret('wrong-password') }

  const cases: Record<string, [sent: Call, status: number, body: string]> = {
    'of nothing': [{}, 200, notSupplied],
    'of no name': [{ query: { password: user.password } }, 200, notSupplied],
    'of no password': [form({ username: user.name }), 200, notSupplied],
    'of an empty name': [curlForm({ ...right, username: '' }), 200, notSupplied],
    'of an empty password': [{ query: { ...right, password: '' } }, 200, notSupplied],
    'of a wrong password': [{ query: wrong }, 200, wrongUser],
    'of a wrong password in a form': [form(wrong), 200, wrongUser],
    'of a wrong password with debug=1': [form({ ...wrong, debug: '1' }), 200, wrongUser],
    'of an unknown user': [form({ ...right, username: 'nobody' }), 200, wrongUser],
    'of an unknown user with debug=1': [{ query: { ...right, username: 'nobody', debug: '1' } }, 200, wrongUser],
    'of a disabled user': [form(credentials(disabled)), 200, wrongUser],
    'of a user without a password': [form(credentials(without)), 200, wrongUser],
    'of a name that is too long for one': [form({ ...right, username: 'a'.repeat(257) }), 200, wrongUser],
    'of a field twice in the query': [{ query: `${body}&username=x` }, 400, badData],
    'of a field twice in the form': [{ body: `${body}&password=x` }, 400, badData],
    'of a field twice in multipart': [curlForm({ ...right, UserName: user.name }), 400, badData],
    'of a field in form and query': [{ ...form(right), query: { password: user.password } }, 400, badData],
    'of a field in multipart and query': [{ ...curlForm(right), query: { Username: user.name } }, 400, badData],
    'of a label that is too long': [form({ ...right, 'device-info': '🌍'.repeat(201) }), 400, badData],
    'of a label with a control character': [form({ ...right, 'device-info': 'a\u001b[2J' }), 400, badData],
    'of a body one byte too long': [{ body: `${body}&x=`.padEnd(16_385, 'x') }, 400, badData],
    'of JSON': [{ body: JSON.stringify(right), type: 'application/json' }, 400, badData],
    'of JSON beside a query': [{ body: JSON.stringify(right), type: 'application/json', query: right }, 400, badData],
    'of a file': [
      { ...curlForm(right), body: curlForm(right).body.replace('name="username"', 'name="username"; filename="a"') },
      400,
      badData,
    ],
    'of broken multipart': [{ ...curlForm(right), body: curlForm(right).body.slice(0, -40) }, 400, badData],
    'of multipart without a boundary': [{ ...curlForm(right), type: 'multipart/form-data' }, 400, badData],
    'of broken percent-encoding': [{ body: `${body}&x=100%` }, 400, badData],
    'of bytes that are no UTF-8': [{ body: Buffer.from(`${body}&x=\xff`, 'latin1') }, 400, badData],
    'of multipart with bytes that are no UTF-8': [
      { ...curlForm(right), body: Buffer.from(curlForm({ ...right, x: '\xff' }).body, 'latin1') },
      400,
      badData,
    ],
  }
  test.each(Object.entries(cases))('%s has its code and status', async (_what, [sent, status, expected]) => {
    expectAnswer(await post(sent), status, expected)
  })

  test.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)('of %s names POST', async (method) => {
    for (const url of ['/v1/oauth/', '/v1/oauth', '/V1/OAUTH/']) {
      const response = await app.inject({ method, url: `${url}?${new URLSearchParams(right)}` })
      expectAnswer(response, 405, otherMethod)
      expect(response.headers.allow).toBe('POST')
    }
  })

  test('leaves paths below and above alone', async () => {
    for (const url of ['/v1/oauth/x', '/v1/', '/v1', '/v1/oauth//', '/v1/oauthx', '/']) {
      expect((await app.inject({ method: 'POST', url })).statusCode).toBe(404)
    }
  })

  test('during a database outage is no verdict', async () => {
    const server = await serverOn(away, [envelope])
    expectAnswer(await post({ query: right }, server), 503, outage)
    expectAnswer(await post(form({ ...wrong, debug: '1' }), server), 503, outage)
    expectAnswer(await post(form({ username: '\0' }), server), 400, badData)
  })

  test('of an internal fault says so, and the log names it', async () => {
    const { database: broken } = await freshDatabase()
    const someone = await addUser(broken)
    await broken.script('alter table password_grant.tokens rename column secret_hash to secret_hash_of_old')
    const server = await serverOn(broken, [envelope])
    afterAll(() => broken.close())
    const before = readLog().length
    expectAnswer(await post(form(credentials(someone)), server), 500, ourFault)
    expect(readLog().slice(before)).toMatchObject([{ level: 50, code: 'server_error', dialect: 'envelope' }])
  })
})

describe('a seat', () => {
  test('is taken over by the same label, and by that alone', async () => {
    const user = await addUser(database)
    const first = await signIn(user, 'Pixel')
    const other = await signIn(user, 'Tablet')
    const unnamed = await signIn(user)
    const plain = (await askForToken(app, { client, user })).json().access_token
    const second = await signIn(user, 'Pixel')
    expect(await Promise.all([first, second, other, unnamed, plain].map(isAlive))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
    expect((await askWhose(app, first)).json().error_description).toMatch(/newer sign-in/)
    expect(await seatsOf(user)).toEqual([
      { device: '', client: client.id },
      { device: 'Pixel', client: 'envelope' },
      { device: 'Tablet', client: 'envelope' },
      { device: 'Unknown', client: 'envelope' },
    ])
  })

  test('without a label is named Unknown', async () => {
    const user = await addUser(database)
    const first = await signIn(user)
    const second = await signIn(user, 'Unknown')
    expect([await isAlive(first), await isAlive(second)]).toEqual([false, true])
  })

  test('is shared with webapi-session under the same label', async () => {
    const user = await addUser(database)
    const signInToSession = async (clientKey: string) => {
      const response = await app.inject({
        method: 'POST',
        url: '/v2/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: passwordForm(user, { clientKey }),
      })
      return keepSecret(response.json().access_token)
    }
    const first = await signIn(user, 'Pixel')
    const second = await signInToSession('Pixel')
    expect([await isAlive(first), await isAlive(second)]).toEqual([false, true])
    const third = await signIn(user, 'Pixel')
    expect([await isAlive(second), await isAlive(third)]).toEqual([false, true])
    await signInToSession('Tablet')
    expect(await isAlive(third)).toBe(true)
    expect((await seatsOf(user)).map(({ device }) => device)).toEqual(['Pixel', 'Tablet'])
  })

  test('belongs to one user, even under the same label', async () => {
    const [one, other] = [
      await signIn(await addUser(database), 'Pixel'),
      await signIn(await addUser(database), 'Pixel'),
    ]
    expect([await isAlive(one), await isAlive(other)]).toEqual([true, true])
  })
})

describe('the client called envelope', () => {
  afterEach(() => setClientEnabled(database.writes, 'envelope', true))

  test('closes the dialect while it is disabled, and no other', async () => {
    const user = await addUser(database)
    await setClientEnabled(database.writes, 'envelope', false)
    for (const url of ['/v1/oauth/', '/v1/oauth']) {
      expectAnswer(await post({ url, query: credentials(user) }), 404, noPath)
      expectAnswer(await post({ url, query: { ...credentials(user), username: 'nobody' } }), 404, noPath)
    }
    expect((await askForToken(app, { client, user })).statusCode).toBe(200)
    await setClientEnabled(database.writes, 'envelope', true)
    expect((await post({ query: credentials(user) })).statusCode).toBe(200)
  })

  test('is refused at /Token and /introspect', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    const named = await sendToken(app, { body: passwordForm(user, { client_id: 'envelope' }) })
    const proved = await sendToken(app, { headers: basic('envelope', ''), body: passwordForm(user) })
    const asked = await askAbout('/introspect', value)
    for (const response of [named, proved, asked]) {
      expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_client'])
    }
    expect(await isAlive(value)).toBe(true)
  })

  test('ends only its own tokens at /revoke', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    const foreign = (await askForToken(app, { client, user })).json().access_token
    expect((await askAbout('/revoke', foreign)).json().error).toBe('unauthorized_client')
    const revoked = await askAbout('/revoke', value)
    expect([revoked.statusCode, revoked.body]).toEqual([200, ''])
    expect([await isAlive(value), await isAlive(foreign)]).toEqual([false, true])
  })

  function askAbout(url: string, token: string): Promise<LightMyRequestResponse> {
    return app.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token, client_id: 'envelope' }).toString(),
    })
  }
})

describe('Authorization: Token', async () => {
  const user = await addUser(database, { role: 'Editor' })
  const byToken = (value: string, server = app) => whose({ authorization: `Token ${value}` }, server)

  function whose(headers: Record<string, string>, server = app): Promise<LightMyRequestResponse> {
    return server.inject({ url: '/userinfo', headers })
  }

  test('is answered by /userinfo in the envelope, with the content that Bearer gets plainly', async () => {
    const value = await signIn(user)
    const plain = await whose(bearer(value))
    expect(Object.keys(plain.json())).toEqual(['userName', 'userId', 'role', '.issued', '.expires'])
    for (const scheme of ['Token', 'token', 'TOKEN']) {
      const response = await whose({ authorization: `${scheme} ${value}` })
      expectAnswer(response, 200, `{"success":true,"data":${plain.body}}`)
    }
  })

  test('works for tokens of other dialects too', async () => {
    const value = (await askForToken(app, { client, user })).json().access_token
    expect((await byToken(value)).json()).toMatchObject({ success: true, data: { userName: user.name } })
  })

  test('lists seats and ends them', async () => {
    const owner = await addUser(database)
    const mine = await signIn(owner, 'mine')
    const lost = await signIn(owner, 'lost')
    const headers = { authorization: `Token ${mine}` }
    const listed = await app.inject({ url: '/seats', headers })
    expectAnswer(
      listed,
      200,
      `{"success":true,"data":${(await app.inject({ url: '/seats', headers: bearer(mine) })).body}}`,
    )
    const seats: { id: string; device: string; client_id: string; current: boolean }[] = listed.json().data
    expect(seats.map(({ device, client_id, current }) => [device, client_id, current]).toSorted()).toEqual([
      ['lost', 'envelope', false],
      ['mine', 'envelope', true],
    ])
    const id = seats.find(({ device }) => device === 'lost')?.id
    const ended = await app.inject({ method: 'DELETE', url: `/seats/${id}`, headers })
    expect([ended.statusCode, ended.body]).toEqual([204, ''])
    expectAnswer(await byToken(lost), 401, deadToken)
    expectAnswer(await app.inject({ method: 'DELETE', url: `/seats/${id}`, headers }), 404, noPath)
  })

  test.each(['Token', 'token', 'Token   '])('without a value is 1190: "%s"', async (authorization) => {
    expectAnswer(await whose({ authorization }), 401, noToken)
    expectAnswer(await app.inject({ url: '/seats', headers: { authorization } }), 401, noToken)
  })

  test.each(['Token a b', 'Token a,b', 'Token "a"', 'Token ü', `Token Bearer ${randomWord()}`, 'Token ='])(
    'with something malformed is 1403: %s',
    async (authorization) => {
      expectAnswer(await whose({ authorization: Buffer.from(authorization).toString('latin1') }), 401, deadToken)
    },
  )

  const endings: Record<string, () => Promise<string>> = {
    'that never was': async () => keepSecret(randomWord()),
    'with another ending': async () => keepSecret(`${(await signIn(user)).slice(0, -4)}AAAA`),
    'that expired': async () => {
      const owner = await addUser(database)
      const value = await signIn(owner)
      await database.script(
        `update password_grant.tokens
        set issued_at = issued_at - interval '31 days', expires_at = expires_at - interval '31 days'
        where user_id = $1`,
        [owner.id],
      )
      return value
    },
    'that was replaced': async () => {
      const value = await signIn(user, 'Pixel')
      await signIn(user, 'Pixel')
      return value
    },
    'that was revoked': async () => {
      const owner = await addUser(database)
      const value = await signIn(owner)
      await revokeTokensOfUser(database.writes, owner.id)
      return value
    },
  }
  test.each(Object.entries(endings))('with a token %s is 1403', async (_what, make) => {
    const value = await make()
    expectAnswer(await byToken(value), 401, deadToken)
    const seats = await app.inject({ url: '/seats?debug=1', headers: { authorization: `Token ${value}` } })
    expectAnswer(seats, 401, deadToken)
  })

  test('twice is 1403, even with live tokens', async () => {
    const value = await signIn(user)
    const twice = `Authorization: Token ${value}\r\n`.repeat(2)
    const answer = await sendBytes(origin, `GET /userinfo HTTP/1.1\r\nHost: a\r\n${twice}Connection: close\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
    expect(answer.endsWith(`\r\n\r\n${deadToken}`)).toBe(true)
  })

  test('with another method is refused in the envelope', async () => {
    const response = await app.inject({ method: 'POST', url: '/userinfo', headers: { authorization: 'Token x' } })
    expectAnswer(response, 405, otherMethod)
    expect(response.headers.allow).toMatch(/^GET/)
  })

  test('is 5501 while the database is away', async () => {
    const server = await serverOn(away, [envelope])
    const value = await signIn(user)
    expectAnswer(await byToken(value, server), 503, outage)
    const seats = await server.inject({ url: '/seats', headers: { authorization: `Token ${value}` } })
    expectAnswer(seats, 503, outage)
  })

  test('is ignored where the dialect is not mounted', async () => {
    const server = await serverOn(database, [webapi, webapiSession])
    const value = await signIn(user)
    for (const authorization of [`Token ${value}`, 'Token', 'Token a b']) {
      for (const url of ['/userinfo', '/seats']) {
        const response = await server.inject({ url, headers: { authorization } })
        expect(response.statusCode).toBe(401)
        expect(response.headers['www-authenticate']).toBe('Bearer realm="password-grant"')
        expect(Object.keys(response.json())).toEqual(['error_description'])
      }
    }
  })

  test('leaves refusals of Bearer plain', async () => {
    const response = await whose(bearer(keepSecret(randomWord())))
    expect(response.json()).toEqual({ error: 'invalid_token', error_description: 'The token is unknown.' })
    expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="password-grant", error="invalid_token"/)
    expect((await whose({})).headers['www-authenticate']).toBe('Bearer realm="password-grant"')
  })
})

describe('debug=1', async () => {
  const user = await addUser(database)
  const wrong = { username: user.name, password: keepSecret('wrong-password') }
  const server = await serverOn(database, [envelopeWithDebug])
  const withoutDatabase = await serverOn(away, [envelopeWithDebug])
  const withDebug = (body: string, debug: string) => `${body.slice(0, -1)},"debug":${debug}}`

  test('where allowed tells which half was wrong, by form and by query', async () => {
    const knows = { ...wrong, debug: '1' }
    for (const sent of [form(knows), { query: knows }, curlForm(knows), { ...form(wrong), query: { debug: '1' } }]) {
      expectAnswer(await post(sent, server), 200, withDebug(wrongUser, '{"password":"Incorrect password."}'))
    }
    const expected = withDebug(wrongUser, '{"username":"Username nobody does not exist."}')
    expectAnswer(await post(form({ ...knows, username: 'nobody' }), server), 200, expected)
  })

  test('where allowed tells the database’s message and no secret', async () => {
    const response = await post(form({ ...wrong, debug: '1' }), withoutDatabase)
    expectAnswer(response, 503, withDebug(outage, JSON.stringify({ mysql: response.json().debug.mysql })))
    expect(response.json().debug.mysql).toMatch(/ECONNREFUSED/)
    expect(leakedLines([response.body])).toEqual([])
  })

  test.each(['0', '', '2'])('must be exact: debug=%s tells nothing', async (debug) => {
    expectAnswer(await post(form({ ...wrong, debug }), server), 200, wrongUser)
    expectAnswer(await post(form({ ...wrong, debug }), withoutDatabase), 503, outage)
  })

  test('adds nothing to a success, a missing field or unreadable data', async () => {
    const success = await post(form(credentials(user, { debug: '1' })), server)
    expect(Object.keys(success.json())).toEqual(['success', 'data'])
    expectAnswer(await post(form({ username: 'nobody', debug: '1' }), server), 200, notSupplied)
    const tooLong = { ...wrong, debug: '1', 'device-info': 'x'.repeat(201) }
    expectAnswer(await post(form(tooLong), server), 400, badData)
    const headers = { authorization: `Token ${keepSecret(randomWord())}` }
    expectAnswer(await server.inject({ url: '/userinfo?debug=1', headers }), 401, deadToken)
  })
})

describe('no line of the log at the finest level holds anything of a query', async () => {
  const user = await addUser(database)
  const marker = keepSecret(`sesame${randomWord()}`)
  const withoutDatabase = await serverOn(away, [envelope, webapi])
  const allowingDebug = await serverOn(database, [envelopeWithDebug])
  const methods = ['POST', 'GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'] as const
  const rightQuery = new URLSearchParams(credentials(user)).toString()
  const queries = [
    rightQuery,
    `username=${user.name}&password=${marker}&debug=1`,
    `username=${marker}&password=${marker}&device-info=${marker}`,
    `password=%zz${marker}`,
    `password=${marker}&password=${marker}`,
    `${marker}=${marker}&${marker}`,
    `{"password":"${marker}"}`,
    `username=a&password=${marker}&x=${'x'.repeat(1000)}`,
  ]

  function expectSilence(linesBefore: number): void {
    expect(
      readLog()
        .slice(linesBefore)
        .filter((line) => JSON.stringify(line).includes('?')),
    ).toEqual([])
    expect(leakedLines()).toEqual([])
  }

  test.each([
    '/v1/oauth/',
    '/v1/oauth',
    '/V1/OAUTH/',
    '/v1/oauth//',
    '/v1/oauth/index.php',
    '/v1/%zz',
    '/v1/oauth/%ff',
    '/v1/oauth;x/',
    '/Token',
    '/userinfo',
    '/seats',
    '/health/ready',
  ])('at %s, right or wrong, with any method, also while the database is away', async (path) => {
    const before = readLog().length
    for (const query of queries) {
      for (const method of methods) {
        for (const server of [app, allowingDebug, withoutDatabase]) {
          const { body } = await server.inject({ method, url: `${path}?${query}` })
          if (body.includes('access_token')) keepSecret(JSON.parse(body).data.access_token)
          const isDebug = body.includes('"debug":{"username":"Username ')
          if (!isDebug) expect(body).not.toContain(marker)
          expect(body).not.toContain(user.password)
        }
      }
    }
    expectSilence(before)
    if (path === '/v1/oauth/') expect(readLog().length).toBeGreaterThan(before)
  })

  test('over a socket, when the request is broken', async () => {
    const before = readLog().length
    const target = `/v1/oauth/?username=${user.name}&password=${marker}`
    const requests = [
      `POST ${target} HTTP/9.9\r\n\r\n`,
      `POST ${target} and more HTTP/1.1\r\nHost: a\r\n\r\n`,
      `POST ${target} HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      `POST ${target}${marker.repeat(1000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n`,
      `POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `NONSENSE ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
    ]
    for (const request of requests) {
      const answer = await sendBytes(origin, request)
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
      expect(answer).not.toContain(marker)
    }
    expectSilence(before)
  })

  test('and would be found where a server logs URLs, as Fastify does by default', async () => {
    const lines: string[] = []
    const talkative = Fastify({ logger: { level: 'info', stream: { write: (line) => lines.push(line) } } })
    await talkative.inject({ method: 'POST', url: `/v1/oauth/?${rightQuery}` })
    await talkative.close()
    expect(leakedLines(lines).length).toBeGreaterThan(0)
    expect(lines.some((line) => line.includes('?'))).toBe(true)
  })
})
