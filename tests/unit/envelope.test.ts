import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { envelope, envelopeWithDebug } from '../../src/dialects/envelope.ts'
import { OAuthError, type OAuthErrorCode, type OAuthErrorDetails } from '../../src/errors.ts'
import type { IssuedToken } from '../../src/tokens/token.ts'
import type { Fields } from '../../src/wire/fields.ts'
import type { WireRequest } from '../../src/wire/wire-request.ts'

const noRequest: WireRequest = { text: '', query: '', headers: {}, fields: new Map() }
const multipartType = 'multipart/form-data; boundary=edge'
const ada = { grant: 'password', username: 'ada', password: 'sesame', device: 'Unknown' }

async function read(request: Partial<WireRequest>): Promise<unknown> {
  return envelope.read(await envelope.decode({ ...noRequest, ...request }))
}

function multipart(fields: Record<string, string>): Pick<WireRequest, 'text' | 'headers'> {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--edge\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  return { text: `${parts.join('')}--edge--\r\n`, headers: { 'content-type': multipartType } }
}

function json(type: string): Partial<WireRequest> {
  return { text: '{"username":"ada","password":"sesame"}', headers: { 'content-type': type } }
}

describe('a sign-in is understood', () => {
  test.each<[string, Partial<WireRequest>, object]>([
    ['as published', { query: 'username=ada&password=sesame&device-info=Pixel+2&debug=0' }, { device: 'Pixel 2' }],
    ['as published, without what is optional', { query: 'username=ada&password=sesame' }, {}],
    ['from a form', { text: 'username=ada&password=sesame&device-info=Pixel%202' }, { device: 'Pixel 2' }],
    [
      'from multipart',
      multipart({ username: 'ada', password: 'sesame', 'device-info': 'Pixel 2' }),
      { device: 'Pixel 2' },
    ],
    ['from a form and a query', { text: 'username=ada&password=sesame', query: 'device-info=x' }, { device: 'x' }],
    ['from multipart and a query', { ...multipart({ password: 'sesame' }), query: 'username=ada' }, {}],
    ['with names in any letter case', { text: 'UserName=ada&PASSWORD=sesame&Device-Info=x' }, { device: 'x' }],
    ['with an empty device-info', { text: 'username=ada&password=sesame&device-info=' }, {}],
    [
      'with the longest label',
      { query: `username=ada&password=sesame&device-info=${'🌍'.repeat(200)}` },
      { device: '🌍'.repeat(200) },
    ],
    ['with unknown fields', { query: 'username=ada&password=sesame&_=1', text: 'utf8=1' }, {}],
    [
      'from a form under another type',
      { text: 'username=ada&password=sesame', headers: { 'content-type': 'text/plain' } },
      {},
    ],
    ['with spaces and signs in a password', { text: 'username=ada&password=a%26b+%2B%C3%BC' }, { password: 'a&b +ü' }],
  ])('%s', async (_what, request, expected) => {
    expect(await read(request)).toEqual({ ...ada, ...expected })
  })
})

