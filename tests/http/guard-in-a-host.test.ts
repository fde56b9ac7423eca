import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { bearer, introspectAt, OAuthError } from '../../src/bearer/index.ts'
import {
  createTokenCache,
  type Database,
  OAuthError as OAuthErrorOfTheServer,
  type TokenServerOptions,
  tokenServer,
  webapi,
} from '../../src/index.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { leakedLines, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords } from '../support/people.ts'
import { askForToken, askWhose, basic, bearer as bearing, passwordForm, sendToken } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { runOn } from '../support/test-cluster.ts'
import { eventually } from '../support/wire.ts'

const { database, url } = await freshDatabase()
const client = await addClient(database)
const tokenCache = createTokenCache(database, { seconds: 0 })
const { findToken } = tokenCache
const mounting: TokenServerOptions = { database, dialects: [webapi], passwords: cheapPasswords, tokenCache }
const app = Fastify()
await app.register(tokenServer, mounting)
afterAll(async () => {
  await app.close()
  await database.close()
  expect(leakedLines(), 'log lines with a secret in them').toEqual([])
})
const value: string = (await askForToken(app, { client, user: await addUser(database, { role: 'Editor' }) })).json()
  .access_token

const realm = 'Bearer realm="password-grant"'

/** A host application that customises everything that a plugin could disturb. */
function createHost(): { host: FastifyInstance; seen: string[]; parsed: string[] } {
  const host = Fastify()
  onTestFinished(() => host.close())
  const seen: string[] = []
  const parsed: string[] = []
  host.removeContentTypeParser('application/json')
  host.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    parsed.push(String(body))
    done(null, { parsedByHost: body })
  })
  host.addHook('onRequest', async (request) => void seen.push(`${request.method} ${request.url}`))
  host.addHook('onSend', async (_request, reply, payload) => {
    reply.header('x-host', 'was here')
    return typeof payload === 'string' ? payload.replace('wrapped', 'WRAPPED') : payload
  })
  host.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    return reply.code(error.statusCode ?? 500).send({ hostSays: error.message })
  })
  host.setNotFoundHandler((request, reply) => reply.code(404).send({ hostHasNo: request.url }))
  host.decorate('token', 'of the host')
  host.decorateReply('token', 'of the host')
  host.get('/free', async (request) => ({ id: request.id.slice(0, 3), wrapped: true }))
  host.get('/fails', async () => {
    throw new Error('as it likes')
  })
  host.get('/says-no', async () => {
    throw Object.assign(new Error('not today'), { statusCode: 409 })
  })
  host.post('/echo', async ({ body }) => ({ body }))
  return { host, seen, parsed }
}

const json = { 'content-type': 'application/json' }
const requests = [
  { url: '/free' },
  { url: '/free', headers: bearing(value) },
  { url: '/free', headers: { authorization: 'Bearer a b' } },
  { url: '/fails' },
  { url: '/says-no' },
  { url: '/nothing', headers: bearing('abc') },
  { url: '/%zz' },
  { method: 'HEAD' as const, url: '/free' },
  { method: 'OPTIONS' as const, url: '/free' },
  { method: 'POST' as const, url: '/echo', headers: json, payload: '{broken' },
  { method: 'POST' as const, url: '/echo', headers: { 'content-type': 'text/x' }, payload: 'a' },
]

async function answersOf(host: FastifyInstance): Promise<object[]> {
  const answers = await Promise.all(requests.map((request) => host.inject(request)))
  return answers.map(({ statusCode, headers: { date: _date, ...rest }, body }, index) => {
    return { asked: requests[index], statusCode, headers: rest, body }
  })
}

