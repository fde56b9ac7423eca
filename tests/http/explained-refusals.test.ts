// What people get wrong with such an endpoint, and what they are told: what was received and what to send, nothing else.
import fc from 'fast-check'
import Fastify, { type LightMyRequestResponse } from 'fastify'
import { describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { tokenServer } from '../../src/token-server.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, leakedLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { descriptionCharacters, expectRefusal, wrongPassword } from '../support/refusals.ts'
import { basic, passwordForm, sendToken, type TokenRequestParts } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer({ throttle: false })
const client = await addClient(database)
const user = await addUser(database)
const headers = basic(client.id, client.secret)
const right = passwordForm(user)
const bothMethods = ['POST', 'GET'] as const

const example = 'grant_type=password&username=...&password=...'
const inQuery = `The fields are in the query string, which the server ignores. Send them as a form in the body: ${example}`
const inHeaders = `The fields are in headers, which the server ignores. Send them as a form in the body: ${example}`
const empty = `The body is empty. Send a form: ${example}`
const wholeEncoded = `The whole body is percent-encoded. Encode each value, but not the = and & between them: ${example}`
const noCredentials =
  'The request has no client credentials. Send Authorization: Basic with id and secret, or client_id and client_secret in the form.'
const unreadable =
  'The body has broken percent-encoding, bytes that are not UTF-8, or NUL. In UTF-8, write % as %25 and + as %2B.'
const partlyEncoded = `${wrongPassword} The form is partly unencoded, but + and % have a meaning in it: write + as %2B and % as %25.`
const encodedTwice = `${wrongPassword} A value looks percent-encoded twice: encode it once.`

/** What a body of another kind looks like when a program has written it. */
async function multipart(fields: Record<string, string>): Promise<string> {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  return new Response(form).text()
}

const fields = { grant_type: 'password', username: user.name, password: user.password }

describe('a body that is not a form', () => {
  const json = JSON.stringify(fields)
  const xml = `<login><username>${user.name}</username><password>${user.password}</password></login>`
  test.each<[string, string, string | Promise<string>]>([
    ['JSON', 'application/json', json],
    ['JSON', 'application/x-www-form-urlencoded', json],
    ['JSON', 'application/json; charset=utf-8', `\uFEFF\r\n  ${JSON.stringify(fields, null, 2)}`],
    ['JSON', 'text/plain', `[${json}]`],
    ['XML', 'application/xml', xml],
    ['XML', 'text/xml', `\n<?xml version="1.0" encoding="UTF-8"?>\n${xml}`],
    ['multipart', 'multipart/form-data; boundary=x', multipart(fields)],
  ])('is named: %s, sent as %s', async (kind, type, body) => {
    for (const method of bothMethods) {
      for (const said of [headers, {}]) {
        const request = { method, headers: { ...said, 'content-type': type }, body: await body }
        const sentence = `The body is ${kind}. Send a form: ${example}`
        expectRefusal(await sendToken(app, request), 400, 'invalid_request', sentence)
      }
    }
  })

  test.each(['/introspect', '/revoke'])('is named at %s too, with the form to send there', async (url) => {
    const sentence = 'The body is JSON. Send a form: token=...'
    expectRefusal(await sendToken(app, { url, headers, body: '{"token":"x"}' }), 400, 'invalid_request', sentence)
  })
})

describe('fields that are not in the body', () => {
  test.each(bothMethods)('%s: in the query, with Basic and without', async (method) => {
    const url = `/Token?${right}`
    for (const body of ['', 'grant_type=password', undefined]) {
      const parts = { method, url, ...(body === undefined ? {} : { body }) }
      expectRefusal(await sendToken(app, { ...parts, headers }), 400, 'invalid_request', inQuery)
      expectRefusal(await sendToken(app, parts), 401, 'invalid_client', inQuery)
    }
  })

  test.each(bothMethods)('%s: in the query, the client too', async (method) => {
    const url = `/Token?${passwordForm(user, { client_id: client.id, client_secret: client.secret })}`
    expectRefusal(await sendToken(app, { method, url }), 401, 'invalid_client', inQuery)
  })

  test('in the query in another letter case', async () => {
    const url = `/Token?Grant_Type=password&UserName=${user.name}&PASSWORD=${user.password}`
    expectRefusal(await sendToken(app, { url, headers }), 400, 'invalid_request', inQuery)
  })

  test('only the client, in the query', async () => {
    const url = `/Token?client_id=${client.id}&client_secret=${client.secret}`
    expectRefusal(await sendToken(app, { url, body: right }), 401, 'invalid_client', inQuery)
  })

  test.each(['/introspect', '/revoke'])('the token, in the query of %s', async (url) => {
    const sentence =
      'The fields are in the query string, which the server ignores. Send them as a form in the body: token=...'
    expectRefusal(await sendToken(app, { url: `${url}?token=x`, headers }), 400, 'invalid_request', sentence)
    expectRefusal(await sendToken(app, { url: `${url}?token=x` }), 401, 'invalid_client', sentence)
  })

  test.each(bothMethods)('%s: as headers', async (method) => {
    for (const body of ['', undefined]) {
      const parts = { method, ...(body === undefined ? {} : { body }) }
      const named = await sendToken(app, { ...parts, headers: { ...headers, ...fields } })
      expectRefusal(named, 400, 'invalid_request', inHeaders)
      const withClient = { ...fields, client_id: client.id, client_secret: client.secret }
      expectRefusal(await sendToken(app, { ...parts, headers: withClient }), 401, 'invalid_client', inHeaders)
    }
  })

  test('an unrelated query or header is not mentioned', async () => {
    const url = '/Token?api-version=2&lang=en'
    const parts = { url, headers: { ...headers, 'x-password': 'abc' }, body: 'username=a&password=b' }
    expectRefusal(await sendToken(app, parts), 400, 'invalid_request', 'The field grant_type is missing.')
  })

  test('a query beside a complete body changes nothing', async () => {
    expect((await sendToken(app, { url: `/Token?${right}`, headers, body: right })).statusCode).toBe(200)
  })
})

describe('a client without credentials', () => {
  test.each(bothMethods)('%s: is told the two ways to authenticate', async (method) => {
    expectRefusal(await sendToken(app, { method, body: right }), 401, 'invalid_client', noCredentials)
  })

  test.each(['/introspect', '/revoke'])('is told how at %s', async (url) => {
    expectRefusal(await sendToken(app, { url, body: 'token=x' }), 401, 'invalid_client', noCredentials)
  })
})

describe('a body that is empty', () => {
  test.each(bothMethods)('%s: is reported as empty, with Basic and without', async (method) => {
    for (const parts of [{ method }, { method, body: '' }]) {
      expectRefusal(await sendToken(app, { ...parts, headers }), 400, 'invalid_request', empty)
      expectRefusal(await sendToken(app, parts), 401, 'invalid_client', empty)
    }
  })
})

describe('a body that is percent-encoded as a whole', () => {
  test('gets the advice to encode only the values, with Basic and without', async () => {
    for (const body of [encodeURIComponent(right), encodeURIComponent(right).toLowerCase()]) {
      expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_request', wholeEncoded)
      expectRefusal(await sendToken(app, { body }), 401, 'invalid_client', wholeEncoded)
    }
  })
})

describe('an unencoded +', () => {
  test('in a user name is pointed out for known and unknown users', async () => {
    const name = `ada+${randomWord()}@example.com`
    const { password } = await addUser(database, { name })
    for (const written of [name, `${name}.net`]) {
      const body = `grant_type=password&username=${written}&password=${password}`
      expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_grant', partlyEncoded)
    }
    const encoded = await sendToken(app, { headers, body: passwordForm({ name, password }) })
    expect(encoded.json().userName).toBe(name)
  })

  test('in a password is pointed out where the rest of the form is unencoded too', async () => {
    const someone = await addUser(database, { name: `${randomWord()}@example.com`, password: `a+b${randomWord()}` })
    const body = `grant_type=password&username=${someone.name}&password=${someone.password}`
    expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_grant', partlyEncoded)
    expect((await sendToken(app, { headers, body: passwordForm(someone) })).statusCode).toBe(200)
  })

  test('in a possibly right form is a space and not mentioned', async () => {
    const body = `grant_type=password&username=${user.name}&password=a+b`
    expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_grant', wrongPassword)
  })
})

describe('an unencoded %', () => {
  test.each(['100%', '%', '50%off', 'a%2', 'a%zz', 'a%ffb', 'a%C3'])(
    'in a broken escape is pointed out: %s',
    async (word) => {
      const body = `grant_type=password&username=${user.name}&password=${word}`
      expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_request', unreadable)
    },
  )

  test('in a readable escape is pointed out', async () => {
    const someone = await addUser(database, { name: `${randomWord()}@example.com`, password: `50%41${randomWord()}` })
    const body = `grant_type=password&username=${someone.name}&password=${someone.password}`
    expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_grant', partlyEncoded)
    expect((await sendToken(app, { headers, body: passwordForm(someone) })).statusCode).toBe(200)
  })
})

describe('a value that is percent-encoded twice', () => {
  test.each(['username', 'password'] as const)('is pointed out: %s', async (field) => {
    const someone = { name: `${randomWord()}@example.com`, password: `p&ss ${randomWord()}` }
    await addUser(database, someone)
    const once = { username: someone.name, password: someone.password }
    const twice = { ...once, [field]: encodeURIComponent(once[field]) }
    const body = new URLSearchParams({ grant_type: 'password', ...twice }).toString()
    expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_grant', encodedTwice)
    expect((await sendToken(app, { headers, body: passwordForm(someone) })).statusCode).toBe(200)
  })
})

describe('a request without a mistake in its form', () => {
  const encoders: [string, (text: string) => string][] = [
    ['form encoding', (text) => new URLSearchParams({ '': text }).toString().slice(1)],
    ['encodeURIComponent', encodeURIComponent],
    ['every byte escaped', (text) => Buffer.from(text).toString('hex').replace(/../g, '%$&')],
  ]
  const write = (encode: (text: string) => string, name: string, password: string) =>
    `grant_type=password&username=${encode(name)}&password=${encode(password)}`

  test.each(encoders)('is accepted with any characters: %s', async (_name, encode) => {
    const odd = await addUser(database, {
      name: `ada+${randomWord()}@example.com`,
      password: `a+b c%41 100% %2B ${randomWord()}`,
    })
    const response = await sendToken(app, { headers, body: write(encode, odd.name, odd.password) })
    expect([response.statusCode, response.json().userName]).toEqual([200, odd.name])
  })

  test('is accepted with harmless characters unencoded', async () => {
    const someone = await addUser(database, { name: `${randomWord()}@example.com`, password: `a b+c${randomWord()}` })
    const password = someone.password.replace(' ', '+').replace('+c', '%2Bc')
    const body = `grant_type=password&username=${someone.name}&password=${password}`
    expect((await sendToken(app, { headers, body })).statusCode).toBe(200)
  })

  test.each(encoders)('gets exactly one sentence for a wrong password: %s', async (_name, encode) => {
    for (const password of ['wrong', 'a+b', 'a b', '100%', '50%off', "it's (odd)!*~", 'ü😀', '&=?#/"\\<>']) {
      for (const name of [user.name, 'ada+test@example.com', 'nobody']) {
        const response = await sendToken(app, { headers, body: write(encode, name, keepSecret(password)) })
        expectRefusal(response, 400, 'invalid_grant', wrongPassword)
      }
    }
  })
})

describe('a path with a trailing slash', () => {
  const withSlash = 'There is nothing at this path. Leave out the slash at its end.'
  const nothing = 'There is nothing at this path.'

  async function expectNotFound(method: 'GET' | 'POST', url: string, sentence: string, body?: string): Promise<void> {
    const typed = body === undefined ? headers : { ...headers, 'content-type': 'application/x-www-form-urlencoded' }
    const response = await app.inject({ method, url, headers: typed, ...(body === undefined ? {} : { body }) })
    const { statusCode, headers: answered } = response
    expect([statusCode, answered['content-type']]).toEqual([404, 'application/json; charset=utf-8'])
    expect(response.json()).toEqual({ error: 'not_found', error_description: sentence })
  }

  test.each(['/Token/', '/token/', '/Token//', '/Token/?x=1', '/introspect/', '/revoke/'])(
    'POST %s is 404, and the slash is pointed out',
    async (url) => {
      await expectNotFound('POST', url, withSlash, right)
      await expectNotFound('POST', url, withSlash)
    },
  )

  test.each(['/Token/', '/userinfo/', '/introspect/', '/revoke/', '/health/live/', '/openapi.yaml/'])(
    'GET %s is 404, and the slash is pointed out',
    async (url) => expectNotFound('GET', url, withSlash),
  )

  test.each(['/', '//', '/nothing', '/nothing/', '/Tokens/', '/Token/x', '/Token/x/', '/userinfo/x/', '/USERINFO/'])(
    '%s is 404 without advice',
    async (url) => {
      await expectNotFound('GET', url, nothing)
      await expectNotFound('POST', url, nothing, right)
    },
  )
})

/** An answer as it went out, but for its date. */
function told({ statusCode, headers: { date: _date, ...rest }, body }: LightMyRequestResponse) {
  return { statusCode, headers: rest, body }
}

const raw = (name: string, password: string) => `grant_type=password&username=${name}&password=${password}`

describe('a refusal reveals nothing about users', async () => {
  // names and passwords that every shape below can spell, and whose password each shape gets right
  const password = `pass ${randomWord()}`
  const [known, disabled, without] = await Promise.all(
    [{}, {}, { passwordHash: null }].map((more) =>
      addUser(database, { name: `${randomWord()}@example.com`, password, ...more }),
    ),
  )
  if (!known || !disabled || !without) throw new Error('three were added')
  await changeUser(database.writes, disabled.name, { isEnabled: false })
  const wrong = keepSecret(`fail ${randomWord()}`)
  const situations = {
    'wrong password': { name: known.name, password: wrong },
    'unknown user': { name: `${randomWord()}@example.com`, password: wrong },
    'disabled user': { name: disabled.name, password },
    'disabled user, wrong password': { name: disabled.name, password: wrong },
    'user without a password': { name: without.name, password },
  }
  const plus = (text: string) => text.replaceAll(' ', '+')
  const shapes: [string, string, (asked: { name: string; password: string }) => TokenRequestParts][] = [
    ['a right form', wrongPassword, (asked) => ({ body: passwordForm(asked) })],
    ['a right form by GET', wrongPassword, (asked) => ({ method: 'GET', body: passwordForm(asked) })],
    ['an unencoded form with a +', partlyEncoded, ({ name, password }) => ({ body: raw(name, plus(password)) })],
    [
      'an unencoded form with a %',
      partlyEncoded,
      ({ name, password }) => ({ body: raw(name, password.replace(' ', '%20')) }),
    ],
    [
      'a name encoded twice',
      encodedTwice,
      ({ name, password }) => ({ body: passwordForm({ name: encodeURIComponent(name), password }) }),
    ],
    [
      'a password encoded twice',
      encodedTwice,
      ({ name, password }) => ({ body: passwordForm({ name, password: encodeURIComponent(password) }) }),
    ],
    [
      'a query as well',
      wrongPassword,
      (asked) => ({ url: `/Token?${passwordForm(asked)}`, body: passwordForm(asked) }),
    ],
    ['headers as well', wrongPassword, (asked) => ({ headers: { username: 'x' }, body: passwordForm(asked) })],
  ]

  test.each(shapes)('with %s: all get the same bytes', async (_name, sentence, shape) => {
    const answers = await Promise.all(
      Object.values(situations).map((asked) => {
        const parts = shape(asked)
        return sendToken(app, { ...parts, headers: { ...headers, ...parts.headers } })
      }),
    )
    for (const answer of answers) {
      expectRefusal(answer, 400, 'invalid_grant', sentence)
      expect(told(answer)).toEqual(told(answers[0] as LightMyRequestResponse))
    }
  })

  test('even where the request is refused before the user is looked up', async () => {
    const shapesBefore: ((asked: { name: string; password: string }) => TokenRequestParts)[] = [
      (asked) => ({ url: `/Token?${passwordForm(asked)}` }),
      (asked) => ({ body: encodeURIComponent(passwordForm(asked)) }),
      (asked) => ({ body: JSON.stringify(asked) }),
      (asked) => ({ headers: { username: asked.name, password: asked.password } }),
    ]
    for (const shape of shapesBefore) {
      const answers = await Promise.all(Object.values(situations).map((asked) => sendToken(app, shape(asked))))
      for (const answer of answers) expect(told(answer)).toEqual(told(answers[0] as LightMyRequestResponse))
    }
  })
})

describe('a refusal reveals nothing about clients', async () => {
  const disabled = await addClient(database)
  await setClientEnabled(database.writes, disabled.id, false)
  const chosen = await addClient(database, { secret: { chosen: randomWord() } })
  const publicClient = await addClient(database, { secret: 'public' })
  const wrong = keepSecret(`wrong+${randomWord()}`)
  const situations = {
    'unknown client': { id: `client-${randomWord()}`, secret: wrong },
    'wrong secret': { id: client.id, secret: wrong },
    'wrong secret where a short one was chosen': { id: chosen.id, secret: wrong },
    'disabled client': disabled,
    'disabled client, wrong secret': { id: disabled.id, secret: wrong },
    'public client with a secret': { id: publicClient.id, secret: wrong },
  }
  const wholeBody = encodeURIComponent(right)
  type Asking = { id: string; secret: string }
  const inForm = ({ id, secret }: Asking, more: Record<string, string>) =>
    new URLSearchParams({ ...more, client_id: id, client_secret: secret }).toString()
  const shapes: [string, (asked: Asking) => TokenRequestParts][] = [
    ['Basic', ({ id, secret }) => ({ headers: basic(id, secret), body: right })],
    ['Basic, form-encoded', ({ id, secret }) => ({ headers: basic(id, encodeURIComponent(secret)), body: right })],
    ['fields', (asked) => ({ body: inForm(asked, fields) })],
    ['fields by GET', (asked) => ({ method: 'GET', body: inForm(asked, fields) })],
    ['Basic and no body', ({ id, secret }) => ({ headers: basic(id, secret) })],
    ['Basic and a query', ({ id, secret }) => ({ url: `/Token?${right}`, headers: basic(id, secret) })],
    ['Basic and headers', ({ id, secret }) => ({ headers: { ...basic(id, secret), ...fields } })],
    ['Basic and a body encoded as a whole', ({ id, secret }) => ({ headers: basic(id, secret), body: wholeBody })],
    ['Basic at /introspect', ({ id, secret }) => ({ url: '/introspect', headers: basic(id, secret), body: 'token=x' })],
    ['fields at /introspect', (asked) => ({ url: '/introspect', body: inForm(asked, { token: 'x' }) })],
    ['Basic at /revoke', ({ id, secret }) => ({ url: '/revoke', headers: basic(id, secret), body: 'token=x' })],
    ['fields at /revoke', (asked) => ({ url: '/revoke', body: inForm(asked, {}) })],
  ]

  test.each(shapes)('with %s: all get the same bytes', async (_name, shape) => {
    const answers = await Promise.all(Object.values(situations).map((asked) => sendToken(app, shape(asked))))
    for (const answer of answers) {
      expectRefusal(answer, 401, 'invalid_client', 'Client authentication failed.')
      expect(told(answer)).toEqual(told(answers[0] as LightMyRequestResponse))
    }
  })

  test('with the id alone: unknown, confidential and disabled get the same bytes', async () => {
    const ids = [`client-${randomWord()}`, client.id, chosen.id, disabled.id]
    const answers = await Promise.all(ids.map((id) => sendToken(app, { body: passwordForm(user, { client_id: id }) })))
    for (const answer of answers) {
      expectRefusal(answer, 401, 'invalid_client', 'Client authentication failed.')
      expect(told(answer)).toEqual(told(answers[0] as LightMyRequestResponse))
    }
  })
})

describe('with random values', () => {
  const marker = keepSecret(`mArKeR${randomWord()}`)
  const near = fc.string({ unit: 'grapheme', maxLength: 12 })
  const value = fc.oneof(
    fc.constant(marker),
    fc.tuple(near, near).map(([before, after]) => before + marker + after),
    fc.constantFrom('+', '%', '%41', '%zz', ' ', '@', '"', '\\', '&', '=').map((sign) => sign + marker + sign),
  )
  const values = fc.record({ name: value, password: value, secret: value, token: value })

  type Values = { name: string; password: string; secret: string; token: string }
  const mistakes: ((said: Values) => Promise<TokenRequestParts>)[] = [
    async (said) => ({ body: JSON.stringify(said) }),
    async ({ name, password }) => ({ body: `<a name="${name}">${password}</a>` }),
    async ({ name, password }) => ({ body: await multipart({ username: name, password }) }),
    async (said) => ({ url: `/Token?${passwordForm(said)}` }),
    async (said) => ({ url: `/Token?${passwordForm(said)}`, method: 'GET' }),
    async (said) => ({ body: passwordForm(said) }),
    async ({ name, password }) => ({ body: raw(name, password) }),
    async ({ name, password }) => ({ body: passwordForm({ name: encodeURIComponent(name), password }) }),
    async (said) => ({ body: encodeURIComponent(passwordForm(said)) }),
    async ({ password }) => ({ body: password }),
    async ({ name, password }) => ({ headers: { username: encodeURI(name), password: encodeURI(password) } }),
    async ({ token }) => ({ url: `/introspect?${new URLSearchParams({ token })}` }),
    async ({ token }) => ({ url: '/revoke', body: `token=${token}&token=${token}` }),
    async ({ token }) => ({ url: `/Token/?${new URLSearchParams({ token })}` }),
    async ({ name, secret }) => ({ body: new URLSearchParams({ client_id: name, client_secret: secret }).toString() }),
    async ({ name, secret }) => ({ body: right, headers: basic(name, secret) }),
  ]

  test('no refusal repeats a value or leaves the characters of RFC 6749 §5.2', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...mistakes), fc.boolean(), values, async (mistake, isClient, said) => {
        const parts = await mistake(said)
        const response = await sendToken(app, { ...parts, headers: { ...(isClient ? headers : {}), ...parts.headers } })
        expect(response.statusCode).toBeGreaterThanOrEqual(400)
        expect(response.statusCode).toBeLessThan(500)
        expect(response.json().error_description).toMatch(descriptionCharacters)
        expect(JSON.stringify([response.headers, response.body])).not.toContain(marker)
      }),
      { numRuns: 500 },
    )
    expect(leakedLines()).toEqual([])
  })
})

