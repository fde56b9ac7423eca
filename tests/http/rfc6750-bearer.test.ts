import { describe, expect, test } from 'vitest'
import { generateBytes, generateId } from '../../src/secrets.ts'
import { revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { writeTokenValue } from '../../src/tokens/token-value.ts'
import { changeUser, removeUser } from '../../src/users/register-user.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { descriptionCharacters } from '../support/refusals.ts'
import { askForToken, askWhose, bearer } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const client = await addClient(database)

const sentences = {
  expired: 'The token has expired. Sign in again.',
  superseded: 'The token was replaced by a newer sign-in of the same user.',
  revoked: 'The token was revoked. Sign in again.',
  unknown: 'The token is unknown.',
}

async function signIn(user: { name: string; password: string }): Promise<string> {
  return (await askForToken(app, { client, user })).json().access_token
}

function ask(headers: Record<string, string>, url = '/userinfo') {
  return app.inject({ method: 'GET', url, headers })
}

/** RFC 6750 §3.1: status, challenge and body say the same. */
async function expectEnded(value: string, ending: keyof typeof sentences): Promise<void> {
  const response = await askWhose(app, value)
  expect(response.statusCode).toBe(401)
  expect(response.json()).toEqual({ error: 'invalid_token', error_description: sentences[ending] })
  expect(response.headers['www-authenticate']).toBe(
    `Bearer realm="password-grant", error="invalid_token", error_description="${sentences[ending]}"`,
  )
  expect(response.headers['cache-control']).toBe('no-store')
  expect(sentences[ending]).toMatch(descriptionCharacters)
}

describe('RFC 6750 §2.1: a token in the Authorization header', () => {
  test('gets its user and the times of the sign-in, uncached', async () => {
    const user = await addUser(database, { role: 'Administrator' })
    const signedIn = (await askForToken(app, { client, user })).json()
    const response = await askWhose(app, signedIn.access_token)
    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({
      userName: user.name,
      userId: user.id,
      role: 'Administrator',
      '.issued': signedIn['.issued'],
      '.expires': signedIn['.expires'],
    })
    expect(Object.keys(response.json())).toEqual(['userName', 'userId', 'role', '.issued', '.expires'])
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
    expect(response.headers['www-authenticate']).toBeUndefined()
  })

  test('is read with the scheme in any letter case', async () => {
    const value = await signIn(await addUser(database))
    for (const scheme of ['bearer', 'BEARER', 'Bearer ', 'bEaReR']) {
      expect((await ask({ authorization: `${scheme} ${value}` })).statusCode).toBe(200)
    }
  })

  test('answers HEAD as it answers GET, without the body', async () => {
    const value = await signIn(await addUser(database))
    const head = await app.inject({ method: 'HEAD', url: '/userinfo', headers: bearer(value) })
    expect([head.statusCode, head.body]).toEqual([200, ''])
    expect(head.headers['cache-control']).toBe('no-store')
    const refused = await app.inject({ method: 'HEAD', url: '/userinfo' })
    expect([refused.statusCode, refused.body]).toEqual([401, ''])
    expect(refused.headers['www-authenticate']).toBe('Bearer realm="password-grant"')
  })

  test('is not read from the URL or a body (§2.2, §2.3 are not offered)', async () => {
    const value = await signIn(await addUser(database))
    const byAddress = await ask({}, `/userinfo?access_token=${value}`)
    expect(byAddress.statusCode).toBe(401)
    expect(byAddress.json().error).toBeUndefined()
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = `access_token=${value}`
    const byBody = await app.inject({ method: 'POST', url: '/userinfo', headers: form, body })
    expect(byBody.statusCode).toBe(405)
    expect(byBody.headers.allow).toBe('GET, HEAD')
  })
})

describe('RFC 6750 §3: the challenge', () => {
  test.each<[string, Record<string, string>]>([
    ['nothing at all', {}],
    ['Basic', { authorization: 'Basic YTpi' }],
    ['another scheme', { authorization: 'Digest username="a"' }],
    ['an empty header', { authorization: '' }],
  ])('for a request with %s instead of a bearer token carries no error code', async (_name, headers) => {
    const response = await ask(headers)
    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toBe('Bearer realm="password-grant"')
    expect(response.json().error).toBeUndefined()
    expect(response.headers['cache-control']).toBe('no-store')
  })
})

describe('RFC 6750 §3.1: invalid_request', () => {
  test.each(['Bearer', 'Bearer ', 'Bearer a b', 'Bearer a,b', 'Bearer "a"', 'Bearer a, Bearer b', 'Bearer ä'])(
    'for the malformed header %j',
    async (authorization) => {
      const response = await ask({ authorization })
      expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request'])
      expect(response.headers['www-authenticate']).toMatch(
        /^Bearer realm="[^"]+", error="invalid_request", error_description="[^"\\]+"$/,
      )
      expect(response.headers['cache-control']).toBe('no-store')
    },
  )

  test('for two tokens in one request, even the same one twice', async () => {
    const value = await signIn(await addUser(database))
    const origin = await listen(app)
    for (const other of [value, 'abc']) {
      const lines = [`Authorization: Bearer ${value}`, `AUTHORIZATION: Bearer ${other}`, 'Connection: close']
      const answer = await sendBytes(
        origin,
        `GET /userinfo HTTP/1.1\r\nHost: localhost\r\n${lines.join('\r\n')}\r\n\r\n`,
      )
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('"error":"invalid_request"')
      expect(answer).not.toContain('userName')
    }
  })
})

describe('RFC 6750 §3.1: invalid_token says why', () => {
  test('superseded by a newer sign-in; the one before that is unknown', async () => {
    const user = await addUser(database)
    const [oldest, older, newest] = [await signIn(user), await signIn(user), await signIn(user)]
    await expectEnded(oldest, 'unknown')
    await expectEnded(older, 'superseded')
    expect((await askWhose(app, newest)).statusCode).toBe(200)
  })

  test('expired, to the second', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    const move = (interval: string) =>
      database.script(
        `update password_grant.tokens set issued_at = now() - interval '1 day', expires_at = now() + interval '${interval}' where user_id = $1`,
        [user.id],
      )
    await move('1 minute')
    expect((await askWhose(app, value)).statusCode).toBe(200)
    await move('0 seconds')
    await expectEnded(value, 'expired')
    await move('-1 day + 1 second')
    await expectEnded(value, 'expired')
  })

  test('revoked', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    expect(await revokeTokensOfUser(database.writes, user.id)).toBe(1)
    await expectEnded(value, 'revoked')
    const next = await signIn(user)
    await expectEnded(value, 'superseded')
    expect((await askWhose(app, next)).statusCode).toBe(200)
  })

  test('unknown, once the user is gone', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await removeUser(database.writes, user.name)
    await expectEnded(value, 'unknown')
  })

  test('unknown, for a value made up with a checksum that is right', async () => {
    await expectEnded(keepSecret(writeTokenValue(generateId(), generateBytes(32))), 'unknown')
    const user = await addUser(database)
    await signIn(user)
    const [row] = await database.script<{ id: string }>('select id from password_grant.tokens where user_id = $1', [
      user.id,
    ])
    await expectEnded(keepSecret(writeTokenValue(row?.id ?? '', generateBytes(32))), 'unknown')
  })

  test('unknown, for a value with one character wrong, or that never was one', async () => {
    const value = await signIn(await addUser(database))
    const other = value.startsWith('A') ? `B${value.slice(1)}` : `A${value.slice(1)}`
    for (const wrong of [
      other,
      value.slice(0, -1),
      `${value}A`,
      value.toLowerCase(),
      'abc',
      'a'.repeat(72),
      '='.repeat(3).padStart(9, 'x'),
    ]) {
      await expectEnded(wrong, 'unknown')
    }
  })

  test('no form of the stored hash is a token', async () => {
    const user = await addUser(database)
    await signIn(user)
    const [row] = await database.script<{ id: string; hash: Buffer }>(
      'select id, secret_hash as hash from password_grant.tokens where user_id = $1',
      [user.id],
    )
    await expectEnded(keepSecret(writeTokenValue(row?.id ?? '', row?.hash ?? Buffer.alloc(0))), 'unknown')
  })
})

describe('a user who is changed', () => {
  test('has the current role, not that of the sign-in, while the token lives', async () => {
    const user = await addUser(database, { role: 'Editor' })
    const value = await signIn(user)
    await changeUser(database.writes, user.name, { role: 'Reader' })
    expect((await askWhose(app, value)).json().role).toBe('Reader')
  })
})
