import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  type onRequestAsyncHookHandler,
} from 'fastify'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type BearerOptions,
  type BearerToken,
  bearer,
  type FindBearerToken,
  introspectAt,
  OAuthError,
} from '../../src/bearer/index.ts'
import { revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { createTokenCache } from '../../src/tokens/token-cache.ts'
import { keepSecret, logLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken, basic, bearer as bearing } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const origin = await listen(app)
const client = await addClient(database)
const backend = await addClient(database)
basic(backend.id, backend.secret) // notes how it stands in the header

/** The two ways to find a token; nothing is remembered, so that every test asks. */
const inProcess: FindBearerToken = createTokenCache(database, { seconds: 0 }).findToken
const byIntrospection = introspectAt({
  url: origin,
  clientId: backend.id,
  clientSecret: backend.secret,
  cacheSeconds: 0,
})
const ways: [string, FindBearerToken][] = [
  ['found in process', inProcess],
  ['found by introspection', byIntrospection],
]

const realm = 'Bearer realm="password-grant"'
const noRole = `${realm}, error="insufficient_scope", error_description="The token does not have the role that this route requires."`
const malformed = `${realm}, error="invalid_request", error_description="Send one token: Authorization: Bearer <token>"`
const twoTokens = `${realm}, error="invalid_request", error_description="The request has more than one token."`

async function signIn(user: { name: string; password: string }): Promise<string> {
  return (await askForToken(app, { client, user })).json().access_token
}

async function signInAs(role: string): Promise<string> {
  return signIn(await addUser(database, { role }))
}

/** A backend, closed after the test. */
async function createBackend(options: Partial<BearerOptions> = {}, level = 'silent'): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = pino({ level }, logLines)
  const host = Fastify({ loggerInstance })
  onTestFinished(() => host.close())
  await host.register(bearer, { findToken: inProcess, ...options })
  return host
}

/** A backend with one guarded route, and what that route saw. */
async function createGuarded(options: Partial<BearerOptions> = {}, role?: string | string[]) {
  const host = await createBackend(options)
  const seen: BearerToken[] = []
  host.get('/mine', { onRequest: host.requireToken(role === undefined ? {} : { role }) }, async ({ token }) => {
    seen.push(token)
    return { of: token.userName, role: token.role }
  })
  const ask = (headers: Record<string, string> = {}) => host.inject({ url: '/mine', headers })
  return { host, seen, ask }
}

describe.each(ways)('a token %s', (_way, findToken) => {
  test('is accepted and appears as `request.token`', async () => {
    const user = await addUser(database, { role: 'Editor' })
    const signedIn = (await askForToken(app, { client, user })).json()
    const { seen, ask } = await createGuarded({ findToken })
    const response = await ask(bearing(signedIn.access_token))
    expect([response.statusCode, response.json()]).toEqual([200, { of: user.name, role: 'Editor' }])
    expect(response.headers['www-authenticate']).toBeUndefined()
    expect(response.headers['cache-control']).toBeUndefined()
    const [token] = seen
    expect(token).toMatchObject({ clientId: client.id, userId: user.id, userName: user.name, role: 'Editor' })
    expect(token?.issuedAt.toHTTP()).toBe(signedIn['.issued'])
    expect(token?.expiresAt.toHTTP()).toBe(signedIn['.expires'])
    expect([token?.issuedAt.zoneName, token?.expiresAt.zoneName]).toEqual(['UTC', 'UTC'])
  })

  test.each<[string, string | string[] | undefined, number]>([
    ['Editor', undefined, 200],
    ['', undefined, 200],
    ['Editor', 'Editor', 200],
    ['Editor', 'editor', 403],
    ['Editor', 'EDITOR', 403],
    ['Editor', 'Edit', 403],
    ['Editor', 'Editors', 403],
    ['Editor', ' Editor', 403],
    ['Editor', 'Reader', 403],
    ['Editor', ['Reader', 'Editor'], 200],
    ['Editor', ['Reader', 'Administrator'], 403],
    ['Editor', ['Reader,Editor'], 403],
    ['Editor', '', 403],
    ['', 'Editor', 403],
    ['', '', 200],
    ['', ['', 'Editor'], 200],
    ['Éditeur', 'Éditeur', 200],
    ['Éditeur', 'E\u0301diteur', 403], // the same to the eye, not the same role
  ])('of the role %j, where %j is required, is answered with %i', async (role, required, status) => {
    const { seen, ask } = await createGuarded({ findToken }, required)
    const response = await ask(bearing(await signInAs(role)))
    expect(response.statusCode).toBe(status)
    expect(response.headers['www-authenticate']).toBe(status === 403 ? noRole : undefined)
    expect(response.headers['cache-control']).toBe(status === 403 ? 'no-store' : undefined)
    expect(seen.map((token) => token.role)).toEqual(status === 403 ? [] : [role])
  })

  test('is never mixed up among 200 requests at once', async () => {
    const { seen, host } = await createGuarded({ findToken })
    host.get('/slow', { onRequest: host.requireToken() }, async (request) => {
      const before = request.token.userName
      await sleep(Math.random() * 20)
      return { before, after: request.token.userName }
    })
    const url = await listen(host)
    const password = randomWord()
    const people = await Promise.all(Array.from({ length: 200 }, () => addUser(database, { password })))
    const values = await Promise.all(people.map(signIn))
    const answers = await Promise.all(
      values.map(async (value) => (await fetch(`${url}/slow`, { headers: bearing(value) })).json()),
    )
    expect(answers).toEqual(people.map(({ name }) => ({ before: name, after: name })))
    expect(seen).toEqual([])
  })
})

