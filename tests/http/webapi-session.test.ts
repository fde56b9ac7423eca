// The webapi-session dialect on a database: formats, seats, sessions, refusals, the built-in client.
import { METHODS } from 'node:http'
import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { createServer } from '../../src/server.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, leakedLines, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { descriptionCharacters, wrongPassword } from '../support/refusals.ts'
import { askForToken, askWhose, basic, bearer, passwordForm } from '../support/requests.ts'
import { plainOptions, testServer } from '../support/test-server.ts'
import {
  publishedMembers,
  publishedNamespace,
  publishedRequests,
  xmlRequest,
} from '../support/transcripts/webapi-session.ts'

const dialects = [webapi, webapiSession]
const { app, database } = await testServer({ dialects })
const client = await addClient(database)
const user = await addUser(database)

const form = 'application/x-www-form-urlencoded'
const builtIn = 'webapi-session'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

interface Sent {
  readonly server?: typeof app
  readonly method?: 'POST' | 'GET'
  readonly url?: string
  readonly type?: string | undefined
  readonly accept?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

/** A request at the dialect's endpoint exactly as its parts say; notes the value it gets as a secret. */
async function send(sent: Sent): Promise<LightMyRequestResponse> {
  const { server = app, method = 'POST', url = '/v2/token', type, accept, headers, body = '' } = sent
  const said = { ...(type && { 'content-type': type }), ...(accept !== undefined && { accept }), ...headers }
  const response = await server.inject({ method, url, headers: said, body })
  if (response.statusCode === 200) keepSecret(readMember(response.body, 'access_token') ?? '')
  return response
}

/** A member of an answer in JSON or XML; null where it is null. */
function readMember(body: string, name: string): string | null {
  if (body.startsWith('{')) return JSON.parse(body)[name]
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1] ?? null
}

/** A sign-in in JSON, which must succeed. */
async function signIn(fields: Record<string, string | null> = {}, someone = user): Promise<Record<string, string>> {
  const given = { grant_type: 'password', userName: someone.name, password: someone.password, ...fields }
  const response = await send({ type: 'application/json', body: JSON.stringify(given) })
  expect([response.statusCode, response.body]).toEqual([200, expect.any(String)])
  return response.json()
}

async function statusOf(value: string | undefined): Promise<number> {
  return (await askWhose(app, value ?? '')).statusCode
}

/** The right fields in each published format. */
function rightBody(type: string, someone = user): string {
  const fields = { grant_type: 'password', userName: someone.name, password: someone.password, clientKey: 'key' }
  if (type === form) return new URLSearchParams(fields).toString()
  if (!type.endsWith('xml')) return JSON.stringify(fields)
  return xmlRequest(
    Object.entries(fields)
      .map(([name, value]) => `<${name}>${value}</${name}>`)
      .join(' '),
  )
}

/** In the form asked for: status, code, readable words, nothing cached, no challenge. */
function expectRefused(
  response: LightMyRequestResponse,
  type: string,
  [status, code, description]: readonly [status: number, code: string, description?: string],
): void {
  const said = readMember(response.body, 'error_description') ?? ''
  expect([response.statusCode, readMember(response.body, 'error'), said]).toEqual([
    status,
    code,
    description ?? expect.stringMatching(descriptionCharacters),
  ])
  const inXml = `<Error><error>${code}</error><error_description>${said}</error_description></Error>`
  const inJson = JSON.stringify({ error: code, error_description: said })
  expect(response.body).toBe(type.endsWith('xml') ? inXml : inJson)
  expect(response.headers).toMatchObject({
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    pragma: 'no-cache',
    vary: expect.stringContaining('Accept'),
  })
  expect(response.headers['www-authenticate']).toBeUndefined()
}

