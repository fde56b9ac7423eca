// The refusals of the token endpoint, one test a cell: situation, status, code; then the order of the checks.
import { METHODS } from 'node:http'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createPasswords, type PasswordOptions } from '../../src/passwords/password.ts'
import { createServer } from '../../src/server.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { leakedLines, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { expectRefusal, wrongPassword } from '../support/refusals.ts'
import { askForToken, askWhose, basic, passwordForm, sendToken } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const origin = await listen(app)
const client = await addClient(database)
const user = await addUser(database)
const headers = basic(client.id, client.secret)
const right = passwordForm(user)
const bothMethods = ['POST', 'GET'] as const

const multipart = [
  '--boundary7MA4YWxkTrZu0gW',
  'Content-Disposition: form-data; name="grant_type"',
  '',
  'password',
  '--boundary7MA4YWxkTrZu0gW--',
  '',
].join('\r\n')

/** Body, status, code, and the description where it is promised. */
const bodies: Record<string, [body: string | Buffer, status: number, code: string, description?: unknown]> = {
  'nothing at all': ['', 400, 'invalid_request', expect.stringMatching(/^The body is empty. Send a form: /)],
  'no grant_type': ['username=a&password=b', 400, 'invalid_request', 'The field grant_type is missing.'],
  'an empty grant_type': [
    'grant_type=&username=a&password=b',
    400,
    'invalid_request',
    'The field grant_type is missing.',
  ],
  'another grant_type': ['grant_type=refresh_token', 400, 'unsupported_grant_type'],
  'no username': ['grant_type=password&password=b', 400, 'invalid_request', 'The field username is missing.'],
  'an empty username': ['grant_type=password&username=&password=b', 400, 'invalid_request'],
  'no password': ['grant_type=password&username=a', 400, 'invalid_request', 'The field password is missing.'],
  'an empty password': ['grant_type=password&username=a&password=', 400, 'invalid_request'],
  'a repeated field': [`${right}&username=x`, 400, 'invalid_request', 'The body has the same field twice.'],
  'a field repeated in another case': [`${right}&UserName=x`, 400, 'invalid_request'],
  'a per cent sign meant as itself': ['grant_type=password&username=a&password=100%', 400, 'invalid_request'],
  'escaped bytes that are no UTF-8': ['grant_type=password&username=%ff&password=b', 400, 'invalid_request'],
  'raw bytes that are no UTF-8': [
    Buffer.from('grant_type=password&username=\xff&password=b', 'latin1'),
    400,
    'invalid_request',
  ],
  'a NUL': ['grant_type=password&username=a%00&password=b', 400, 'invalid_request'],
  JSON: ['{"grant_type":"password"}', 400, 'invalid_request', expect.stringContaining('JSON')],
  XML: ['<?xml version="1.0"?><OAuthRequest/>', 400, 'invalid_request', expect.stringContaining('XML')],
  multipart: [multipart, 400, 'invalid_request', expect.stringContaining('multipart')],
  'a body one byte too long': ['a'.repeat(16_385), 413, 'invalid_request'],
}

describe('a body with', () => {
  for (const method of bothMethods) {
    test.each(Object.entries(bodies))(`${method}: %s`, async (_name, [body, status, code, description]) => {
      expectRefusal(await sendToken(app, { method, headers, body }), status, code, description)
    })
  }

  test.each(bothMethods)('%s: 16 KiB to the byte is read', async (method) => {
    const body = `${right}&padding=`.padEnd(16_384, 'a')
    expect((await sendToken(app, { method, headers, body })).statusCode).toBe(200)
  })

  test.each(bothMethods)('%s: 6,000 bytes of invalid UTF-8 are unreadable, not too long', async (method) => {
    expectRefusal(await sendToken(app, { method, headers, body: Buffer.alloc(6_000, 0xff) }), 400, 'invalid_request')
  })
})