describe('a sign-in is refused with 2400', () => {
  test.each<[string, Partial<WireRequest>]>([
    ['with a field twice in the query', { query: 'username=ada&username=ada&password=sesame' }],
    ['with a field twice in the form', { text: 'username=ada&password=sesame&password=sesame' }],
    ['with a field twice in multipart', { ...multipart({ username: 'ada', UserName: 'ada', password: 'sesame' }) }],
    ['with a field in the form and the query', { text: 'username=ada&password=sesame', query: 'password=sesame' }],
    ['with a field in both, once in capitals', { text: 'username=ada&password=sesame', query: 'PASSWORD=sesame' }],
    [
      'with a field in multipart and the query',
      { ...multipart({ username: 'ada', password: 'x' }), query: 'password=x' },
    ],
    ['with an unknown field in both', { text: 'username=ada&password=sesame&x=1', query: 'x=1' }],
    ['with a label too long', { query: `username=ada&password=sesame&device-info=${'🌍'.repeat(201)}` }],
    ['with a label of a control character', { query: 'username=ada&password=sesame&device-info=a%1B%5B2J' }],
    ['with broken percent-encoding in the query', { query: 'username=ada&password=100%' }],
    ['with broken percent-encoding in the form', { text: 'username=ada&password=100%' }],
    ['with bytes that are not UTF-8', { query: 'username=%ff&password=sesame' }],
    ['with NUL', { query: 'username=ada%00&password=sesame' }],
    ['as JSON', json('application/json')],
    ['as JSON under the header of a form', json('application/x-www-form-urlencoded')],
    ['as JSON under the header of multipart', json(multipartType)],
    [
      'as multipart without a boundary',
      { ...multipart({ username: 'ada' }), headers: { 'content-type': 'multipart/form-data' } },
    ],
    ['as multipart under the header of a form', { text: multipart({ username: 'ada' }).text }],
  ])('%s', async (_what, request) => {
    const refused = await read({ ...request }).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(OAuthError)
    expect(envelope.refuse(refused as OAuthError, noRequest)).toMatchObject({
      status: 400,
      body: expect.stringContaining('"code":"2400"'),
    })
  })
})

describe('a sign-in is refused with 1157', () => {
  test.each<[string, Partial<WireRequest>]>([
    ['without anything', {}],
    ['without a name', { query: 'password=sesame' }],
    ['without a password', { text: 'username=ada' }],
    ['with an empty name', { text: 'username=&password=sesame' }],
    ['with an empty password', multipart({ username: 'ada', password: '' })],
    ['with fields of other names', { text: 'user=ada&pass=sesame' }],
  ])('%s', async (_what, request) => {
    const refused = await read(request).catch((error: unknown) => error)
    expect(envelope.refuse(refused as OAuthError, noRequest).body).toBe(
      '{"success":false,"errors":{"message":"Username/password not supplied.","type":"OAuthException","code":"1157"}}',
    )
    expect(envelope.refuse(refused as OAuthError, noRequest).status).toBe(200)
  })
})

const issuedAt = DateTime.fromISO('2017-06-28T11:55:49Z')
const token: IssuedToken = {
  id: 'c56a4180-65aa-42ec-a945-5fd21dec0538',
  clientId: 'envelope',
  userId: '614a1d03-873d-489e-9ab5-fb53b0a0c64f',
  userName: 'ada',
  role: 'Editor',
  device: 'Unknown',
  issuedAt,
  expiresAt: issuedAt.plus({ days: 30 }),
  value: 'value-of-the-token',
  lifetimeSeconds: 2_592_000,
  signInId: '8a2f1f7e-6a51-4d0a-bb0e-6f9a6f1f0c11',
}

test('a token is written exactly as published', () => {
  const { status, body, headers } = envelope.write(token, noRequest)
  expect(body).toBe('{"success":true,"data":{"access_token":"value-of-the-token","expiry":1501242949}}')
  expect(status).toBe(200)
  expect(headers).toEqual({ 'content-type': 'application/json; charset=utf-8' })
})

const wrongData =
  'Incorrect data format or data supplied is too large. Please check documentation for more information.'
const answers: Record<OAuthErrorCode, [status: number, code: string, type: string, message: string]> = {
  invalid_request: [400, '2400', 'APIMethodException', wrongData],
  unsupported_grant_type: [400, '2400', 'APIMethodException', wrongData],
  invalid_client: [404, '2600', 'APIMethodException', 'Unknown path components: /oauth/'],
  not_found: [404, '2600', 'APIMethodException', 'Unknown path components: /oauth/'],
  invalid_grant: [200, '1142', 'OAuthException', 'Wrong username/password. Please try again.'],
  unauthorized_client: [200, '1142', 'OAuthException', 'Wrong username/password. Please try again.'],
  invalid_token: [401, '1403', 'OAuthException', 'Invalid OAuth access token.'],
  insufficient_scope: [403, '1403', 'OAuthException', 'Invalid OAuth access token.'],
  slow_down: [429, '1429', 'OAuthException', 'Too many attempts. Please try again later.'],
  temporarily_unavailable: [503, '5501', 'ServerSideException', 'Server encountered an error. Please try again later'],
  server_error: [
    500,
    '5404',
    'ServerSideException',
    'Unknown error occured. This should not happen normally. Please contact a developer.',
  ],
}