describe('a host with its own customisations', () => {
  test('keeps every route and every error unchanged, before and after the guard', async () => {
    const alone = createHost().host
    const { host } = createHost()
    await host.register(bearer, { findToken })
    host.get('/mine', { onRequest: host.requireToken() }, async () => 'mine')
    const late = Fastify()
    onTestFinished(() => late.close())
    await late.register(bearer, { findToken })
    late.get('/free', async () => 'free')
    expect(await answersOf(host)).toEqual(await answersOf(alone))
    const response = await late.inject({ url: '/free' })
    expect([response.statusCode, response.headers['cache-control']]).toEqual([200, undefined])
  })

  test('parses bodies itself, except those of requests refused at onRequest', async () => {
    const { host, seen, parsed } = createHost()
    await host.register(bearer, { findToken })
    host.post('/mine', { onRequest: host.requireToken() }, async ({ body, token }) => ({ body, role: token.role }))
    const ask = (headers: Record<string, string>) =>
      host.inject({ method: 'POST', url: '/mine', headers: { ...json, ...headers }, payload: '{broken' })
    expect((await ask({})).statusCode).toBe(401)
    expect((await ask(bearing('abc'))).statusCode).toBe(401)
    expect(parsed).toEqual([])
    const response = await ask(bearing(value))
    expect(response.json()).toEqual({ body: { parsedByHost: '{broken' }, role: 'Editor' })
    expect(response.headers['x-host']).toBe('was here')
    expect(seen).toEqual(['POST /mine', 'POST /mine', 'POST /mine'])
  })

  test('runs its onSend hooks over refusals too', async () => {
    const { host } = createHost()
    await host.register(bearer, { findToken })
    host.get('/mine', { onRequest: host.requireToken() }, async () => 'mine')
    const response = await host.inject({ url: '/mine' })
    expect([response.headers['x-host'], response.headers['www-authenticate']]).toEqual(['was here', realm])
  })

  test('can refuse in an earlier hook, and then no token is looked up', async () => {
    const host = Fastify()
    onTestFinished(() => host.close())
    await host.register(bearer, {
      findToken: async () => {
        throw new Error('never')
      },
    })
    host.addHook('onRequest', async () => {
      throw Object.assign(new Error('marker of the host'), { statusCode: 429 })
    })
    host.get('/mine', { onRequest: host.requireToken() }, async () => 'mine')
    const response = await host.inject({ url: '/mine', headers: bearing(value) })
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([429, undefined])
    expect(response.json().message).toBe('marker of the host')
  })
})

