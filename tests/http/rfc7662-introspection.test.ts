import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { removeClient, setClientEnabled } from '../../src/clients/register-client.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { generateBytes, generateId } from '../../src/secrets.ts'
import { createServer } from '../../src/server.ts'
import { revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { writeTokenValue } from '../../src/tokens/token-value.ts'
import { changeUser, removeUser } from '../../src/users/register-user.ts'
import { keepSecret, leakedLines, logLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { expectRefusal } from '../support/refusals.ts'
import { askForToken, basic } from '../support/requests.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const { app, database } = await testServer({ throttle: false })
const issuer = await addClient(database)
const backend = await addClient(database)
const headers = basic(backend.id, backend.secret)

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const inactive = '{"active":false}'

type Fields = Record<string, string>

/** `POST /introspect` with the fields, as the backend unless said otherwise. */
function introspect(fields: Fields, said: Record<string, string> = headers, server = app) {
  return send(new URLSearchParams(fields).toString(), said, server)
}

function send(body: string, said: Record<string, string> = headers, server = app) {
  return server.inject({ method: 'POST', url: '/introspect', headers: { ...form, ...said }, body })
}

async function signIn(user: { name: string; password: string }, client = issuer): Promise<string> {
  return (await askForToken(app, { client, user })).json().access_token
}

async function liveToken(): Promise<string> {
  return signIn(await addUser(database))
}

/** The one answer for every value that is not a live token, byte for byte; the log says why. */
async function expectInactive(value: string, ended: string, userId?: string): Promise<void> {
  const before = readLog().length
  const response = await introspect({ token: value })
  expect([response.statusCode, response.body]).toEqual([200, inactive])
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
  expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
  const lines = readLog().slice(before)
  expect(lines.map(({ event, reason, client, userId }) => ({ event, reason, client, userId }))).toEqual([
    { event: 'introspection', reason: `token ${ended}`, client: backend.id, userId },
  ])
}

describe('RFC 7662 §2.1: the request', () => {
  test('is a POST; every other method is told so', async () => {
    const value = await liveToken()
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
      const response = await app.inject({ method, url: `/introspect?token=${value}`, headers })
      expect([response.statusCode, response.headers.allow]).toEqual([405, 'POST'])
      if (method !== 'HEAD') expectRefusal(response, 405, 'invalid_request', 'Use POST.')
    }
  })

  test('is a form; JSON is told what to send instead', async () => {
    const body = JSON.stringify({ token: await liveToken() })
    const response = await send(body, { ...headers, 'content-type': 'application/json' })
    expectRefusal(response, 400, 'invalid_request', 'The body is JSON. Send a form: token=...')
  })

  test('needs the token: a missing, an empty and a bare one are refused', async () => {
    const missing = 'The field token is missing.'
    for (const body of ['token=', 'token', 'token_type_hint=access_token', 'token=&token_type_hint=x', 'tokens=abc']) {
      expectRefusal(await send(body), 400, 'invalid_request', missing)
    }
    expectRefusal(await send(''), 400, 'invalid_request', 'The body is empty. Send a form: token=...')
  })

  test.each(['access_token', 'refresh_token', 'urn:example:other', '', 'ä'])(
    'can have the hint %j, which changes nothing',
    async (hint) => {
      const response = await introspect({ token: await liveToken(), token_type_hint: hint })
      expect([response.statusCode, response.json().active]).toEqual([200, true])
      const dead = await introspect({ token: 'no-token', token_type_hint: hint })
      expect([dead.statusCode, dead.body]).toEqual([200, inactive])
    },
  )

  test('can have unknown fields', async () => {
    const response = await introspect({ token: await liveToken(), resource: 'https://orders.example.com', x: '' })
    expect(response.json().active).toBe(true)
  })

  test('has no field twice, not even in another letter case', async () => {
    const value = await liveToken()
    for (const other of ['token', 'Token', 'TOKEN']) {
      const response = await send(`token=${value}&${other}=${value}`)
      expectRefusal(response, 400, 'invalid_request', 'The body has the same field twice.')
    }
  })

  test('is not read from the URL, and the refusal says where the token belongs', async () => {
    const value = await liveToken()
    const url = `/introspect?token=${value}`
    const explained =
      'The fields are in the query string, which the server ignores. Send them as a form in the body: token=...'
    for (const body of ['', 'token_type_hint=access_token']) {
      const response = await app.inject({ method: 'POST', url, headers: { ...form, ...headers }, body })
      expectRefusal(response, 400, 'invalid_request', explained)
    }
  })

  test('takes its token from the body and ignores the URL', async () => {
    const url = `/introspect?token=${await liveToken()}`
    const response = await app.inject({ method: 'POST', url, headers: { ...form, ...headers }, body: 'token=x' })
    expect(response.body).toBe(inactive)
  })

  test('has 16 KiB at most', async () => {
    const longest = await send('token='.padEnd(16_384, 'a'))
    expect([longest.statusCode, longest.body]).toEqual([200, inactive])
    const tooLong = await send('token='.padEnd(16_385, 'a'))
    expectRefusal(tooLong, 413, 'invalid_request', 'The body is longer than 16384 bytes.')
  })
})

describe('RFC 7662 §2.1: the client', () => {
  const odd = `it's 100% "odd": a+b/c=é😀 ${randomWord()}`
  const encode = (text: string) => keepSecret(encodeURIComponent(text))

  test('authenticates by Basic, with id and secret plain or form-encoded', async () => {
    const value = await liveToken()
    const { id } = await addClient(database, { secret: { chosen: odd } })
    const formEncoded = keepSecret(new URLSearchParams({ '': odd }).toString().slice(1))
    for (const secret of [odd, encode(odd), formEncoded]) {
      expect((await introspect({ token: value }, basic(id, secret))).json().active).toBe(true)
    }
  })

  test('authenticates by the fields client_id and client_secret', async () => {
    const { id } = await addClient(database, { secret: { chosen: odd } })
    const fields = { token: await liveToken(), client_id: id, client_secret: odd }
    expect((await introspect(fields, {})).json().active).toBe(true)
  })

  test('authenticates in one way, never in both', async () => {
    const fields = { token: await liveToken(), client_secret: backend.secret }
    for (const more of [{}, { client_id: backend.id }]) {
      const response = await introspect({ ...fields, ...more })
      expectRefusal(
        response,
        400,
        'invalid_request',
        'The client authenticates in two ways. Use either the Authorization header or fields.',
      )
    }
  })

  test('can repeat its own id beside Basic, and no other', async () => {
    const token = await liveToken()
    expect((await introspect({ token, client_id: backend.id })).json().active).toBe(true)
    expectRefusal(await introspect({ token, client_id: issuer.id }), 400, 'invalid_request')
  })

  test('can be any confidential client, not only that of the token', async () => {
    const token = await liveToken()
    for (const { id, secret } of [issuer, backend, await addClient(database)]) {
      expect((await introspect({ token }, basic(id, secret))).json()).toMatchObject({
        active: true,
        client_id: issuer.id,
      })
    }
  })

  test('can introspect the token of a public client', async () => {
    const publicClient = await addClient(database, { secret: 'public' })
    const user = await addUser(database)
    const fields = { grant_type: 'password', username: user.name, password: user.password, client_id: publicClient.id }
    const body = new URLSearchParams(fields).toString()
    const given = await app.inject({ method: 'POST', url: '/Token', headers: form, body })
    const token = keepSecret(given.json().access_token)
    expect((await introspect({ token })).json()).toMatchObject({ active: true, client_id: publicClient.id })
  })
})

describe('RFC 7662 §2.3: an unauthorised request', () => {
  const refused = 'Client authentication failed.'

  test.each<[string, () => Promise<[Fields, Record<string, string>]>]>([
    ['a public client', async () => [{ client_id: (await addClient(database, { secret: 'public' })).id }, {}]],
    ['a public client, by Basic', async () => [{}, basic((await addClient(database, { secret: 'public' })).id, '')]],
    ['an unknown client', async () => [{}, basic(`nobody-${randomWord()}`, keepSecret(randomWord()))]],
    [
      'an unknown client, by fields',
      async () => [{ client_id: 'nobody', client_secret: keepSecret(randomWord()) }, {}],
    ],
    ['a wrong secret', async () => [{}, basic(backend.id, keepSecret(randomWord()))]],
    ['a wrong secret, by fields', async () => [{ client_id: backend.id, client_secret: keepSecret(randomWord()) }, {}]],
    ['an id without its secret', async () => [{ client_id: backend.id }, {}]],
    ['a header that cannot be read', async () => [{}, { authorization: 'Basic *' }]],
    ['a bearer token', async () => [{}, { authorization: `Bearer ${await liveToken()}` }]],
    [
      'a disabled client',
      async () => {
        const disabled = await addClient(database)
        await setClientEnabled(database.writes, disabled.id, false)
        return [{}, basic(disabled.id, disabled.secret)]
      },
    ],
  ])('%s is 401 with a Basic challenge, for any token', async (_name, prepare) => {
    const [fields, said] = await prepare()
    for (const token of [await liveToken(), 'no-token', '']) {
      expectRefusal(await introspect({ ...fields, token }, said), 401, 'invalid_client', refused)
    }
  })

  test('without credentials is told how a client authenticates', async () => {
    const response = await introspect({ token: await liveToken() }, {})
    expectRefusal(response, 401, 'invalid_client', expect.stringMatching(/^The request has no client credentials\. /))
  })
})

describe('RFC 7662 §2.2: a live token', () => {
  test.each(['Administrator', ''])('is described by exactly these fields, with the role %j', async (role) => {
    const user = await addUser(database, { role })
    const signedIn = (await askForToken(app, { client: issuer, user })).json()
    const response = await introspect({ token: signedIn.access_token })
    const iat = Date.parse(signedIn['.issued']) / 1000
    const exp = Date.parse(signedIn['.expires']) / 1000
    expect(response.statusCode).toBe(200)
    expect(response.body).toBe(
      JSON.stringify({
        active: true,
        client_id: issuer.id,
        username: user.name,
        sub: user.id,
        role,
        token_type: 'bearer',
        iat,
        exp,
      }),
    )
    expect(exp - iat).toBe(signedIn.expires_in)
    expect(Math.abs(iat - Date.now() / 1000)).toBeLessThan(60)
  })

  test('is described as it is now, with the current role and the lifetime of its client', async () => {
    const client = await addClient(database, { lifetimeSeconds: 77 })
    const user = await addUser(database, { role: 'Editor' })
    const token = await signIn(user, client)
    await changeUser(database.writes, user.name, { role: 'Reader' })
    const { role, iat, exp } = (await introspect({ token })).json()
    expect([role, exp - iat]).toEqual(['Reader', 77])
  })

  test('is never cached (§4)', async () => {
    const response = await introspect({ token: await liveToken() })
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
    expect(response.headers.etag).toBeUndefined()
  })

  test('leaves no line in the log', async () => {
    const token = await liveToken()
    const before = readLog().length
    await introspect({ token })
    expect(readLog().slice(before)).toEqual([])
  })
})

describe('RFC 7662 §2.2: a value that is not a live token is inactive and nothing more:', () => {
  test('an expired one', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await database.script(
      `update password_grant.tokens set issued_at = now() - interval '1 day', expires_at = now() where user_id = $1`,
      [user.id],
    )
    await expectInactive(value, 'expired', user.id)
  })

  test('one replaced by a newer sign-in, and the one before that', async () => {
    const user = await addUser(database)
    const [oldest, older, newest] = [await signIn(user), await signIn(user), await signIn(user)]
    await expectInactive(older, 'superseded', user.id)
    await expectInactive(oldest, 'unknown')
    expect((await introspect({ token: newest })).json().active).toBe(true)
  })

  test('a revoked one', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await revokeTokensOfUser(database.writes, user.id)
    await expectInactive(value, 'revoked', user.id)
  })

  test('one of a removed user', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await removeUser(database.writes, user.name)
    await expectInactive(value, 'unknown')
  })

  test('one of a removed client', async () => {
    const client = await addClient(database)
    const value = await signIn(await addUser(database), client)
    await removeClient(database.writes, client.id)
    await expectInactive(value, 'unknown')
  })

  test('an invented one with a right checksum', async () => {
    await expectInactive(keepSecret(writeTokenValue(generateId(), generateBytes(32))), 'unknown')
  })

  const jwt = [{ alg: 'HS256' }, { sub: randomWord(), iss: 'https://other.example.com' }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat(generateBytes(32).toString('base64url'))
    .join('.')

  test.each<[string, string]>([
    ['a JWT of another product', keepSecret(jwt)],
    ['a word', 'abc'],
    ['the shape of one', 'a'.repeat(72)],
    ['a blank', ' '],
    ['a line break', '\r\n'],
    ['an invisible space', '\u200B'],
    ['null', 'null'],
    ['a quotation', `' or 1=1 --`],
    ['letters of no ASCII', 'tökén😀'],
    ['a scheme with it', 'Bearer abc'],
    ['16,000 characters', 'x'.repeat(16_000)],
  ])('%s', async (_name, value) => {
    await expectInactive(value, 'unknown')
  })

  test('a live one with a character changed, lost or added', async () => {
    const value = await liveToken()
    const first = value.startsWith('A') ? 'B' : 'A'
    for (const wrong of [first + value.slice(1), value.slice(0, -1), `${value}A`, `${value} `, ` ${value}`]) {
      await expectInactive(keepSecret(wrong), 'unknown')
    }
    expect((await introspect({ token: value })).json().active).toBe(true)
  })
})