describe('the published requests', () => {
  const filled = publishedRequests.map(([type, body]): [string, string] => [
    type,
    body
      .replace(/(grant_type\W+)(sample string 1|value|password)/, '$1password')
      .replace(/(user[Nn]ame\W+)(sample string 2|value|theuser)/, `$1${user.name}`)
      .replace(
        /(password\W+)(sample string 3|value|thepass)(?!.*password\W+(sample|value|thepass))/s,
        `$1${user.password}`,
      ),
  ])

  test.each(filled)('in %s sign in with only the values changed, and the token works', async (type, body) => {
    const response = await send({ type, body })
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe(`${type === form ? 'application/json' : type}; charset=utf-8`)
    const value = readMember(response.body, 'access_token') ?? ''
    expect((await askWhose(app, value)).json()).toMatchObject({ userName: user.name, userId: user.id })
  })

  test.each(publishedRequests)(
    'in %s are refused exactly as published, in the format of the request',
    async (type, body) => {
      const isGrant = body.includes('grant_type=password')
      expectRefused(
        await send({ type, body }),
        type === form ? 'application/json' : type,
        isGrant ? [400, 'invalid_grant', wrongPassword] : [400, 'unsupported_grant_type'],
      )
    },
  )
})

describe('an answer', () => {
  test('in JSON has the published members in order, with their values', async () => {
    const response = await send({ type: form, body: rightBody(form) })
    expect(Object.keys(response.json())).toEqual(publishedMembers)
    expect(response.json()).toEqual({
      access_token: expect.any(String),
      token_type: 'bearer',
      expires_in: 1_209_600,
      userName: user.name,
      userID: user.id,
      sessionKey: expect.stringMatching(uuid),
      clientKey: 'key',
    })
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache', vary: 'Accept' })
  })

  test('in XML has the members in alphabetical order under the published root', async () => {
    const { body, headers } = await send({ type: form, accept: 'application/xml', body: passwordForm(user) })
    const told = (name: string) => readMember(body, name)
    expect(body).toBe(
      `<OAuthToken xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="${publishedNamespace}">` +
        `<access_token>${told('access_token')}</access_token><clientKey i:nil="true" />` +
        `<expires_in>1209600</expires_in><sessionKey>${told('sessionKey')}</sessionKey>` +
        `<token_type>bearer</token_type><userID>${user.id}</userID><userName>${user.name}</userName></OAuthToken>`,
    )
    expect(told('sessionKey')).toMatch(uuid)
    expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache', vary: 'Accept' })
    expect(await statusOf(told('access_token') ?? '')).toBe(200)
  })

  test('has the stored spelling of the name for any typed spelling', async () => {
    const someone = await addUser(database, { name: `Ada-${randomWord()}` })
    for (const userName of [someone.name.toUpperCase(), someone.name.toLowerCase()]) {
      expect((await signIn({ userName }, someone))['userName']).toBe(someone.name)
    }
  })

  test('in XML holds markup in a name and a key as text', async () => {
    const someone = await addUser(database, { name: `<b>&amp;"-${randomWord()}` })
    const body = passwordForm(someone, { clientKey: ']]></clientKey><x>' })
    const response = await send({ type: form, accept: 'text/xml', body })
    expect(response.body).toContain(
      `<userName>${someone.name.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</userName>`,
    )
    expect(response.body).toContain('<clientKey>]]&gt;&lt;/clientKey&gt;&lt;x&gt;</clientKey>')
  })

  const types = ['application/json', 'text/json', 'text/javascript', 'application/xml', 'text/xml']
  test.each(types)('is in %s when that is accepted, for any request', async (accept) => {
    for (const type of [form, ...types]) {
      const response = await send({ type, accept, body: rightBody(type) })
      expect([response.statusCode, response.headers['content-type']]).toEqual([200, `${accept}; charset=utf-8`])
      expectRefused(await send({ type, accept, body: '' }), accept, [400, 'invalid_request'])
    }
  })

  test.each([
    ['*/*', 'text/xml', 'application/json'],
    ['text/html', 'text/xml', 'application/json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', form, 'application/xml'],
    ['application/xml;q=0.5, application/json;q=0.4', 'application/json', 'application/xml'],
    ['application/xml, application/json', form, 'application/json'],
  ])('with Accept %s to a request in %s is %s', async (accept, type, answer) => {
    const response = await send({ type, accept, body: rightBody(type) })
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, `${answer}; charset=utf-8`])
  })
})