describe('the error handler of a host', () => {
  type Handler = (
    error: Error & { statusCode?: number; status?: number },
    _: FastifyRequest,
    reply: FastifyReply,
  ) => unknown
  const handlers: [string, Handler | null][] = [
    ['is Fastify’s own', null],
    [
      'goes by `statusCode`',
      (error, _, reply) => reply.code(error.statusCode ?? 500).send({ hostSays: error.message }),
    ],
    ['goes by `status`', (error, _, reply) => reply.code(error.status ?? 500).send({ hostSays: error.message })],
    ['forgets the status', (error, _, reply) => reply.send({ hostSays: error.message })],
    ['returns its body', async (error) => ({ hostSays: error.message })],
    ['writes text', (error, _, reply) => reply.type('text/plain').send(`host says ${error.message}`)],
    ['sends the error on', (error, _, reply) => reply.send(error)],
    [
      'fails itself',
      () => {
        throw new Error('in the error handler')
      },
    ],
  ]
  describe.each(handlers)('that %s', (_how, handler) => {
    test.each<[string, Record<string, string>, number, RegExp | undefined]>([
      ['of no token', {}, 401, /^Bearer realm="password-grant"$/],
      ['of an unknown token', bearing('abc'), 401, /error="invalid_token"/],
      ['of a malformed one', { authorization: 'Bearer a b' }, 400, /error="invalid_request"/],
      ['of another role', bearing(value), 403, /error="insufficient_scope"/],
      ['in an outage', bearing('away'), 503, undefined],
    ])('leaves status, challenge and headers of a refusal %s', async (_what, headers, status, challenge) => {
      const seen: unknown[] = []
      const host = Fastify()
      onTestFinished(() => host.close())
      if (handler !== null) {
        host.setErrorHandler((error: Error, request, reply) => {
          seen.push(error)
          return handler(error, request, reply)
        })
      }
      await host.register(bearer, {
        findToken: async (text) => (text === 'away' ? Promise.reject(new Error('away')) : findToken(text)),
      })
      host.get('/mine', { onRequest: host.requireToken({ role: 'Administrator' }) }, async () => 'mine')
      host.get('/late', { preHandler: host.requireToken({ role: 'Administrator' }) }, async () => 'late')
      for (const url of ['/mine', '/late']) {
        const response = await host.inject({ url, headers })
        expect(response.statusCode).toBe(status)
        expect(response.headers['www-authenticate']).toEqual(challenge && expect.stringMatching(challenge))
        expect(response.headers['cache-control']).toBe('no-store')
        expect(response.headers['retry-after']).toBe(status === 503 ? '1' : undefined)
      }
      if (handler === null) return
      expect(seen).toHaveLength(2)
      for (const error of seen) {
        expect(error).toBeInstanceOf(OAuthError)
        const code = challenge?.source.includes('error=') === false ? undefined : expect.any(String)
        expect(error).toMatchObject({ status, code, description: expect.any(String) })
      }
    })
  })

  test('can recognise refusals with the class from either entry of the package', () => {
    expect(OAuthError).toBe(OAuthErrorOfTheServer)
  })

  test('of an inner scope handles the refusals there', async () => {
    const { host } = createHost()
    await host.register(bearer, { findToken })
    await host.register(async (scope) => {
      scope.setErrorHandler((error: Error, _request, reply) => reply.send({ scopeSays: error.message }))
      scope.get('/mine', { onRequest: scope.requireToken() }, async () => 'mine')
    })
    const response = await host.inject({ url: '/mine', headers: bearing('abc') })
    expect([response.statusCode, response.json()]).toEqual([401, { scopeSays: 'The token is unknown.' }])
  })
})

describe('a host that leaves refusals to Fastify', () => {
  async function ask(headers: Record<string, string>) {
    const lines: string[] = []
    const loggerInstance: FastifyBaseLogger = pino({ level: 'info' }, { write: (line) => void lines.push(line) })
    const host = Fastify({ loggerInstance })
    onTestFinished(() => host.close())
    const cause = new Error('connection refused')
    await host.register(bearer, {
      findToken: async (text) => (text === 'away' ? Promise.reject(cause) : findToken(text)),
    })
    host.get('/mine', { onRequest: host.requireToken({ role: 'Administrator' }) }, async () => 'mine')
    const body = (await host.inject({ url: '/mine', headers })).json()
    const [logged] = lines.map((line) => JSON.parse(line).err).filter((error) => error !== undefined)
    return { body, logged }
  }

  const refused: [string, Record<string, string>, object][] = [
    [
      'no token',
      {},
      { statusCode: 401, error: 'Unauthorized', message: 'Send a token: Authorization: Bearer <token>' },
    ],
    [
      'an unknown token',
      bearing('abc'),
      { statusCode: 401, code: 'invalid_token', error: 'Unauthorized', message: 'The token is unknown.' },
    ],
    [
      'a malformed one',
      { authorization: 'Bearer a b' },
      {
        ...{ statusCode: 400, code: 'invalid_request', error: 'Bad Request' },
        message: 'Send one token: Authorization: Bearer <token>',
      },
    ],
    [
      'another role',
      bearing(value),
      {
        ...{ statusCode: 403, code: 'insufficient_scope', error: 'Forbidden' },
        message: 'The token does not have the role that this route requires.',
      },
    ],
  ]

  test.each(refused)('answers %s with the code of RFC 6750 where it has one', async (_what, headers, body) => {
    expect((await ask(headers)).body).toEqual(body)
  })

  test.each(refused)('logs no stack trace for %s', async (_what, headers) => {
    const { logged } = await ask(headers)
    expect(logged).toMatchObject({ type: 'OAuthError' })
    expect(logged.stack).not.toContain('\n')
  })

  test('logs the cause of an outage', async () => {
    const { logged } = await ask(bearing('away'))
    expect(logged.stack).toMatch(/OAuthError: .*\n {4}at .*caused by: Error: connection refused\n {4}at /s)
  })
})