describe('RFC 7662 §2.2: an outage is no verdict', () => {
  test('while the database is away it is 503 and never inactive', async () => {
    const away = await openDatabase('postgres://someone@127.0.0.1:1/none')
    const server = await createServer(away, pino({ level: 'trace' }, logLines), plainOptions)
    afterAll(async () => {
      await server.close()
      await away.close()
    })
    for (const token of [await liveToken(), 'no-token']) {
      expectRefusal(await introspect({ token }, headers, server), 503, 'temporarily_unavailable')
    }
  })

  test('where clients can be read and tokens cannot it is 503 and never inactive', async () => {
    const broken = await testServer()
    const asking = await addClient(broken.database)
    const user = await addUser(broken.database)
    const token = (await askForToken(broken.app, { client: asking, user })).json().access_token
    const said = basic(asking.id, asking.secret)
    const rename = (from: string, to: string) =>
      broken.database.script(`alter table password_grant.${from} rename to ${to}`)
    await rename('tokens', 'moved')
    expectRefusal(await introspect({ token }, said, broken.app), 503, 'temporarily_unavailable')
    await rename('moved', 'tokens')
    expect((await introspect({ token }, said, broken.app)).json().active).toBe(true)
  })
})

describe('RFC 7662 §4: no log line holds a token', () => {
  test('sent in any place', async () => {
    const value = await liveToken()
    await introspect({ token: `${value}x` })
    await introspect({ token: value }, {})
    await introspect({ token: value, [value]: value })
    await send(`token=${value}&token=${value}`)
    await send(`{"token":"${value}"}`)
    await send(`token=%zz${value}`)
    for (const method of ['GET', 'POST'] as const) {
      await app.inject({ method, url: `/introspect?token=${value}`, headers: { ...form, ...headers, token: value } })
    }
    expect(leakedLines()).toEqual([])
  })
})