describe('a client', () => {
  const { authorization } = headers
  test.each<[string, Record<string, string>, Record<string, string>, number, string]>([
    ['in two ways', { authorization }, { client_secret: 'x' }, 400, 'invalid_request'],
    ['of two ids', { authorization }, { client_id: 'other' }, 400, 'invalid_request'],
    ['that is unknown', basic('nobody', 'x'), {}, 401, 'invalid_client'],
    ['with a wrong secret', basic(client.id, 'wrong'), {}, 401, 'invalid_client'],
    ['that is missing', {}, {}, 401, 'invalid_client'],
    ['that cannot be read', { authorization: 'Basic *' }, {}, 401, 'invalid_client'],
    ['of another scheme', { authorization: 'Bearer x' }, {}, 401, 'invalid_client'],
  ])('%s', async (_name, said, fields, status, code) => {
    for (const method of bothMethods) {
      const response = await sendToken(app, { method, headers: said, body: passwordForm(user, fields) })
      expectRefusal(response, status, code)
    }
  })

  test('that is disabled', async () => {
    const disabled = await addClient(database)
    await setClientEnabled(database.writes, disabled.id, false)
    expectRefusal(await askForToken(app, { client: disabled, user }), 401, 'invalid_client')
  })
})

describe('a user', () => {
  test('that is unknown, disabled or has a wrong password gets one answer, byte for byte', async () => {
    const disabled = await addUser(database)
    await changeUser(database.writes, disabled.name, { isEnabled: false })
    const without = await addUser(database, { passwordHash: null })
    const password = 'wrong-password'
    const asked = [
      { name: `nobody-${randomWord()}`, password },
      { name: user.name, password },
      disabled,
      { ...disabled, password },
      without,
    ]
    const answers = await Promise.all(asked.map((someone) => askForToken(app, { client, user: someone })))
    const told = answers.map(({ headers: { date: _date, ...headers }, body }) => ({ headers, body }))
    for (const answer of answers) expectRefusal(answer, 400, 'invalid_grant', wrongPassword)
    for (const answer of told) expect(answer).toEqual(told[0])
  })
})