describe('a guard in scopes', () => {
  test('works in inner scopes, with their prefixes, and not outside', async () => {
    const { host } = createHost()
    await host.register(
      async (scope) => {
        await scope.register(bearer, { findToken, realm: 'the inside' })
        await scope.register(
          async (inner) => {
            inner.get('/mine', { onRequest: inner.requireToken({ role: 'Editor' }) }, async ({ token }) => token.role)
          },
          { prefix: '/deep' },
        )
      },
      { prefix: '/api' },
    )
    await host.ready()
    expect((await host.inject({ url: '/api/deep/mine', headers: bearing(value) })).body).toBe('Editor')
    expect((await host.inject({ url: '/api/deep/mine' })).headers['www-authenticate']).toBe('Bearer realm="the inside"')
    expect([host.hasDecorator('requireToken'), host.hasRequestDecorator('token')]).toEqual([false, false])
    expect((await host.inject({ url: '/free' })).statusCode).toBe(200)
  })

  test('has its own options beside another scope’s', async () => {
    const { host } = createHost()
    for (const name of ['one', 'other']) {
      await host.register(
        async (scope) => {
          await scope.register(bearer, { findToken, realm: name, alsoAccept: name === 'one' ? ['Token'] : [] })
          scope.get('/mine', { onRequest: scope.requireToken() }, async () => name)
        },
        { prefix: `/${name}` },
      )
    }
    const headers = { authorization: `Token ${value}` }
    expect((await host.inject({ url: '/one/mine', headers })).body).toBe('one')
    const refused = await host.inject({ url: '/other/mine', headers })
    expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([401, 'Bearer realm="other"'])
  })

  test.each([
    ['in one scope', (host: FastifyInstance) => host.register(bearer, { findToken })],
    [
      'in a scope inside',
      (host: FastifyInstance) => host.register(async (scope) => void (await scope.register(bearer, { findToken }))),
    ],
  ])('is refused by name when it is registered twice %s', async (_where, registerAgain) => {
    const host = Fastify()
    await host.register(bearer, { findToken })
    const refusal = await registerAgain(host).then(
      () => null,
      (error: unknown) => error,
    )
    expect(refusal).toMatchObject({ message: expect.stringMatching(/requireToken|request\.token|'token'|bearer/) })
  })

  test('names the conflict where a host has a `request.token` already', async () => {
    const host = Fastify()
    host.decorateRequest('token', { getter: () => raise(new Error('of the host')) })
    const refusal = await host.register(bearer, { findToken }).then(
      () => null,
      (error: unknown) => error,
    )
    expect(refusal).toMatchObject({ code: 'FST_ERR_DEC_ALREADY_PRESENT', message: expect.stringContaining("'token'") })
  })

  test('refuses another major version of Fastify by name', () => {
    const metadata = Reflect.get(bearer, Symbol.for('plugin-meta'))
    expect(metadata).toMatchObject({ name: 'fastify-password-grant-bearer', fastify: '5.x' })
  })
})