describe('a disguised body is recognised too', () => {
  const json = JSON.stringify(fields)
  test.each([
    ['a form written as a JSON string', JSON.stringify(right)],
    ['JSON, percent-encoded', encodeURIComponent(json)],
    ['JSON as the name of a field', new URLSearchParams(json).toString()],
  ])('%s is JSON', async (_what, body) => {
    expectRefusal(
      await sendToken(app, { headers, body }),
      400,
      'invalid_request',
      expect.stringMatching(/^The body is JSON/),
    )
  })

  test('a multipart body after a line break is multipart', async () => {
    const body = `\r\n${await multipart(fields)}`
    const sentence = expect.stringMatching(/^The body is multipart/)
    expectRefusal(await sendToken(app, { headers, body }), 400, 'invalid_request', sentence)
  })

  test.each([
    '\uFEFFclient_id=nobody&client_secret=x',
    'client%5Fid=nobody&client%5Fsecret=x&grant_type=password',
    'client_secret=x',
  ])('%j names a client, so it gets the same answer as every refused client', async (body) => {
    expectRefusal(await sendToken(app, { body }), 401, 'invalid_client', 'Client authentication failed.')
  })

  test.each(['application/json', 'garbage', ';;;'])(
    'a trailing slash is pointed out under the type %j too',
    async (type) => {
      const typed = { ...headers, 'content-type': type }
      const response = await sendToken(app, { url: '/Token/', headers: typed, body: right })
      expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
      expect(response.json().error_description).toContain('Leave out the slash')
    },
  )

  test('a host that parses no query changes nothing', async () => {
    const host = Fastify({ routerOptions: { querystringParser: () => null as never } })
    await host.register(tokenServer, { database, dialects: [webapi], passwords: cheapPasswords })
    expect((await host.inject({ method: 'POST', url: '/Token?x=1', body: '' })).statusCode).toBe(401)
    await host.close()
  })
})