describe('a method', () => {
  const others = ['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'QUERY'] as const
  test.each(others)('%s is refused with the methods to use', async (method) => {
    const response = await app.inject({ method: method as 'PUT', url: '/token', headers })
    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe('GET, POST')
    expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
    if (method !== 'HEAD') expectRefusal(response, 405, 'invalid_request', 'Use GET or POST.')
  })

  test('of any other name is refused the same way', async () => {
    const methods = METHODS.filter((method) => !['GET', 'POST', 'CONNECT'].includes(method))
    for (const method of methods) {
      const answer = await sendBytes(
        origin,
        `${method} /Token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      )
      expect(answer, method).toMatch(/^HTTP\/1\.1 405 /)
      expect(answer.toLowerCase(), method).toContain('\r\nallow: get, post\r\n')
    }
  })

  test('is refused before the body is looked at', async () => {
    const body = 'a'.repeat(20_000)
    for (const type of ['application/json', 'garbage', 'application/x-www-form-urlencoded']) {
      const typed = { ...headers, 'content-type': type }
      const response = await app.inject({ method: 'PUT', url: '/Token', headers: typed, body })
      expectRefusal(response, 405, 'invalid_request')
    }
  })
})

describe('the Content-Type header', () => {
  const types = [
    'application/json',
    'application/json; charset=utf-8',
    'text/plain',
    'multipart/form-data',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/x-www-form-urlencoded; charset=iso-8859-1',
    'garbage',
    ';;;',
    '',
  ]
  test.each(types)('%j does not matter where the body is a form', async (type) => {
    for (const method of bothMethods) {
      const response = await sendToken(app, { method, headers: { ...headers, 'content-type': type }, body: right })
      expect(response.statusCode).toBe(200)
    }
  })

  test.each(types)('%j does not turn another body into a form', async (type) => {
    for (const method of bothMethods) {
      const typed = { ...headers, 'content-type': type }
      expectRefusal(await sendToken(app, { method, headers: typed, body: '{"a":1}' }), 400, 'invalid_request')
    }
  })

  test('can be missing', async () => {
    for (const method of bothMethods) {
      const request = [
        `${method} /Token HTTP/1.1`,
        'Host: localhost',
        `Authorization: ${headers.authorization}`,
        `Content-Length: ${right.length}`,
        'Connection: close',
        '',
        right,
      ].join('\r\n')
      expect(await sendBytes(origin, request)).toMatch(/^HTTP\/1\.1 200 /)
    }
  })
})

describe('letter case', () => {
  test.each(['/Token', '/token', '/TOKEN', '/tOKEN'])('of the path does not matter: %s', async (url) => {
    expect((await sendToken(app, { url, headers, body: right })).statusCode).toBe(200)
    expect((await sendToken(app, { url, method: 'GET', headers, body: right })).statusCode).toBe(200)
  })

  test('of field names does not matter', async () => {
    const body = right
      .replace('grant_type', 'Grant_Type')
      .replace('username', 'userName')
      .replace('password=', 'PASSWORD=')
    expect((await sendToken(app, { headers, body })).statusCode).toBe(200)
  })

  test('of the values does', async () => {
    expectRefusal(
      await sendToken(app, { headers, body: right.replace('=password', '=Password') }),
      400,
      'unsupported_grant_type',
    )
    const someone = await addUser(database, { password: `Sesame-${randomWord()}` })
    const shouted = { ...someone, password: someone.password.toUpperCase() }
    expectRefusal(await askForToken(app, { client, user: shouted }), 400, 'invalid_grant', wrongPassword)
  })

  test.each(['/Token/', '/Tokens', '/Token/x', '/x/Token'])('does not make %s the endpoint', async (url) => {
    const response = await sendToken(app, { url, headers, body: right })
    expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
  })
})

describe('the query string', () => {
  test('is never read', async () => {
    const url = `/Token?${right}&client_id=${client.id}&client_secret=${client.secret}`
    for (const method of bothMethods) {
      expectRefusal(await sendToken(app, { method, url }), 401, 'invalid_client')
      expectRefusal(
        await sendToken(app, { method, url, headers }),
        400,
        'invalid_request',
        expect.stringMatching(/^The fields are in the query string, which the server ignores/),
      )
    }
  })

  test('changes nothing', async () => {
    const url = '/Token?grant_type=x&username=x&grant_type=y&%zz=%'
    for (const method of bothMethods) {
      expect((await sendToken(app, { method, url, headers, body: right })).statusCode).toBe(200)
    }
  })
})

describe('a body over 16 KiB is 413 over a socket', () => {
  const head = (method: string, more: string) => `${method} /Token HTTP/1.1\r\nHost: localhost\r\n${more}\r\n\r\n`
  const chunk = `2000\r\n${'a'.repeat(0x2000)}\r\n`

  test.each(bothMethods)('by the length that %s announces, before it is sent', async (method) => {
    const answer = await sendBytes(origin, head(method, 'Content-Length: 16385'))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain('"error":"invalid_request"')
    expect(answer.toLowerCase()).toContain('\r\ncache-control: no-store\r\n')
  })

  test.each(bothMethods)('by what %s sends in chunks without announcing it', async (method) => {
    const answer = await sendBytes(origin, head(method, 'Transfer-Encoding: chunked') + chunk.repeat(3))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain('"error":"invalid_request"')
  })

  test.each(bothMethods)('and %s in chunks under it is read', async (method) => {
    const parts = [right.slice(0, 10), right.slice(10)]
    const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
    const lines = `Transfer-Encoding: chunked\r\nConnection: close\r\nAuthorization: ${headers.authorization}`
    expect(await sendBytes(origin, `${head(method, lines)}${chunks}0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('of several mistakes the first in this order determines the answer', () => {
  const long = 'x'.repeat(20_000)
  const wrongClient = basic('nobody', 'x')
  // every request has the mistakes of all rows below its own
  const order: [string, Parameters<typeof sendToken>[1], number, string, unknown?][] = [
    ['size', { headers: wrongClient, body: `{"a":"${long}%zz` }, 413, 'invalid_request'],
    [
      'kind of body',
      { headers: wrongClient, body: '{"a":"%zz"}' },
      400,
      'invalid_request',
      expect.stringContaining('JSON'),
    ],
    [
      'readability',
      { headers: wrongClient, body: 'a=%zz&client_secret=x' },
      400,
      'invalid_request',
      expect.stringContaining('percent'),
    ],
    [
      'repeats',
      { headers: wrongClient, body: 'a=1&a=2&client_secret=x' },
      400,
      'invalid_request',
      expect.stringContaining('twice'),
    ],
    [
      'two ways',
      { headers: wrongClient, body: 'client_secret=x&grant_type=x' },
      400,
      'invalid_request',
      expect.stringContaining('two ways'),
    ],
    ['client', { headers: wrongClient, body: 'grant_type=x' }, 401, 'invalid_client'],
    ['missing grant_type', { headers, body: 'username=a' }, 400, 'invalid_request', 'The field grant_type is missing.'],
    ['grant_type', { headers, body: 'grant_type=x&username=a' }, 400, 'unsupported_grant_type'],
    ['user name', { headers, body: 'grant_type=password' }, 400, 'invalid_request', 'The field username is missing.'],
    [
      'password',
      { headers, body: 'grant_type=password&username=nobody' },
      400,
      'invalid_request',
      'The field password is missing.',
    ],
    ['user', { headers, body: 'grant_type=password&username=nobody&password=x' }, 400, 'invalid_grant', wrongPassword],
  ]
  for (const method of bothMethods) {
    test.each(order)(`${method}: %s`, async (_name, parts, status, code, description) => {
      expectRefusal(await sendToken(app, { ...parts, method }), status, code, description)
    })
  }
})

/** A server of its own kind beside the file's. */
async function serverOn(other: Database, passwords: Partial<PasswordOptions>) {
  const server = await createServer(other, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    lifetimeSeconds: 60,
    passwords: { ...cheapPasswords, ...passwords },
  })
  afterAll(() => server.close())
  return server
}

describe('when too many sign-ins wait for their hash', () => {
  // slow enough that all requests arrive while the first hash is under way
  const slow = { memoryKib: 65_536, passes: 12, concurrency: 1 }

  test.each([0, 1])('with room for %i, all others get 503 with Retry-After', async (queueLimit) => {
    const server = await serverOn(database, { ...slow, queueLimit })
    const passwordHash = await (await createPasswords({ ...cheapPasswords, ...slow })).hash(user.password)
    const someone = await addUser(database, { passwordHash, password: user.password })
    await askWhose(server, 'warm')
    const answers = await Promise.all(Array.from({ length: 6 }, () => askForToken(server, { client, user: someone })))
    const refused = answers.filter(({ statusCode }) => statusCode !== 200)
    expect(answers).toHaveLength(refused.length + 1 + queueLimit)
    for (const answer of refused) expectRefusal(answer, 503, 'temporarily_unavailable')
    expect((await askForToken(server, { client, user: someone })).statusCode).toBe(200)
  })

  test('tokens are still checked', async () => {
    const server = await serverOn(database, { ...slow, queueLimit: 0 })
    const value = (await askForToken(app, { client, user })).json().access_token
    const nobody = { name: 'nobody', password: 'wrong-password' }
    const [first, second, whose] = await Promise.all([
      askForToken(server, { client, user: nobody }),
      askForToken(server, { client, user: nobody }),
      askWhose(server, value),
    ])
    expect([first.statusCode, second.statusCode].toSorted()).toEqual([400, 503])
    expect(whose.statusCode).toBe(200)
  })
})

describe('when the database is away', async () => {
  const away = await openDatabase('postgres://someone:sesame-42@127.0.0.1:1/none')
  afterAll(() => away.close())
  const server = await serverOn(away, {})

  test.each(bothMethods)('%s is 503 and never a verdict on client or user', async (method) => {
    expectRefusal(await sendToken(server, { method, headers, body: right }), 503, 'temporarily_unavailable')
    const fields = passwordForm(user, { client_id: client.id, client_secret: client.secret })
    expectRefusal(await sendToken(server, { method, body: fields }), 503, 'temporarily_unavailable')
  })

  test('a token is neither good nor bad', async () => {
    const value = (await askForToken(app, { client, user })).json().access_token
    const response = await askWhose(server, value)
    expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable'])
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(response.headers['www-authenticate']).toBeUndefined()
  })

  test('a fault that needs no query is refused as usual', async () => {
    expectRefusal(await sendToken(server, { headers, body: '{}' }), 400, 'invalid_request')
    expectRefusal(
      await sendToken(server, { headers: { authorization: 'Basic *' }, body: right }),
      401,
      'invalid_client',
    )
    expect((await askWhose(server, 'no-token-at-all')).statusCode).toBe(401)
  })

  test('no answer reveals its address or password', async () => {
    const response = await sendToken(server, { headers, body: right })
    expect(response.body).not.toMatch(/127\.0\.0\.1|sesame|someone|ECONNREFUSED/)
    expect(leakedLines()).toEqual([])
  })
})