describe('a body', () => {
  const json = 'application/json'
  test('without a type is read as a form', async () => {
    expect((await send({ body: rightBody(form) })).statusCode).toBe(200)
  })

  test.each([form, json, 'text/xml'])('in %s may begin with a byte order mark', async (type) => {
    expect((await send({ type, body: `\uFEFF${rightBody(type)}` })).statusCode).toBe(200)
  })

  test('in JSON can have numbers for a name and a password, taken as written', async () => {
    const name = String(10_000_000_000 + Math.floor(Math.random() * 1e10))
    await addUser(database, { name, password: '12345678901234567890' })
    const body = `{"grant_type":"password","userName":${name},"password":12345678901234567890,"clientKey":1.50}`
    const response = await send({ type: json, body })
    keepSecret('12345678901234567890')
    expect([response.statusCode, response.json().clientKey]).toEqual([200, '1.50'])
    expect((await send({ type: json, body: `\uFEFF${body}` })).statusCode).toBe(200)
  })

  test('in JSON can have null for the key and unknown members', async () => {
    expect((await signIn({ clientKey: null, scope: 'all', deviceName: null }))['clientKey']).toBeNull()
  })

  test.each<[string, string, string | Buffer]>([
    ['a nested value', json, '{"grant_type":"password","userName":{"a":"b"},"password":"p"}'],
    ['a name twice', json, '{"grant_type":"password","userName":"a","username":"a","password":"p"}'],
    [
      'a name twice, once escaped',
      json,
      '{"grant_type":"password","userName":"a","user\\u006eame":"b","password":"p"}',
    ],
    ['half a character', json, '{"grant_type":"password","userName":"\\ud800","password":"p"}'],
    ['NUL', json, '{"grant_type":"password","userName":"a\\u0000","password":"p"}'],
    [
      'bytes that are no UTF-8',
      json,
      Buffer.from('{"grant_type":"password","userName":"\xff","password":"p"}', 'latin1'),
    ],
    ['bytes that are no UTF-8', 'text/xml', Buffer.from(xmlRequest('<userName>\xff</userName>'), 'latin1')],
    ['a name twice', 'text/xml', xmlRequest('<userName>a</userName><username>a</username>')],
    ['another root', 'text/xml', '<OAuthToken/>'],
    ['UTF-16', 'text/xml', Buffer.from(`\uFEFF${xmlRequest('<userName>a</userName>')}`, 'utf16le')],
    ['a name twice', form, 'grant_type=password&userName=a&username=a&password=p'],
    ['JSON', form, '{"grant_type":"password"}'],
    ['a form', json, 'grant_type=password'],
    ['nothing', 'text/xml', ''],
    ['no user', json, '{"grant_type":"password","password":"p"}'],
    ['no password', 'text/xml', xmlRequest('<grant_type>password</grant_type><userName>a</userName>')],
  ])('with %s in %s is refused', async (_name, type, body) => {
    expectRefused(await send({ type, body }), type === form ? json : type, [400, 'invalid_request'])
  })

  test.each(['text/plain', 'multipart/form-data; boundary=x', 'application/octet-stream', 'application/soap+xml'])(
    'of the type %s is refused, in the requested format',
    async (type) => {
      for (const body of [rightBody(form), rightBody(json)]) {
        expectRefused(await send({ type, body }), json, [415, 'invalid_request'])
        expectRefused(await send({ type, body, accept: 'text/xml' }), 'text/xml', [415, 'invalid_request'])
      }
    },
  )

  test.each([form, json, 'text/javascript', 'text/xml'])('in %s is read up to 16 KiB and no further', async (type) => {
    const right = rightBody(type)
    const padding = 16_384 - right.length
    const padded = type === form ? `${right}&x=${'a'.repeat(padding - 3)}` : right + ' '.repeat(padding)
    expect((await send({ type, body: padded })).statusCode).toBe(200)
    const answer = type === form ? json : type
    expectRefused(await send({ type, body: `${padded} ` }), answer, [413, 'invalid_request'])
    expectRefused(await send({ type, body: `${padded} `, accept: 'application/xml' }), 'application/xml', [
      413,
      'invalid_request',
    ])
  })

  test.each(['/v2/token', '/V2/TOKEN', '/V2/Token'])('is taken at %s', async (url) => {
    expect((await send({ url, type: form, body: rightBody(form) })).statusCode).toBe(200)
  })

  test('is the only source of the fields', async () => {
    const url = `/v2/token?${rightBody(form)}`
    expectRefused(await send({ url, type: form }), json, [400, 'invalid_request'])
  })

  test.each(METHODS.filter((method) => !['POST', 'CONNECT'].includes(method)))(
    'is not taken with %s',
    async (method) => {
      const asked = { method: method as 'GET', url: '/v2/token', headers: { accept: 'text/xml' } }
      const response = await app.inject(asked)
      expect([response.statusCode, response.headers.allow]).toEqual([405, 'POST'])
      if (method !== 'HEAD') expectRefused(response, 'text/xml', [405, 'invalid_request', 'Use POST.'])
    },
  )
})

