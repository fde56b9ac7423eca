import { describe, expect, test } from 'vitest'
import type { Event } from '../../src/events.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, leakedLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken, askWhose, basic, passwordForm, sendToken } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const { app, database, url } = await testServer()
const client = await addClient(database)
const user = await addUser(database)

/** The lines that were written while `work` ran. */
async function linesOf(work: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const before = readLog().length
  await work()
  return readLog().slice(before)
}

const levels = { info: 30, warn: 40, error: 50 }

describe('a sign-in', () => {
  test('is one line: event, user, client, dialect, duration, address', async () => {
    const lines = await linesOf(() => askForToken(app, { client, user }))
    expect(lines).toEqual([
      expect.objectContaining({
        level: levels.info,
        event: 'sign-in',
        userId: user.id,
        client: client.id,
        dialect: 'webapi',
        durationMs: expect.any(Number),
        address: '127.0.0.1',
        requestId: expect.any(String),
      }),
    ])
    expect(JSON.stringify(lines)).not.toContain(user.name)
  })
})

describe('a refusal is one line with the reason that the answer must hide', () => {
  const right = passwordForm(user)
  const headers = basic(client.id, client.secret)
  const cases: [string, Parameters<typeof sendToken>[1], Record<string, unknown>][] = [
    [
      'unknown user',
      { headers, body: passwordForm({ ...user, name: 'nobody' }) },
      { code: 'invalid_grant', client: client.id },
    ],
    [
      'wrong password',
      { headers, body: passwordForm({ ...user, password: 'wrong-password' }) },
      { code: 'invalid_grant', client: client.id, userId: user.id },
    ],
    ['unknown client', { headers: basic('nobody', 'x'), body: right }, { code: 'invalid_client' }],
    ['wrong client secret', { headers: basic(client.id, 'wrong-secret'), body: right }, { code: 'invalid_client' }],
    ['client secret missing', { body: passwordForm(user, { client_id: client.id }) }, { code: 'invalid_client' }],
    [
      'Authorization header unreadable',
      { headers: { authorization: 'Basic *' }, body: right },
      { code: 'invalid_client' },
    ],
    ['missing field grant_type', { headers, body: '' }, { code: 'invalid_request', client: client.id }],
    ['The body has the same field twice.', { headers, body: 'a=1&a=1' }, { code: 'invalid_request' }],
    ['The body is longer than 16384 bytes.', { headers, body: 'a'.repeat(20_000) }, { code: 'invalid_request' }],
  ]
  test.each(cases)('%s', async (reason, parts, facts) => {
    const lines = await linesOf(() => sendToken(app, parts))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: levels.info,
      event: 'refusal',
      reason,
      dialect: 'webapi',
      durationMs: expect.any(Number),
      address: '127.0.0.1',
      requestId: expect.any(String),
      ...facts,
    })
  })

  test('disabled user, and user without a password', async () => {
    const disabled = await addUser(database)
    await changeUser(database.writes, disabled.name, { isEnabled: false })
    const without = await addUser(database, { passwordHash: null })
    const lines = await linesOf(async () => {
      await askForToken(app, { client, user: disabled })
      await askForToken(app, { client, user: without })
    })
    expect(lines.map(({ reason, userId }) => [reason, userId])).toEqual([
      ['disabled user', disabled.id],
      ['user without a password', without.id],
    ])
  })

  test('a token that is not live, and why', async () => {
    const older = (await askForToken(app, { client, user })).json().access_token
    await askForToken(app, { client, user })
    const lines = await linesOf(async () => {
      await askWhose(app, older)
      await askWhose(app, keepSecret(`${randomWord()}${randomWord()}`))
    })
    expect(lines.map(({ event, code, reason }) => [event, code, reason])).toEqual([
      ['refusal', 'invalid_token', 'token superseded'],
      ['refusal', 'invalid_token', 'token unknown'],
    ])
  })
})