test('both ways give the same answer for one token', async () => {
  const value = await signInAs('Editor')
  const [known, told] = [await inProcess(value), await byIntrospection(value)]
  if (!('token' in known && 'token' in told)) throw new Error('no token')
  const describeToken = ({ clientId, userId, userName, role, issuedAt, expiresAt }: BearerToken) => [
    ...[clientId, userId, userName, role],
    ...[issuedAt.toUnixInteger(), expiresAt.toUnixInteger()],
  ]
  expect(describeToken(told.token)).toEqual(describeToken(known.token))
})

describe('RFC 6750 §3: the challenge', () => {
  test.each<[string, Record<string, string>]>([
    ['nothing at all', {}],
    ['an empty header', { authorization: '' }],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['a scheme that begins like it', { authorization: 'Bearerx abc' }],
    ['the scheme Token, which is not enabled', { authorization: 'Token abc' }],
    ['x-access-token, which is not enabled', { 'x-access-token': 'abc' }],
    ['a cookie', { cookie: 'access_token=abc; token=abc' }],
  ])('for %s has no error code', async (_name, headers) => {
    const response = await (await createGuarded()).ask(headers)
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, realm])
    expect(response.headers['cache-control']).toBe('no-store')
    expect(response.headers['retry-after']).toBeUndefined()
  })

  test.each([
    'Bearer',
    'Bearer ',
    'bearer',
    'Bearer a b',
    'Bearer a,b',
    'Bearer a, Bearer b',
    'Bearer "a"',
    'Bearer =a',
  ])('for the malformed %j is invalid_request', async (authorization) => {
    const response = await (await createGuarded()).ask({ authorization })
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([400, malformed])
    expect(response.headers['cache-control']).toBe('no-store')
  })

  test('for two headers is invalid_request, even when equal', async () => {
    const { host, seen } = await createGuarded()
    const value = await signInAs('Editor')
    const url = await listen(host)
    for (const other of [`Bearer ${value}`, 'Bearer abc', 'Basic YTpi', '']) {
      const answer = await sendLines(url, [`Authorization: Bearer ${value}`, `AUTHORIZATION: ${other}`])
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain(
        `\r\nwww-authenticate: ${realm}, error="invalid_request", ` +
          'error_description="The request has more than one Authorization header."\r\n',
      )
      expect(answer).toContain('\r\ncache-control: no-store\r\n')
    }
    expect(seen).toEqual([])
  })

  const sentences = {
    expired: 'The token has expired. Sign in again.',
    superseded: 'The token was replaced by a newer sign-in of the same user.',
    revoked: 'The token was revoked. Sign in again.',
    unknown: 'The token is unknown.',
  }
  const expire = `update password_grant.tokens
    set issued_at = now() - interval '2 s', expires_at = now() - interval '1 s' where user_id = $1`
  test.each<[keyof typeof sentences, (user: { id: string; name: string; password: string }) => Promise<unknown>]>([
    ['superseded', (user) => signIn(user)],
    ['revoked', ({ id }) => revokeTokensOfUser(database.writes, id)],
    ['expired', ({ id }) => database.script(expire, [id])],
    ['unknown', ({ id }) => database.script('delete from password_grant.users where id = $1', [id])],
  ])(
    'of a token that is %s says so in process, and says only that it is not valid by introspection',
    async (ended, end) => {
      const user = await addUser(database)
      const value = await signIn(user)
      await end(user)
      for (const [findToken, sentence] of [
        [inProcess, sentences[ended]],
        [byIntrospection, 'The token is not valid. Sign in again.'],
      ] as const) {
        const response = await (await createGuarded({ findToken })).ask(bearing(value))
        expect([response.statusCode, response.headers['www-authenticate']]).toEqual([
          401,
          `${realm}, error="invalid_token", error_description="${sentence}"`,
        ])
        expect(response.headers['cache-control']).toBe('no-store')
        expect(response.json().message).toBe(sentence)
      }
    },
  )

  test('names the realm that the guard was given', async () => {
    const { ask } = await createGuarded({ realm: 'My API (v2), it’s'.replace('’', "'") })
    const named = 'Bearer realm="My API (v2), it\'s"'
    expect((await ask()).headers['www-authenticate']).toBe(named)
    expect((await ask({ authorization: 'Bearer a b' })).headers['www-authenticate']).toMatch(`${named}, error=`)
    expect((await ask(bearing('abc'))).headers['www-authenticate']).toMatch(`${named}, error="invalid_token"`)
  })

  test('leaves the details of an end to the log, which omits the token', async () => {
    const host = await createBackend({}, 'trace')
    host.get('/mine', { onRequest: host.requireToken() }, async () => 'never')
    const user = await addUser(database)
    const value = await signIn(user)
    await signIn(user)
    await host.inject({ url: '/mine', headers: bearing(value) })
    const { err } = readLog().findLast((line) => 'err' in line) as { err: object }
    expect(err).toMatchObject({ code: 'invalid_token', reason: 'token superseded', userId: user.id })
  })
})