describe('a user', () => {
  test.each(['application/json', 'text/xml'])(
    'that is unknown, disabled or has a wrong password gets one answer in %s',
    async (type) => {
      const disabled = await addUser(database)
      await changeUser(database.writes, disabled.name, { isEnabled: false })
      const password = keepSecret('wrong-password')
      const asking = [{ ...user, name: `nobody-${randomWord()}` }, { ...user, password }, disabled]
      const answers = await Promise.all(asking.map((someone) => send({ type, body: rightBody(type, someone) })))
      for (const answer of answers) {
        expectRefused(answer, type, [400, 'invalid_grant', wrongPassword])
        expect(answer.body).toBe(answers[0]?.body)
      }
    },
  )

  test.each(['refresh_token', 'client_credentials', 'PASSWORD'])('cannot sign in with grant_type %s', async (grant) => {
    const body = JSON.stringify({ grant_type: grant, userName: user.name, password: user.password })
    expectRefused(await send({ type: 'text/json', body }), 'text/json', [400, 'unsupported_grant_type'])
  })
})

describe('clientKey', () => {
  async function seatsOf(
    value: string | undefined,
  ): Promise<{ device: string; client_id: string; current: boolean }[]> {
    return (await app.inject({ url: '/seats', headers: bearer(value ?? '') })).json()
  }

  test('names the seat, of 200 characters at most', async () => {
    const someone = await addUser(database)
    for (const clientKey of ['k'.repeat(200), '😀'.repeat(200), ' <&> ']) {
      const { access_token, clientKey: told } = await signIn({ clientKey }, someone)
      expect(told).toBe(clientKey)
      expect((await seatsOf(access_token)).filter(({ current }) => current)).toMatchObject([
        { device: clientKey, client_id: builtIn },
      ])
    }
    expect(await seatsOf((await signIn({ clientKey: 'last' }, someone))['access_token'])).toHaveLength(4)
  })

  test.each([
    ['201 characters', 'k'.repeat(201)],
    ['201 characters beyond the first plane', '😀'.repeat(201)],
    ['a line end', 'a\nb'],
    ['an escape', '\u001B[2J'],
  ])('cannot be %s, and no seat is taken', async (_name, clientKey) => {
    const someone = await addUser(database)
    const { access_token } = await signIn({ clientKey: 'first' }, someone)
    const body = passwordForm(someone, { clientKey })
    expectRefused(await send({ type: form, body }), 'application/json', [400, 'invalid_request'])
    expect(await seatsOf(access_token)).toHaveLength(1)
  })

  test('keeps two devices apart: one replaced does not disturb the other', async () => {
    const someone = await addUser(database)
    const phone = await signIn({ clientKey: 'phone' }, someone)
    const laptop = await signIn({ clientKey: 'laptop' }, someone)
    expect([await statusOf(phone['access_token']), await statusOf(laptop['access_token'])]).toEqual([200, 200])
    const again = await signIn({ clientKey: 'phone' }, someone)
    expect(await statusOf(phone['access_token'])).toBe(401)
    expect([await statusOf(again['access_token']), await statusOf(laptop['access_token'])]).toEqual([200, 200])
    expect((await seatsOf(again['access_token'])).map(({ device }) => device).toSorted()).toEqual(['laptop', 'phone'])
  })

  test('tells letter case and blanks apart', async () => {
    const someone = await addUser(database)
    const given = []
    for (const clientKey of ['phone', 'Phone', ' phone']) given.push(await signIn({ clientKey }, someone))
    for (const { access_token } of given) expect(await statusOf(access_token)).toBe(200)
  })

  test.each([{}, { clientKey: '' }, { clientKey: null }])('is the seat of /Token when left out: %j', async (fields) => {
    const someone = await addUser(database)
    const asking = { client, user: someone }
    const phone = await signIn({ clientKey: 'phone' }, someone)
    const first: string = (await askForToken(app, asking)).json().access_token
    const second = await signIn(fields, someone)
    expect([await statusOf(first), await statusOf(second['access_token'])]).toEqual([401, 200])
    const third: string = (await askForToken(app, asking)).json().access_token
    expect([await statusOf(second['access_token']), await statusOf(third)]).toEqual([401, 200])
    expect(await statusOf(phone['access_token'])).toBe(200)
  })

  test('is a label, not a credential: two users can share one', async () => {
    const [one, other] = [await addUser(database), await addUser(database)]
    const first = await signIn({ clientKey: 'shared' }, one)
    await signIn({ clientKey: 'shared' }, other)
    expect(await statusOf(first['access_token'])).toBe(200)
  })
})

