import { execFileSync } from 'node:child_process'
import { createHmac, createPublicKey } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  jwtVerify,
  SignJWT,
} from 'jose'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { device } from '../../src/dialects/device.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { generateBytes, hashSecret } from '../../src/secrets.ts'
import type { ServerOptions } from '../../src/server.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { nextTimestamp } from '../support/device-time.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addDevice as addDeviceTo, addUser, type Signer } from '../support/people.ts'
import { askForToken, askWhose, basic, bearer } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { serverBeside, testServer } from '../support/test-server.ts'
import { lacksTools, toolPath } from '../support/tools.ts'
import { eventually } from '../support/wire.ts'

const encryptionKey = generateBytes(32)
const options = { dialects: [webapi, device], encryptionKey, throttle: false }
const { app, database, url } = await testServer(options)
const backend = await addClient(database)

const sentences = {
  superseded: 'The token was replaced by a newer sign-in of the same user.',
  revoked: 'The token was revoked. Sign in again.',
  expired: 'The token has expired. Sign in again.',
  unknown: 'The token is unknown.',
}

function addDevice() {
  return addDeviceTo(database, encryptionKey)
}

async function signIn({ deviceKey, customerKey }: Signer, target = app): Promise<string> {
  const timestamp = nextTimestamp()
  const response = await target.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      device_key: deviceKey,
      timestamp,
      device_signature: createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex'),
    }),
  })
  return keepSecret(response.json().token)
}

/** Another server on the same database, or on one that is away. */
function anotherServer(changed: Partial<ServerOptions>) {
  return serverBeside(url, { ...options, ...changed })
}

const inAccessHeader = (value: string) => ({ 'x-access-token': value })

function ask(place: string, headers: Record<string, string | string[]>, target = app) {
  return target.inject({ method: 'GET', url: place, headers })
}

async function introspect(value: string, target = app): Promise<Record<string, unknown>> {
  const response = await target.inject({
    method: 'POST',
    url: '/introspect',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(backend.id, backend.secret) },
    body: new URLSearchParams({ token: value }).toString(),
  })
  expect(response.statusCode).toBe(200)
  return response.json()
}

function revoke(fields: Record<string, string>, headers: Record<string, string> = {}) {
  return app.inject({
    method: 'POST',
    url: '/revoke',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  })
}

/** Refused wherever it is shown, and nowhere as anything but a token that does not count. */
async function expectEnded(value: string, ending: keyof typeof sentences, target = app): Promise<void> {
  for (const headers of [inAccessHeader(value), bearer(value)]) {
    for (const place of ['/userinfo', '/seats']) {
      const response = await ask(place, headers, target)
      expect([response.statusCode, response.json()]).toEqual([
        401,
        { error: 'invalid_token', error_description: sentences[ending] },
      ])
    }
  }
  expect(await introspect(value, target)).toEqual({ active: false })
}

async function publishedKeys(target = app): Promise<JWK[]> {
  const response = await target.inject('/.well-known/jwks.json')
  expect(response.statusCode).toBe(200)
  return response.json().keys
}