describe('the place of a token', () => {
  test.each(['Bearer', 'bearer', 'BEARER', 'bEaReR', 'Bearer  '])('the scheme may be written %j', async (scheme) => {
    const { ask } = await createGuarded()
    expect((await ask({ authorization: `${scheme} ${await signInAs('Editor')}` })).statusCode).toBe(200)
  })

  test('is neither the URL nor a body', async () => {
    const host = await createBackend()
    host.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
      done(null, Object.fromEntries(new URLSearchParams(String(body))))
    })
    host.all('/mine', { preHandler: host.requireToken() }, async () => 'let in')
    const value = await signInAs('Editor')
    const json = { 'content-type': 'application/json' }
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const name of ['access_token', 'token', 'bearer_token', 'authorization']) {
      for (const request of [
        { url: `/mine?${name}=${value}` },
        { method: 'POST' as const, url: '/mine', headers: form, payload: `${name}=${value}` },
        { method: 'POST' as const, url: '/mine', headers: json, payload: { [name]: value } },
      ]) {
        const response = await host.inject(request)
        expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, realm])
      }
    }
  })

  test('can also be the scheme Token, in any letter case', async () => {
    const { ask } = await createGuarded({ alsoAccept: ['Token'] })
    const value = await signInAs('Editor')
    for (const scheme of ['Token', 'token', 'TOKEN', 'Bearer']) {
      expect((await ask({ authorization: `${scheme} ${value}` })).statusCode).toBe(200)
    }
    for (const authorization of ['Token', 'Token a b', 'token "a"']) {
      expect((await ask({ authorization })).headers['www-authenticate']).toBe(malformed)
    }
    expect((await ask({ 'x-access-token': value })).headers['www-authenticate']).toBe(realm)
    expect((await ask({ authorization: `Tokens ${value}` })).headers['www-authenticate']).toBe(realm)
  })

  test('can also be x-access-token, in any letter case', async () => {
    const { ask } = await createGuarded({ alsoAccept: ['x-access-token'] })
    const value = await signInAs('Editor')
    for (const name of ['x-access-token', 'X-Access-Token']) {
      expect((await ask({ [name]: value })).statusCode).toBe(200)
      expect((await ask({ [name]: value, authorization: 'Basic YTpi' })).statusCode).toBe(200)
    }
    expect((await ask(bearing(value))).statusCode).toBe(200)
    expect((await ask({ authorization: `Token ${value}` })).headers['www-authenticate']).toBe(realm)
    for (const text of ['', 'a b', `Bearer ${value}`, '"a"']) {
      const response = await ask({ 'x-access-token': text })
      expect([response.statusCode, response.headers['www-authenticate']]).toEqual([
        400,
        `${realm}, error="invalid_request", error_description="Send one token: x-access-token: <token>"`,
      ])
    }
  })

  test('must be unique in a request: two tokens are refused, even when equal', async () => {
    const { host, ask, seen } = await createGuarded({ alsoAccept: ['Token', 'x-access-token'] })
    const value = await signInAs('Editor')
    for (const authorization of [`Bearer ${value}`, `Token ${value}`, 'Bearer abc']) {
      for (const other of [value, 'abc', '']) {
        const response = await ask({ authorization, 'x-access-token': other })
        expect([response.statusCode, response.headers['www-authenticate']]).toEqual([400, twoTokens])
      }
    }
    const url = await listen(host)
    const answer = await sendLines(url, [`X-Access-Token: ${value}`, `x-access-token: ${value}`])
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain(twoTokens)
    expect(seen).toEqual([])
  })
})