describe('sessionKey', () => {
  test('is new at each sign-in, on the same seat too', async () => {
    const keys = []
    for (const clientKey of ['a', 'a', 'b', null]) keys.push((await signIn({ clientKey }))['sessionKey'])
    for (const key of keys) expect(key).toMatch(uuid)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('grants, ends and reveals nothing', async () => {
    const { sessionKey = '', access_token = '' } = await signIn({ clientKey: 'session' })
    expect(access_token).not.toContain(sessionKey)
    for (const given of [sessionKey, sessionKey.replaceAll('-', '')]) expect(await statusOf(given)).toBe(401)
    const fields = new URLSearchParams({ token: sessionKey }).toString()
    const headers = { 'content-type': form, ...basic(client.id, client.secret) }
    const asked = await app.inject({ method: 'POST', url: '/introspect', headers, body: fields })
    expect(asked.json()).toEqual({ active: false })
    const body = `${fields}&client_id=${builtIn}`
    await app.inject({ method: 'POST', url: '/revoke', headers: { 'content-type': form }, body })
    const own = await app.inject({ method: 'DELETE', url: `/seats/${sessionKey}`, headers: bearer(access_token) })
    expect(own.statusCode).toBe(404)
    expect(await statusOf(access_token)).toBe(200)
  })
})

describe('the built-in client', () => {
  const asBuiltIn = { 'content-type': form }

  test.each([
    ['a right Basic header', basic(client.id, client.secret)],
    ['a wrong Basic header', basic(client.id, 'not-its-secret')],
    ['an unreadable header', { authorization: 'Basic *' }],
    ['a header of another scheme', { authorization: 'Bearer something' }],
  ])('is the client of a request with %s too', async (_name, headers) => {
    const { body, statusCode } = await send({ type: form, headers, body: passwordForm(user, { clientKey: 'who' }) })
    expect(statusCode).toBe(200)
    const seats = await app.inject({ url: '/seats', headers: bearer(JSON.parse(body).access_token) })
    expect(seats.json()).toContainEqual(expect.objectContaining({ current: true, client_id: builtIn }))
  })

  test('is the client of a request that names another in its fields', async () => {
    const body = passwordForm(user, { client_id: 'nobody', client_secret: 'nothing' })
    expect((await send({ type: form, body })).statusCode).toBe(200)
  })

  test.each(['/Token', '/introspect'])('is refused at %s', async (url) => {
    const { access_token = '' } = await signIn({ clientKey: 'nobody' })
    const body = passwordForm(user, { client_id: builtIn, token: access_token })
    for (const fields of [body, `${body}&client_secret=`, `${body}&client_secret=x`]) {
      const response = await app.inject({ method: 'POST', url, headers: asBuiltIn, body: fields })
      expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_client'])
    }
    const token = new URLSearchParams({ token: access_token, ...passwordFields() }).toString()
    for (const secret of ['', 'x']) {
      const headers = { ...asBuiltIn, ...basic(builtIn, secret) }
      const response = await app.inject({ method: 'POST', url, headers, body: token })
      expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_client'])
    }
  })

  test('ends its tokens at /revoke, and no other client does', async () => {
    const { access_token = '' } = await signIn({ clientKey: 'revoked' })
    const token = new URLSearchParams({ token: access_token }).toString()
    const revoke = (headers: object, body: string) =>
      app.inject({ method: 'POST', url: '/revoke', headers: { ...asBuiltIn, ...headers }, body })
    const byOther = await revoke(basic(client.id, client.secret), token)
    expect([byOther.statusCode, await statusOf(access_token)]).toEqual([400, 200])
    const byIt = await revoke({}, `${token}&client_id=${builtIn}`)
    expect([byIt.statusCode, byIt.body, await statusOf(access_token)]).toEqual([200, '', 401])
  })

  test('closes the dialect while disabled, in the requested format, and opens it again', async () => {
    const type = 'application/xml'
    await setClientEnabled(database.writes, builtIn, false)
    try {
      expectRefused(await send({ type, body: rightBody(type) }), type, [404, 'not_found'])
      expectRefused(await send({ type: form, body: rightBody(form) }), 'application/json', [404, 'not_found'])
      const accept = 'text/javascript'
      expectRefused(await send({ type, accept, body: rightBody(type) }), accept, [404, 'not_found'])
      expect((await askForToken(app, { client, user })).statusCode).toBe(200)
    } finally {
      await setClientEnabled(database.writes, builtIn, true)
    }
    expect((await send({ type, body: rightBody(type) })).statusCode).toBe(200)
  })

  function passwordFields(): Record<string, string> {
    return { grant_type: 'password', username: user.name, password: user.password }
  }
})

describe('when the database is away', async () => {
  const away = await openDatabase('postgres://someone@127.0.0.1:1/none')
  const server = await createServer(away, pino({ level: 'trace' }, logLines), { ...plainOptions, dialects })
  afterAll(async () => {
    await server.close()
    await away.close()
  })

  test.each(['application/json', 'text/xml'])(
    'a sign-in in %s is 503 and never a verdict on the user',
    async (type) => {
      const response = await send({ server, type, body: rightBody(type) })
      expectRefused(response, type, [503, 'temporarily_unavailable'])
      expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
      expect(leakedLines()).toEqual([])
    },
  )

  test('a fault that needs no query is refused as usual', async () => {
    expectRefused(await send({ server, type: 'text/xml', body: '<a/>' }), 'text/xml', [400, 'invalid_request'])
    expectRefused(await send({ server, type: 'text/plain', body: 'a' }), 'application/json', [415, 'invalid_request'])
  })
})

describe('a random request', () => {
  const marker = 'mArKeR'
  const types = fc.constantFrom(form, 'application/json', 'text/json', 'text/javascript', 'application/xml', 'text/xml')
  const headerText = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) })
  const accepts = fc.oneof(
    headerText,
    fc
      .array(fc.oneof(types, headerText, fc.constantFrom('*/*', 'text/*', ';q=0', ';q=x')))
      .map((parts) => parts.join(',')),
  )
  const pieces = fc.constantFrom(
    ...[
      '{',
      '}',
      '"',
      ':',
      ',',
      '\\u0000',
      '\\ud800',
      'null',
      '1',
      marker,
      user.name,
      user.password,
      '<',
      '>',
      '&',
      ';',
    ],
    ...['<![CDATA[', ']]>', '<!--', '-->', '<userName>', '</userName>', 'grant_type=password', '&username=', '%', '\0'],
  )
  const bodies = fc.oneof(
    fc.array(pieces).map((parts) => parts.join('')),
    fc.array(pieces).map((parts) => xmlRequest(parts.join(''))),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json(),
  )

  test('is answered without a fault in an offered format for any body, type and Accept', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(types, headerText), accepts, bodies, async (type, accept, body) => {
        const response = await send({ type, accept, body })
        expect([200, 400, 415]).toContain(response.statusCode)
        const answer = /^(application|text)\/(json|xml|javascript)(?=; charset=utf-8$)/
        const [told = ''] = answer.exec(String(response.headers['content-type'])) ?? []
        expect(told).not.toBe('')
        if (response.statusCode === 200) return
        const code = String(readMember(response.body, 'error'))
        expect(code).toMatch(/^(invalid_request|invalid_grant|unsupported_grant_type)$/)
        expectRefused(response, told, [response.statusCode, code])
        expect(JSON.stringify([response.headers, response.body])).not.toContain(marker)
      }),
      { numRuns: 400 },
    )
  })
})