describe('the events of a server', () => {
  test('reach a listener once each, and its errors disturb no answer', async () => {
    const heard: Event[] = []
    const emit = (event: Event) => {
      heard.push(event)
      throw new Error('a reader failed')
    }
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const listening = await serverBeside(url, { emit })
    const headers = basic(client.id, client.secret)
    const value = (await sendToken(listening, { headers, body: passwordForm(user) })).json().access_token
    await sendToken(listening, { headers, body: passwordForm({ ...user, password: 'wrong-password' }) })
    await askWhose(listening, keepSecret(`${randomWord()}${randomWord()}`))
    const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' }
    for (const url of ['/revoke', '/introspect']) {
      await listening.inject({ method: 'POST', url, headers: form, body: `token=${keepSecret(value)}` })
    }
    const by = { userId: user.id, clientId: client.id }
    expect(heard.map(({ type }) => type)).toEqual([
      'user.signed_in',
      'user.sign_in_failed',
      'request.refused',
      'token.revoked',
      'token.introspected_inactive',
    ])
    expect(heard[0]).toMatchObject({ ...by, place: { dialect: 'webapi' }, requestId: expect.any(String) })
    expect(heard[1]).toMatchObject({ ...by, code: 'invalid_grant', reason: 'wrong password' })
    expect(heard[3]).toMatchObject({ ...by, by: 'client' })
    expect(JSON.stringify(heard)).not.toContain(value)
    expect(await warned).toMatchObject({ message: 'a reader failed' })
  })
})

describe('an address that a trusted proxy forwards', () => {
  test('is left out of the log when it is not an address', async () => {
    const proxied = await serverBeside(url, { trustProxy: ['127.0.0.0/8'] })
    const secret = keepSecret(`${randomWord()}${randomWord()}`)
    const headers = { ...basic(client.id, client.secret), 'x-forwarded-for': secret }
    const lines = await linesOf(async () => {
      const value = (await sendToken(proxied, { headers, body: passwordForm(user) })).json().access_token
      await sendToken(proxied, { headers, body: passwordForm({ ...user, password: 'wrong-password' }) })
      await sendToken(proxied, { headers: { 'x-forwarded-for': secret }, body: '' })
      await proxied.inject({
        method: 'POST',
        url: '/revoke',
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: `token=${keepSecret(value)}`,
      })
    })
    expect(lines.map(({ event, address }) => [event, address])).toEqual([
      ['sign-in', 'unreadable'],
      ['refusal', 'unreadable'],
      ['refusal', 'unreadable'],
      ['revocation', 'unreadable'],
    ])
    expect(leakedLines()).toEqual([])
  })
})

describe('a request without a log line', () => {
  test('is one with a live token, for health or for an unknown path', async () => {
    const value = (await askForToken(app, { client, user })).json().access_token
    const lines = await linesOf(async () => {
      await askWhose(app, value)
      await app.inject({ url: '/health/live' })
      await app.inject({ url: '/health/ready' })
      await app.inject({ url: '/nothing' })
    })
    expect(lines.filter(({ level }) => Number(level) >= levels.info)).toEqual([])
  })
})

