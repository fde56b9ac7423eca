import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'
import { describe, expect, test } from 'vitest'
import { addClient, addUser } from '../support/people.ts'
import { descriptionCharacters } from '../support/refusals.ts'
import { basic, passwordForm, sendToken } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer({ throttle: false })
const client = await addClient(database)
const user = await addUser(database)
const headers = basic(client.id, client.secret)

const marker = 'mArKeR'
const anyText = fc.string({ unit: 'binary', maxLength: 60 })
const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
/** What a header may hold on the wire: visible Latin-1 and blanks. */
const headerText = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) })

const names = fc.constantFrom(
  'grant_type',
  'username',
  'password',
  'client_id',
  'client_secret',
  'scope',
  'USERNAME',
  '',
  marker,
)
const values = fc.oneof(
  anyText,
  fc.constantFrom(
    'password',
    '',
    user.name,
    user.password,
    client.id,
    client.secret,
    marker,
    '%',
    '%zz',
    '%ff',
    '\0',
    '\uFFFD',
  ),
)
const pairs = fc.array(fc.tuple<[string, string]>(names, values), { maxLength: 7 })
const forms = pairs.map((fields) => new URLSearchParams(fields).toString())
const rawForms = pairs.map((fields) => fields.map(([name, value]) => `${name}=${value}`).join('&'))
const bodies = fc.oneof(forms, rawForms, anyText, anyBytes)

/** Never a fault, always JSON with a code, never a word of the request given back. */
function expectCalmAnswer(response: LightMyRequestResponse): void {
  if (response.statusCode === 200) return void expect(response.json().token_type).toBe('bearer')
  expect(response.statusCode).toBeGreaterThanOrEqual(400)
  expect(response.statusCode).toBeLessThan(500)
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(response.headers['cache-control']).toBe('no-store')
  const body = response.json()
  expect(Object.keys(body)).toEqual(['error', 'error_description'])
  expect(body.error).toMatch(/^(invalid_request|invalid_client|invalid_grant|unsupported_grant_type)$/)
  expect(body.error_description).toMatch(descriptionCharacters)
  expect(JSON.stringify([response.headers, body])).not.toContain(marker)
}

describe('a random request to the token endpoint', () => {
  test('is answered without a fault for any body', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('GET' as const, 'POST' as const), bodies, async (method, body) => {
        expectCalmAnswer(await sendToken(app, { method, headers, body }))
      }),
      { numRuns: 300 },
    )
  })

  test('is answered without a fault for any client', async () => {
    const halves = fc.oneof(anyText, fc.constantFrom(client.id, client.secret, marker, '%', '%zz', '', ':'))
    const credentials = fc.oneof(
      fc.tuple(halves, halves).map(([id, secret]) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`),
      anyBytes.map((bytes) => `Basic ${bytes.toString('base64')}`),
      fc.tuple(fc.constantFrom('Basic', 'basic', 'Bearer', marker, ''), headerText).map((parts) => parts.join(' ')),
      headerText,
    )
    await fc.assert(
      fc.asyncProperty(credentials, forms, async (authorization, form) => {
        expectCalmAnswer(await sendToken(app, { headers: { authorization }, body: form }))
        expectCalmAnswer(await sendToken(app, { headers: { authorization }, body: passwordForm(user) }))
      }),
      { numRuns: 200 },
    )
  })

  test('is answered without a fault for any method, path, query and type', async () => {
    const methods = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY') as fc.Arbitrary<'PUT'>
    const paths = fc.mixedCase(fc.constant('/token'))
    const queries = fc.oneof(
      forms,
      headerText.map(encodeURIComponent),
      fc.constantFrom('%', `%zz${marker}`, '?', '&&', ''),
    )
    await fc.assert(
      fc.asyncProperty(methods, paths, queries, headerText, bodies, async (method, path, query, type, body) => {
        const said = { ...headers, 'content-type': type }
        const response = await app.inject({ method, url: `${path}?${query}`, headers: said, body })
        expectCalmAnswer(response)
        if (method !== ('GET' as string) && method !== ('POST' as string)) expect(response.statusCode).toBe(405)
      }),
      { numRuns: 200 },
    )
  })

  test('never gives a token without a right client, user and password', async () => {
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        const response = await sendToken(app, { body })
        const fields = new URLSearchParams(body.toString())
        const isRight = fields.get('client_secret') === client.secret && fields.get('password') === user.password
        if (!isRight) expect(response.statusCode).not.toBe(200)
      }),
      { numRuns: 200 },
    )
  })
})

describe('a random request to /userinfo', () => {
  test('is answered without a fault for any token', async () => {
    const tokens = fc.oneof(headerText, fc.base64String({ maxLength: 100 }), fc.constant(marker))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('Bearer ', 'bearer  ', 'Basic ', ''), tokens, async (scheme, token) => {
        const response = await app.inject({ url: '/userinfo', headers: { authorization: scheme + token } })
        expect([400, 401]).toContain(response.statusCode)
        expect(response.headers['www-authenticate']).toMatch(
          /^Bearer realm="[^"\\]+"(, error="[a-z_]+", error_description="[^"\\]+")?$/,
        )
        expect(JSON.stringify([response.headers, response.json()])).not.toContain(marker)
      }),
      { numRuns: 200 },
    )
  })
})