const encode = (part: object | string | Buffer) =>
  Buffer.from(part instanceof Buffer || typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

describe('a device’s token', () => {
  test('is a JWT signed with RS256 with exactly the claims iat, exp, sub and jti', async () => {
    const signer = await addDevice()
    const value = await signIn(signer)
    const [key] = await publishedKeys()
    expect(decodeProtectedHeader(value)).toEqual({ alg: 'RS256', typ: 'JWT', kid: key?.kid })
    const claims = decodeJwt(value)
    expect(claims).toEqual({
      iat: expect.any(Number),
      exp: (claims.iat ?? 0) + 600,
      sub: signer.userId,
      jti: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    })
    expect(Number.isInteger(claims.iat)).toBe(true)
  })

  test('is shorter than 900 characters', async () => {
    expect((await signIn(await addDevice())).length).toBeLessThan(900)
  })

  test('is different each time', async () => {
    const signer = await addDevice()
    const values = [await signIn(signer), await signIn(signer), await signIn(signer)]
    expect(new Set(values.map((value) => decodeJwt(value).jti)).size).toBe(3)
  })

  test('lives as long as the dialect says, in its claims and in the database', async () => {
    const other = await anotherServer({ dialects: [{ ...device, lifetimeSeconds: 77 }] })
    const value = await signIn(await addDevice(), other)
    const { iat = 0, exp = 0 } = decodeJwt(value)
    expect(exp - iat).toBe(77)
    expect(await introspect(value)).toMatchObject({ iat, exp })
  })
})

describe('a holder of the public keys verifies the token offline', () => {
  let origin: string

  beforeAll(async () => {
    origin = await listen(app)
  })

  test('finds public keys of 2048 bits, each with an id', async () => {
    await signIn(await addDevice())
    const response = await app.inject('/.well-known/jwks.json')
    expect(response.headers['content-type']).toMatch(/^application\/(jwk-set\+)?json/)
    expect(response.json()).toEqual({
      keys: [
        {
          kty: 'RSA',
          alg: 'RS256',
          use: 'sig',
          e: 'AQAB',
          n: expect.stringMatching(/^[A-Za-z0-9_-]{342}$/),
          kid: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        },
      ],
    })
  })

  test('with jose, from the address of the keys', async () => {
    const signer = await addDevice()
    const value = await signIn(signer)
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', origin))
    const { payload } = await jwtVerify(value, keys, { algorithms: ['RS256'] })
    expect(payload.sub).toBe(signer.userId)
  })

  test('with jose, from a copy of the keys, and detects a changed token', async () => {
    const signer = await addDevice()
    const value = await signIn(signer)
    const keys = createLocalJWKSet({ keys: await publishedKeys() })
    expect((await jwtVerify(value, keys)).payload.sub).toBe(signer.userId)
    const [head, , signature] = value.split('.')
    const claims = decodeJwt(value)
    const forged = `${head}.${encode({ ...claims, sub: 'another' })}.${signature}`
    await expect(jwtVerify(forged, keys)).rejects.toMatchObject({ code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
  })

  test('with jose, which refuses an expired token', async () => {
    const value = await signIn(await addDevice())
    const keys = createLocalJWKSet({ keys: await publishedKeys() })
    const later = (seconds: number) => ({ currentDate: new Date(((decodeJwt(value).iat ?? 0) + seconds) * 1_000) })
    await expect(jwtVerify(value, keys, later(599))).resolves.toBeDefined()
    await expect(jwtVerify(value, keys, later(601))).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' })
  })

  test.skipIf(lacksTools('tests/http/device-tokens.test.ts', ['openssl', 'version']))(
    'with openssl, which detects a changed token',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'password-grant-test-'))
      onTestFinished(() => rm(folder, { recursive: true }))
      const value = await signIn(await addDevice())
      const jwk = (await publishedKeys()).find(({ kid }) => kid === decodeProtectedHeader(value).kid)
      const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
      const [head, payload, signature = ''] = value.split('.')
      await writeFile(join(folder, 'key.pem'), pem)
      await writeFile(join(folder, 'signature'), Buffer.from(signature, 'base64url'))
      const verify = (text: string) =>
        execFileSync('openssl', ['dgst', '-sha256', '-verify', 'key.pem', '-signature', 'signature'], {
          cwd: folder,
          env: { ...process.env, PATH: toolPath },
          input: text,
          encoding: 'utf8',
          stdio: 'pipe',
        })
      expect(verify(`${head}.${payload}`)).toBe('Verified OK\n')
      expect(() => verify(`${head}.${payload}x`)).toThrow()
    },
  )
})