describe('an unknown or unreadable path', () => {
  const marker = keepSecret(`sesame${randomWord()}`)
  const urls = [
    `/${marker}`,
    `/nothing?password=${marker}`,
    `/Token/${marker}?password=${marker}`,
    `/%zz?password=${marker}`,
    `/%zz${marker}`,
    `/%ff${marker}`,
    `/${marker.repeat(20)}`,
    `/health/${marker}`,
    `//${marker}`,
    `/nothing#${marker}`,
  ]
  test.each(urls)('is answered in JSON that repeats nothing', async (url) => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'] as const) {
      const response = await app.inject({ method, url })
      expect([400, 404]).toContain(response.statusCode)
      expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
      expect(Object.keys(response.json())).toEqual(['error', 'error_description'])
      expect(JSON.stringify([response.headers, response.body])).not.toContain(marker.slice(0, 8))
    }
  })

  test.each(['application/json', 'application/x-www-form-urlencoded', 'text/plain', 'garbage'])(
    'is answered so with a body of type %s too',
    async (type) => {
      const body = `{"password":"${marker}"`
      const response = await app.inject({ method: 'POST', url: '/Tokn', headers: { 'content-type': type }, body })
      expect([400, 404]).toContain(response.statusCode)
      expect(Object.keys(response.json())).toEqual(['error', 'error_description'])
      expect(JSON.stringify([response.headers, response.body])).not.toContain(marker)
    },
  )

  test('is answered so even when the request is not HTTP', async () => {
    const origin = await listen(app)
    const requests = [
      `${marker}\r\n\r\n`,
      `GET /${marker} HTTP/9.9\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\nHost: ${marker}\r\nContent-Length: x${marker}\r\n\r\n`,
      `POST /Token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ${marker.repeat(1000)}\r\n\r\n`,
      `POST /Token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz${marker}\r\n`,
    ]
    for (const request of requests) {
      const answer = await sendBytes(origin, request)
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
      expect(answer).toContain('"error":"invalid_request"')
      expect(answer).not.toContain(marker)
    }
  })

  test('does not take the answer of the request before it on the same connection', async () => {
    const good = `GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n`
    const answer = await sendBytes(app.listeningOrigin, `${good}${marker}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain('{"status":"ready"}')
    expect(answer).not.toContain(marker)
  })
})

describe('no line at the finest level', () => {
  test('holds a query', async () => {
    const marker = keepSecret(`sesame${randomWord()}`)
    const query = `?access_token=${marker}&password=${marker}`
    for (const path of [
      '/Token',
      '/token',
      '/userinfo',
      '/health/live',
      '/health/ready',
      '/openapi.yaml',
      '/nothing',
    ]) {
      for (const method of ['GET', 'POST', 'HEAD', 'PUT'] as const) await app.inject({ method, url: path + query })
    }
    expect(readLog().filter((line) => JSON.stringify(line).includes('?'))).toEqual([])
    expect(leakedLines()).toEqual([])
  })

  test('holds a password, a secret or a token, right or wrong, in its own place or any other', async () => {
    const marker = keepSecret(`sesame${randomWord()}`)
    const headers = basic(client.id, client.secret)
    const bodies = [
      passwordForm({ name: marker, password: marker }),
      passwordForm({ name: user.name, password: marker }),
      passwordForm(user, { grant_type: marker }),
      `${passwordForm(user)}&password=${marker}`,
      `${marker}=1&${marker}=2`,
      `password=%zz${marker}`,
      `{"password":"${marker}"}`,
      `<password>${marker}</password>`,
      marker.repeat(1000),
    ]
    for (const body of bodies) await sendToken(app, { headers, body })
    await sendToken(app, { headers: basic(client.id, marker), body: passwordForm(user) })
    await sendToken(app, { headers: basic(marker, marker), body: passwordForm(user) })
    await sendToken(app, { headers: { authorization: marker }, body: passwordForm(user) })
    await sendToken(app, { headers: { authorization: `Basic ${marker}` }, body: passwordForm(user) })
    await sendToken(app, { body: passwordForm(user, { client_id: marker, client_secret: marker }) })
    for (const header of [`Bearer ${marker}`, `Bearer ${marker} ${marker}`, marker]) {
      await app.inject({ url: '/userinfo', headers: { authorization: header, 'x-api-key': marker, cookie: marker } })
    }
    expect(leakedLines()).toEqual([])
  })

  test('escapes this search when it holds a secret', () => {
    const secret = keepSecret(`sésame/${randomWord()}+`)
    const spellings = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]
    for (const spelling of spellings) expect(leakedLines([`{"msg":${JSON.stringify(spelling)}}`])).toHaveLength(1)
    expect(leakedLines(['{"msg":"nothing"}'])).toEqual([])
  })
})