const others: [OAuthErrorCode, OAuthErrorDetails, (typeof answers)[OAuthErrorCode]][] = [
  ['invalid_request', { status: 413 }, answers.invalid_request],
  [
    'invalid_request',
    { status: 405 },
    [405, '3100', 'APIMethodException', 'Unsupported get request. Please check documentation for more information.'],
  ],
  [
    'invalid_token',
    { missingField: 'access_token' },
    [
      401,
      '1190',
      'OAuthException',
      'An active access token must be used to query information about the current visitors.',
    ],
  ],
]

describe('a refusal has the published code as a string, type and text', () => {
  const plain = Object.entries(answers).map(([code, answer]) => [code as OAuthErrorCode, {}, answer] as const)

  test.each([...plain, ...others])('%s %o', (error, details, [status, code, type, message]) => {
    const inside = { reason: 'inside', userId: 'inside', cause: new Error('inside') }
    const refusal = new OAuthError(error, 'A sentence.', { ...inside, ...details })
    expect(envelope.refuse(refusal, { ...noRequest, fields: new Map([['debug', '1']]) })).toEqual({
      status,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: `{"success":false,"errors":{"message":"${message}","type":"${type}","code":"${code}"}}`,
    })
  })
})

describe('where debug is allowed', () => {
  const asked: Fields = new Map([
    ['username', 'ada "the" first'],
    ['debug', '1'],
  ])
  const wrong = (reason: string) => new OAuthError('invalid_grant', 'A sentence.', { reason })
  const away = new OAuthError('temporarily_unavailable', 'A sentence.', { reason: 'connection refused' })

  function debugOf(error: OAuthError, fields: Fields = asked): unknown {
    const refused = JSON.parse(envelopeWithDebug.refuse(error, { ...noRequest, fields }).body)
    expect(Object.keys(refused).slice(0, 2)).toEqual(['success', 'errors'])
    return refused.debug
  }

  test.each<[string, OAuthError, object]>([
    ['an unknown user', wrong('unknown user'), { username: 'Username ada "the" first does not exist.' }],
    ['a wrong password', wrong('wrong password'), { password: 'Incorrect password.' }],
    ['a disabled user', wrong('disabled user'), { password: 'Incorrect password.' }],
    ['a database that is away', away, { mysql: 'connection refused' }],
  ])('debug=1 tells of %s', (_what, error, debug) => {
    expect(debugOf(error)).toEqual(debug)
  })

  test.each(['0', '', '2', 'true', '11'])('debug=%s tells nothing', (value) => {
    for (const error of [wrong('unknown user'), wrong('wrong password'), away]) {
      const fields = new Map([...asked, ['debug', value]])
      expect(debugOf(error, fields)).toBeUndefined()
      expect(envelopeWithDebug.refuse(error, { ...noRequest, fields })).toEqual(envelope.refuse(error, noRequest))
    }
  })

  test('debug=1 tells nothing of other refusals, nor of a success', () => {
    for (const code of Object.keys(answers) as OAuthErrorCode[]) {
      if (code === 'invalid_grant' || code === 'temporarily_unavailable') continue
      expect(debugOf(new OAuthError(code, 'A sentence.', { reason: 'inside' })), code).toBeUndefined()
    }
    expect(envelopeWithDebug.write(token, { ...noRequest, fields: asked })).toEqual(envelope.write(token, noRequest))
  })
})