describe('a host that is also the token server', () => {
  const superseded = `${realm}, error="invalid_token", error_description="The token was replaced by a newer sign-in of the same user."`

  /** A host whose guard and whose token server, at `prefix`, remember for an hour. */
  async function createBoth(prefix: string, isShared: boolean) {
    const { host } = createHost()
    let statements = 0
    const counted: Database = {
      ...database,
      lookups: (...args) => {
        statements += 1
        return database.lookups(...args)
      },
    }
    const cache = createTokenCache(counted, { seconds: 3600 })
    const ofTheServer = isShared ? cache : createTokenCache(database, { seconds: 3600 })
    await host.register(
      async (scope) => void (await scope.register(tokenServer, { ...mounting, tokenCache: ofTheServer })),
      {
        prefix,
      },
    )
    await host.register(bearer, { findToken: cache.findToken })
    host.get('/mine', { onRequest: host.requireToken() }, async ({ token }) => token.userName)
    const user = await addUser(database)
    const signIn = async (): Promise<string> =>
      (
        await sendToken(host, {
          url: `${prefix}/Token`,
          headers: basic(client.id, client.secret),
          body: passwordForm(user),
        })
      ).json().access_token
    const ask = (text: string) => host.inject({ url: '/mine', headers: bearing(text) })
    const untilRemembered = (text: string) =>
      eventually(async () => {
        const before = statements
        expect((await ask(text)).body).toBe(user.name)
        return statements === before
      }, Boolean)
    return { host, user, signIn, ask, untilRemembered }
  }

  test.each(['', '/auth'])(
    'shares its cache, so the guard refuses at the moment of the sign-in (prefix %j)',
    async (prefix) => {
      await runOn(url, ['alter table password_grant.tokens disable trigger tokens_ended']) // nothing is announced
      onTestFinished(() => runOn(url, ['alter table password_grant.tokens enable trigger tokens_ended']).then(() => {}))
      const { host, user, signIn, ask, untilRemembered } = await createBoth(prefix, true)
      const old = await signIn()
      await untilRemembered(old)
      const next = await signIn()
      const refused = await ask(old)
      expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([401, superseded])
      expect((await ask(next)).body).toBe(user.name)
      expect((await host.inject({ url: `${prefix}/userinfo`, headers: bearing(next) })).json().userId).toBe(user.id)
      const revoked = await host.inject({
        method: 'POST',
        url: `${prefix}/revoke`,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(client.id, client.secret) },
        payload: `token=${next}`,
      })
      expect(revoked.statusCode).toBe(200)
      expect((await ask(next)).headers['www-authenticate']).toMatch(/The token was revoked/)
    },
  )

  test('with a separate cache for the guard refuses within 250 ms', async () => {
    const { signIn, ask, untilRemembered } = await createBoth('', false)
    const old = await signIn()
    await untilRemembered(old)
    await signIn()
    await sleep(250)
    expect((await ask(old)).headers['www-authenticate']).toBe(superseded)
  })

  test('keeps the token server’s own realm, refusals and `Authorization` only', async () => {
    const host = Fastify()
    onTestFinished(() => host.close())
    await host.register(bearer, { findToken, realm: 'of the host', alsoAccept: ['Token', 'x-access-token'] })
    await host.register(tokenServer, mounting)
    expect((await askWhose(host, value)).statusCode).toBe(200)
    const refused = await askWhose(host, 'abc')
    expect(refused.json()).toEqual({ error: 'invalid_token', error_description: 'The token is unknown.' })
    for (const headers of [{ 'x-access-token': value }, { authorization: `Token ${value}` }]) {
      const response = await host.inject({ url: '/userinfo', headers })
      expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, realm])
    }
    expect((await askForToken(host, { client, user: await addUser(database) })).statusCode).toBe(200)
  })

  test('can introspect over HTTP at itself', async () => {
    const loggerInstance: FastifyBaseLogger = pino({ level: 'warn' }, logLines)
    const host = Fastify({ loggerInstance })
    onTestFinished(() => host.close())
    await host.register(tokenServer, mounting)
    const self = { url: '' }
    await host.register(async (scope) => {
      await scope.register(bearer, { findToken: (text) => findAtSelf(text) })
      scope.get('/mine', { onRequest: scope.requireToken({ role: 'Editor' }) }, async ({ token }) => token.role)
    })
    self.url = await listen(host)
    const findAtSelf = introspectAt({ url: self.url, clientId: client.id, clientSecret: client.secret })
    const response = await fetch(`${self.url}/mine`, { headers: bearing(value) })
    expect([response.status, await response.text()]).toEqual([200, 'Editor'])
  })
})

function raise(error: Error): never {
  throw error
}