describe('a guard', () => {
  test.each(['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const)('stands at %s', async (hook) => {
    const host = await createBackend()
    host.post('/mine', { [hook]: host.requireToken({ role: 'Editor' }) }, async ({ token, body }) => {
      return { of: token.userName, body }
    })
    const user = await addUser(database, { role: 'Editor' })
    const ask = (headers: Record<string, string>) =>
      host.inject({ method: 'POST', url: '/mine', headers, payload: { a: 1 } })
    const response = await ask(bearing(await signIn(user)))
    expect([response.statusCode, response.json()]).toEqual([200, { of: user.name, body: { a: 1 } }])
    expect((await ask({})).headers['www-authenticate']).toBe(realm)
    expect((await ask(bearing(await signInAs('Reader')))).statusCode).toBe(403)
  })

  test('covers a whole scope or a list of hooks, and routes set their own roles', async () => {
    const host = await createBackend()
    await host.register(async (scope) => {
      scope.addHook('onRequest', scope.requireToken())
      scope.get('/all', async ({ token }) => token.role)
      scope.get('/few', { onRequest: [async () => {}, scope.requireToken({ role: 'Editor' })] }, async () => 'few')
    })
    host.get('/free', async () => 'free')
    const statuses = async (headers: Record<string, string>) => {
      const answers = await Promise.all(['/all', '/few', '/free'].map((url) => host.inject({ url, headers })))
      return answers.map(({ statusCode }) => statusCode)
    }
    expect(await statuses({})).toEqual([401, 401, 200])
    expect(await statuses(bearing(await signInAs('Reader')))).toEqual([200, 403, 200])
    expect(await statuses(bearing(await signInAs('Editor')))).toEqual([200, 200, 200])
  })

  test('can be one of several alternatives: the next one can accept a request that it refuses', async () => {
    const host = await createBackend()
    const byKey: onRequestAsyncHookHandler = async ({ headers }) => {
      if (headers['x-key'] !== 'right') throw Object.assign(new Error('no key'), { statusCode: 402 })
    }
    host.get('/key-last', { onRequest: anyOf(host.requireToken({ role: 'Editor' }), byKey) }, async () => 'in')
    host.get('/key-first', { preHandler: anyOf(byKey, host.requireToken({ role: 'Editor' })) }, async () => 'in')
    const [editor, reader] = [bearing(await signInAs('Editor')), bearing(await signInAs('Reader'))]
    const key = { 'x-key': 'right' }
    for (const url of ['/key-last', '/key-first']) {
      for (const headers of [editor, key, { ...reader, ...key }, { ...bearing('abc'), ...key }]) {
        const response = await host.inject({ url, headers })
        expect([response.statusCode, response.body]).toEqual([200, 'in'])
        expect(response.headers['www-authenticate']).toBeUndefined()
        expect(response.headers['cache-control']).toBeUndefined()
      }
    }
    // the refusal is the last one's
    const refused = await host.inject({ url: '/key-last', headers: reader })
    expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([402, undefined])
    const other = await host.inject({ url: '/key-first', headers: reader })
    expect([other.statusCode, other.headers['www-authenticate']]).toEqual([403, noRole])
  })

  test('answers HEAD as it answers GET, and leaves unknown paths and other methods alone', async () => {
    const { host } = await createGuarded()
    const headers = bearing(await signInAs('Editor'))
    const head = await host.inject({ method: 'HEAD', url: '/mine', headers })
    expect([head.statusCode, head.body]).toEqual([200, ''])
    const refused = await host.inject({ method: 'HEAD', url: '/mine' })
    expect([refused.statusCode, refused.body, refused.headers['www-authenticate']]).toEqual([401, '', realm])
    for (const request of [{ url: '/nothing' }, { method: 'POST' as const, url: '/mine' }]) {
      const response = await host.inject(request)
      expect([response.statusCode, response.headers['www-authenticate']]).toEqual([404, undefined])
    }
  })

  test.each<[string, (value: string) => unknown]>([
    ['rejects', () => Promise.reject(new Error('a secret of the inside'))],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['throws at once', () => raise(new Error('a secret of the inside'))],
    ['rejects with its own kind of error', () => Promise.reject(Object.assign(new Error('no'), { statusCode: 401 }))],
    ['was refused itself', () => Promise.reject(new OAuthError('invalid_client', 'Client authentication failed.'))],
    ['gives no token after all', async () => ({ token: null })],
    ['gives nothing', async () => undefined],
    ['gives the token itself', async () => ({ userName: 'ada', role: 'Editor' })],
    ['gives what introspection said', async () => ({ active: false })],
    ['gives a reason that is none', async () => ({ ended: 'gone' })],
    ['speaks of another token', () => Promise.reject(new OAuthError('invalid_token', 'The token is unknown.'))],
  ])('answers 503 when its `findToken` %s, which is no verdict', async (_how, findToken) => {
    const { ask, seen } = await createGuarded({ findToken: findToken as FindBearerToken })
    const response = await ask(bearing(keepSecret('a-token-nobody-knows')))
    expect(response.statusCode).toBe(503)
    expect(response.headers['www-authenticate']).toBeUndefined()
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(response.headers['cache-control']).toBe('no-store')
    expect(response.body).not.toContain('secret of the inside')
    expect(seen).toEqual([])
  })

  test('looks nothing up for a missing or malformed token', async () => {
    let asked = 0
    const findToken: FindBearerToken = async () => {
      asked += 1
      return { ended: 'unknown' }
    }
    const { ask } = await createGuarded({ findToken })
    await ask()
    await ask({ authorization: 'Basic YTpi' })
    await ask({ authorization: 'Bearer a b' })
    expect(asked).toBe(0)
    await ask(bearing('abc'))
    expect(asked).toBe(1)
  })
})