describe('a token that the server did not sign is refused', async () => {
  const ours = await generateKeyPair('RS256', { extractable: true })
  const oursPublic = await exportJWK(ours.publicKey)
  const signOurs = (claims: object, header: Partial<JWTHeaderParameters>) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...header }).sign(ours.privateKey)
  const hmac = (head: object, payload: string, secret: string | Buffer) => {
    const text = `${encode(head)}.${payload}`
    return `${text}.${encode(createHmac('sha256', secret).update(text).digest())}`
  }

  interface Genuine {
    readonly value: string
    readonly head: string
    readonly payload: string
    readonly signature: string
    readonly kid: string
    readonly claims: Record<string, unknown>
    readonly key: JWK
    readonly pem: string
  }
  const forgeries: [string, (genuine: Genuine) => string | Promise<string>][] = [
    [
      'whose owner was changed',
      ({ head, claims, signature }) => `${head}.${encode({ ...claims, sub: 'x' })}.${signature}`,
    ],
    ['whose end was moved', ({ head, claims, signature }) => `${head}.${encode({ ...claims, exp: 9e9 })}.${signature}`],
    ['whose payload is written otherwise', ({ head, payload, signature }) => `${head}.${payload}=.${signature}`],
    [
      'whose signature was changed',
      ({ head, payload, signature }) => `${head}.${payload}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`,
    ],
    ['whose signature is cut', ({ value }) => value.slice(0, -4)],
    ['whose signature is missing', ({ head, payload }) => `${head}.${payload}.`],
    ['of two parts', ({ head, payload }) => `${head}.${payload}`],
    ['of four parts', ({ value, signature }) => `${value}.${signature}`],
    ['of dots', () => '..'],
    ['of a header that is no JSON', ({ payload, signature }) => `${encode('no')}.${payload}.${signature}`],
    ['with alg none', ({ payload, kid }) => `${encode({ alg: 'none', typ: 'JWT', kid })}.${payload}.`],
    ['with alg NONE', ({ payload, kid }) => `${encode({ alg: 'NONE', kid })}.${payload}.`],
    [
      'with alg none and the signature of another algorithm',
      ({ payload, signature, kid }) => `${encode({ alg: 'none', kid })}.${payload}.${signature}`,
    ],
    [
      'with alg HS256 and the public key as secret',
      ({ payload, kid, pem }) => hmac({ alg: 'HS256', kid }, payload, pem),
    ],
    [
      'with alg HS256 and the JWK as secret',
      ({ payload, kid, key }) => hmac({ alg: 'HS256', typ: 'JWT', kid }, payload, JSON.stringify(key)),
    ],
    [
      'with alg HS256 and the modulus as secret',
      ({ payload, kid, key }) => hmac({ alg: 'HS256', kid }, payload, Buffer.from(key.n ?? '', 'base64url')),
    ],
    ['with alg HS256 and nothing as secret', ({ payload, kid }) => hmac({ alg: 'HS256', kid }, payload, '')],
    [
      'with alg RS512 in its header',
      ({ payload, signature, kid }) => `${encode({ alg: 'RS512', kid })}.${payload}.${signature}`,
    ],
    ['signed with a key of one’s own', ({ claims, kid }) => signOurs(claims, { kid })],
    ['signed with a key of one’s own and no kid', ({ claims }) => signOurs(claims, {})],
    ['with an unknown kid', ({ claims }) => signOurs(claims, { kid: 'A'.repeat(43) })],
    ['with a kid that is a path', ({ claims }) => signOurs(claims, { kid: '../../../../dev/null' })],
    ['with a kid that is SQL', ({ claims }) => signOurs(claims, { kid: "' or '1'='1" })],
    ['that brings its own key', ({ claims, kid }) => signOurs(claims, { kid, jwk: oursPublic })],
    ['that brings its own key and kid', ({ claims }) => signOurs(claims, { kid: 'own', jwk: oursPublic })],
    [
      'that says where its key is',
      ({ claims, kid }) => signOurs(claims, { kid, jku: 'http://127.0.0.1:1/keys', x5u: 'http://127.0.0.1:1/' }),
    ],
    ['that is very long', ({ value }) => `${value}${'A'.repeat(5_000)}`],
  ]
  test.each(forgeries)('%s', async (_what, forge) => {
    const value = await signIn(await addDevice())
    const [head = '', payload = '', signature = ''] = value.split('.')
    const { kid = '' } = decodeProtectedHeader(value)
    const key = (await publishedKeys()).find((published) => published.kid === kid) ?? {}
    const pem = String(createPublicKey({ key: { ...key }, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
    const forged = await forge({ value, head, payload, signature, kid, claims: decodeJwt(value), key, pem })
    expect(forged).not.toBe(value)
    expect(await introspect(forged)).toEqual({ active: false })
    for (const headers of [inAccessHeader(forged), bearer(forged)]) {
      const response = await ask('/userinfo', headers)
      expect([response.statusCode === 400 || response.statusCode === 401, response.body]).toEqual([
        true,
        expect.stringMatching(/"error":"invalid_(token|request)"/),
      ])
    }
    expect((await revoke({ token: forged, client_id: 'device' })).statusCode).toBe(200)
    expect((await askWhose(app, value)).statusCode).toBe(200)
  })
})

describe('a device’s token works', () => {
  test.each([
    ['in x-access-token', inAccessHeader],
    ['as a bearer token', bearer],
  ])('%s, at /userinfo and /seats', async (_how, headersOf) => {
    const signer = await addDevice()
    const value = await signIn(signer)
    const { iat = 0, exp = 0 } = decodeJwt(value)
    const response = await ask('/userinfo', headersOf(value))
    expect(response.statusCode).toBe(200)
    expect(response.headers['cache-control']).toBe('no-store')
    const times = { '.issued': new Date(iat * 1_000).toUTCString(), '.expires': new Date(exp * 1_000).toUTCString() }
    expect(response.json()).toEqual({ userName: signer.deviceKey, userId: signer.userId, role: 'Sensor', ...times })
    expect((await ask('/seats', headersOf(value))).json()).toEqual([
      { id: expect.any(String), device: '', client_id: 'device', ...times, current: true },
    ])
  })

  test('in x-access-token, to end its own seat', async () => {
    const value = await signIn(await addDevice())
    const [seat] = (await ask('/seats', inAccessHeader(value))).json()
    const response = await app.inject({ method: 'DELETE', url: `/seats/${seat.id}`, headers: inAccessHeader(value) })
    expect([response.statusCode, response.body]).toEqual([204, ''])
    await expectEnded(value, 'revoked')
  })

  test('and so does any other token in x-access-token', async () => {
    const user = await addUser(database)
    const value = (await askForToken(app, { client: backend, user })).json().access_token
    expect((await ask('/userinfo', inAccessHeader(value))).json()).toMatchObject({ userId: user.id })
  })

  test('in one place only: two tokens are refused, even when equal', async () => {
    const value = await signIn(await addDevice())
    const another = await signIn(await addDevice())
    for (const second of [value, another, 'x']) {
      for (const headers of [
        { ...inAccessHeader(value), ...bearer(second) },
        { ...inAccessHeader(second), ...bearer(value) },
        { 'x-access-token': [value, second] },
      ]) {
        const response = await ask('/userinfo', headers)
        expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request'])
      }
    }
  })

  test.each(['', ' ', 'two words', 'Bearer x', 'ü'])('not when the header says %j', async (text) => {
    const response = await ask('/userinfo', { 'x-access-token': text })
    expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request'])
  })

  test('neither in a query nor in a body', async () => {
    const value = await signIn(await addDevice())
    for (const place of [`/userinfo?x-access-token=${value}`, `/userinfo?token=${value}`]) {
      const response = await ask(place, {})
      expect([response.statusCode, response.json()]).toEqual([401, { error_description: expect.any(String) }])
    }
  })

  test('in x-access-token only where the dialect is mounted', async () => {
    const without = await anotherServer({ dialects: [webapi], encryptionKey: undefined })
    const value = await signIn(await addDevice())
    const response = await ask('/userinfo', inAccessHeader(value), without)
    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toBe('Bearer realm="password-grant"')
    const another = await signIn(await addDevice())
    const both = await ask('/userinfo', { ...inAccessHeader(value), ...bearer(another) }, without)
    expect([both.statusCode, both.json().userId]).toEqual([200, decodeJwt(another).sub])
  })
})

describe('introspection of a device’s token', () => {
  test('is open to any confidential client', async () => {
    const signer = await addDevice()
    const value = await signIn(signer)
    const { iat, exp } = decodeJwt(value)
    expect(await introspect(value)).toEqual({
      active: true,
      client_id: 'device',
      username: signer.deviceKey,
      sub: signer.userId,
      role: 'Sensor',
      token_type: 'bearer',
      iat,
      exp,
    })
  })

  test('follows the database, not the claims', async () => {
    const signer = await addDevice()
    const value = await signIn(signer)
    await database.script(
      "update password_grant.tokens set expires_at = now(), issued_at = now() - interval '1 s' where user_id = $1",
      [signer.userId],
    )
    await expectEnded(value, 'expired')
  })

  test('says inactive once the device is disabled', async () => {
    const signer = await addDevice()
    const value = await signIn(signer)
    await database.transaction(async (query, script) => {
      await changeUser(query, signer.deviceKey, { isEnabled: false })
      await script('update password_grant.tokens set revoked_at = now() where user_id = $1', [signer.userId])
    })
    await expectEnded(value, 'revoked')
  })
})

describe('a device’s token is ended', () => {
  test('by the client named device', async () => {
    const value = await signIn(await addDevice())
    const response = await revoke({ token: value, client_id: 'device' })
    expect([response.statusCode, response.body]).toEqual([200, ''])
    await expectEnded(value, 'revoked')
    expect((await revoke({ token: value, client_id: 'device' })).statusCode).toBe(200)
  })

  test('by no other client', async () => {
    const value = await signIn(await addDevice())
    const other = await addClient(database, { secret: 'public' })
    for (const response of [
      await revoke({ token: value }, basic(backend.id, backend.secret)),
      await revoke({ token: value, client_id: other.id }),
    ]) {
      expect([response.statusCode, response.json().error]).toEqual([400, 'unauthorized_client'])
    }
    expect((await askWhose(app, value)).statusCode).toBe(200)
  })

  test('while the client device ends no token of another client', async () => {
    const user = await addUser(database)
    const value = (await askForToken(app, { client: backend, user })).json().access_token
    const response = await revoke({ token: value, client_id: 'device' })
    expect([response.statusCode, response.json().error]).toEqual([400, 'unauthorized_client'])
    expect((await askWhose(app, value)).statusCode).toBe(200)
  })

  test('by its whole value only, not by the content of its claims', async () => {
    const value = await signIn(await addDevice())
    const jti = Buffer.from(decodeJwt(value).jti ?? '', 'base64url')
    const withChecksum = (bytes: Buffer) => encode(Buffer.concat([bytes, hashSecret(bytes).subarray(0, 6)]))
    const made = [
      encode(jti),
      withChecksum(jti),
      withChecksum(Buffer.concat([jti, Buffer.alloc(16)])),
      withChecksum(Buffer.concat([jti, jti.subarray(16)])),
      withChecksum(Buffer.concat([jti.subarray(0, 16), hashSecret(jti.subarray(16))])),
      `..${encode(jti)}`,
    ]
    for (const text of made) {
      expect((await revoke({ token: text, client_id: 'device' })).statusCode).toBe(200)
      expect(await introspect(text)).toEqual({ active: false })
      for (const headers of [bearer(text), inAccessHeader(text)]) {
        expect((await ask('/userinfo', headers)).statusCode).toBe(401)
      }
    }
    expect((await askWhose(app, value)).statusCode).toBe(200)
  })

  test('by a newer sign-in, here and on another server', async () => {
    const other = await anotherServer({})
    const signer = await addDevice()
    const older = await signIn(signer)
    for (const target of [app, other])
      expect((await ask('/userinfo', inAccessHeader(older), target)).statusCode).toBe(200)
    const newer = await signIn(signer, other)
    for (const target of [app, other]) {
      await expectEnded(older, 'superseded', target)
      expect(await introspect(newer, target)).toMatchObject({ active: true, sub: signer.userId })
    }
    await signIn(signer)
    for (const target of [app, other]) await expectEnded(older, 'unknown', target)
  })

  test('by a newer sign-in on another server, despite a token cache of an hour', async () => {
    const remembering = await anotherServer({ tokenCacheSeconds: 3_600 })
    const signer = await addDevice()
    const older = await signIn(signer)
    for (let turn = 0; turn < 3; turn += 1) {
      expect((await ask('/userinfo', inAccessHeader(older), remembering)).statusCode).toBe(200)
    }
    await signIn(signer)
    const response = await eventually(
      () => ask('/userinfo', inAccessHeader(older), remembering),
      ({ statusCode }) => statusCode === 401,
    )
    expect(response.json().error_description).toBe(sentences.superseded)
  })

  test('never by another device', async () => {
    const values = []
    for (const signer of [await addDevice(), await addDevice()]) values.push(await signIn(signer))
    for (const value of values) expect(await introspect(value)).toMatchObject({ active: true })
  })
})