describe('`request.token` on a route without a guard', () => {
  test('throws for every request and says which guard is missing', async () => {
    const host = await createBackend({}, 'trace')
    host.post('/free', async (request) => request.token)
    const payload = { token: { role: 'Administrator' }, __proto__: { token: 1 } }
    const response = await host.inject({ method: 'POST', url: '/free', headers: { token: 'abc' }, payload })
    expect(response.statusCode).toBe(500)
    expect(response.json().message).toBe('request.token was read on a route without requireToken')
  })

  test('throws also for the next request of the same connection, and after a refusal', async () => {
    const { host } = await createGuarded()
    host.get('/free', async (request) => request.token)
    host.get(
      '/late',
      { preHandler: host.requireToken(), onRequest: async (request) => void request.token },
      async () => 1,
    )
    const url = await listen(host)
    const headers = bearing(await signInAs('Editor'))
    for (const [path, status] of [
      ['/mine', 200],
      ['/free', 500],
      ['/late', 500],
    ] as const) {
      const response = await fetch(`${url}${path}`, { headers })
      expect([path, response.status, typeof (await response.text())]).toEqual([path, status, 'string'])
    }
  })

  test('does not stop a log or a debugger that walks over the request', async () => {
    const host = await createBackend()
    host.get('/free', async (request) => ({ names: Object.keys(request).includes('token') }))
    expect((await host.inject({ url: '/free' })).json()).toEqual({ names: false })
  })
})

test('`request.token` cannot be replaced or changed', async () => {
  const host = await createBackend()
  const attempts: unknown[] = []
  const replace = async (request: FastifyRequest) => {
    try {
      Object.assign(request, { token: { role: 'Administrator' } })
    } catch (error) {
      attempts.push(error)
    }
  }
  host.get('/mine', { onRequest: [replace, host.requireToken({ role: 'Administrator' }), replace] }, async () => 'in')
  host.get('/own', { onRequest: [replace, host.requireToken(), replace] }, async ({ token }) => token.role)
  const headers = bearing(await signInAs('Editor'))
  expect((await host.inject({ url: '/mine', headers })).statusCode).toBe(403)
  expect((await host.inject({ url: '/own', headers })).body).toBe('Editor')
  expect(attempts).toHaveLength(3)
  for (const error of attempts) expect(error).toBeInstanceOf(TypeError)
})

describe('invalid options', () => {
  test.each<[string, object]>([
    ['no findToken', { findToken: undefined }],
    ['a findToken that is none', { findToken: 'https://tokens.example.com' }],
    ['an empty realm', { realm: '' }],
    ['a realm that would end its quotes', { realm: 'a"b' }],
    ['a realm with a backslash', { realm: 'a\\b' }],
    ['a realm with a line end', { realm: 'a\r\nset-cookie: b=c' }],
    ['a realm beyond ASCII', { realm: 'é' }],
    ['a place that does not exist', { alsoAccept: ['query'] }],
    ['a place in other letters', { alsoAccept: ['token'] }],
    ['a place that is not in a list', { alsoAccept: 'x-access-token' }],
  ])('are refused at the start: %s', async (_name, options) => {
    const host = Fastify()
    const refusal = await host.register(bearer, { findToken: inProcess, ...options } as BearerOptions).then(
      () => null,
      (error: unknown) => error,
    )
    expect(refusal).toBeInstanceOf(TypeError)
  })

  test.each<[string, unknown]>([
    ['no role of a list', { role: [] }],
    ['a role that is a number', { role: 1 }],
    ['a role that is null', { role: null }],
    ['a role that was never set', { role: undefined }],
    ['a list with something else in it', { role: ['Editor', undefined] }],
    ['a role that is not named so', { roles: ['Editor'] }],
    ['a role without its name', 'Editor'],
    ['a list without its name', ['Editor']],
    ['null', null],
    ['a role that is inherited, and another name', Object.create({ role: 'Editor', roles: [] })],
  ])('open no route to every caller: %s', async (_name, requirement) => {
    const host = await createBackend()
    expect(() => host.requireToken(requirement as object)).toThrow(TypeError)
  })

  test('are refused even when the guard was never called', async () => {
    const host = await createBackend()
    // @ts-expect-error it is a function that makes a guard
    host.get('/mine', { onRequest: host.requireToken }, async () => 'in')
    const response = await host.inject({ url: '/mine', headers: bearing(await signInAs('Editor')) })
    expect(response.statusCode).toBe(500)
  })
})

/** As @fastify/auth composes: a request that one of them accepts is in; otherwise the last refusal counts. */
function anyOf(...guards: onRequestAsyncHookHandler[]): onRequestAsyncHookHandler {
  return async function (request, reply) {
    let refusal: unknown
    for (const guard of guards) {
      try {
        return await guard.call(this, request, reply)
      } catch (error) {
        refusal = error
      }
    }
    throw refusal
  }
}

function raise(error: Error): never {
  throw error
}

/** `GET /mine` with header lines as they are. */
function sendLines(url: string, lines: string[]): Promise<string> {
  return sendBytes(
    url,
    `GET /mine HTTP/1.1\r\n${['Host: localhost', ...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`,
  )
}
