import { beforeAll, describe, expect, test } from 'vitest'
import { rotateClient, setClientEnabled } from '../../src/clients/register-client.ts'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { expectRefusal } from '../support/refusals.ts'
import { basic, passwordForm, sendToken } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer({ throttle: false })
const user = await addUser(database)
const client = await addClient(database)
const publicClient = await addClient(database, { secret: 'public' })

/** Percent-encodes as RFC 6749 appendix B says, for both halves of a Basic header. */
function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function askAs(id: string, secret: string) {
  return sendToken(app, { headers: basic(id, secret), body: passwordForm(user) })
}

function askWithHeader(authorization: string, more: Record<string, string> = {}) {
  return sendToken(app, { headers: { authorization }, body: passwordForm(user, more) })
}

function askWithFields(more: Record<string, string>) {
  return sendToken(app, { body: passwordForm(user, more) })
}

describe('RFC 6749 §2.3.1: the client password in the Authorization header', () => {
  test('is accepted', async () => {
    expect((await askAs(client.id, client.secret)).statusCode).toBe(200)
  })

  test('is accepted with the scheme in any letter case and more than one space after it', async () => {
    const { authorization } = basic(client.id, client.secret)
    const credentials = authorization.slice('Basic '.length)
    for (const header of [`basic ${credentials}`, `BASIC ${credentials}`, `Basic   ${credentials}`]) {
      expect((await askWithHeader(header)).statusCode).toBe(200)
    }
  })

  const chosen = [
    'pa%ss',
    '100%',
    '%41bc',
    'a+b c',
    'one:two::three',
    'pässwörd',
    '密码😀',
    ' spaced ',
    '"quoted"\\',
    '&=?#/',
  ]
  test.each(chosen)('with the secret %j is accepted as it is and form-encoded', async (word) => {
    const secret = `${word}${randomWord()}`
    const { id } = await addClient(database, { secret: { chosen: secret } })
    keepSecret(formEncode(secret))
    expect((await askAs(id, secret)).statusCode).toBe(200)
    expect((await askAs(id, formEncode(secret))).statusCode).toBe(200)
    expect((await askAs(formEncode(id), encodeURIComponent(secret))).statusCode).toBe(200)
    expectRefusal(await askAs(id, `${secret}x`), 401, 'invalid_client')
  })

  test('is accepted form-encoded with every character of the id escaped', async () => {
    const escaped = [...client.id].map((character) => `%${character.charCodeAt(0).toString(16)}`).join('')
    expect((await askAs(escaped, client.secret)).statusCode).toBe(200)
  })

  test('does not accept another spelling of the secret', async () => {
    const secret = `%41${randomWord()}`
    const { id } = await addClient(database, { secret: { chosen: secret } })
    expectRefusal(await askAs(id, `A${secret.slice(3)}`), 401, 'invalid_client')
  })
})

describe('RFC 6749 §2.3.1: the client password in the body', () => {
  test('is accepted', async () => {
    const response = await askWithFields({ client_id: client.id, client_secret: client.secret })
    expect(response.statusCode).toBe(200)
  })

  test('is accepted with any characters', async () => {
    const secret = `a+b %zz&=:é😀 ${randomWord()}`
    const { id } = await addClient(database, { secret: { chosen: secret } })
    expect((await askWithFields({ client_id: id, client_secret: secret })).statusCode).toBe(200)
    expectRefusal(await askWithFields({ client_id: id, client_secret: secret.trim().slice(1) }), 401, 'invalid_client')
  })

  test('is never read from the address (MUST NOT be included in the request URI)', async () => {
    const query = new URLSearchParams({ client_id: client.id, client_secret: client.secret }).toString()
    expectRefusal(await sendToken(app, { url: `/Token?${query}`, body: passwordForm(user) }), 401, 'invalid_client')
    const publicQuery = `client_id=${publicClient.id}`
    const response = await sendToken(app, { url: `/Token?${publicQuery}`, body: passwordForm(user) })
    expectRefusal(response, 401, 'invalid_client')
  })
})

describe('RFC 6749 §2.1, §3.2.1: a public client', () => {
  test('names itself in client_id and is accepted', async () => {
    expect((await askWithFields({ client_id: publicClient.id })).statusCode).toBe(200)
  })

  test('may leave its secret empty, in the header and in the body', async () => {
    expect((await askAs(publicClient.id, '')).statusCode).toBe(200)
    expect((await askWithFields({ client_id: publicClient.id, client_secret: '' })).statusCode).toBe(200)
  })

  test('is not accepted with a secret it cannot have', async () => {
    expectRefusal(await askAs(publicClient.id, 'anything'), 401, 'invalid_client')
    const response = await askWithFields({ client_id: publicClient.id, client_secret: 'anything' })
    expectRefusal(response, 401, 'invalid_client')
  })

  test('is never a client with a secret, which is refused without it', async () => {
    expectRefusal(await askWithFields({ client_id: client.id }), 401, 'invalid_client')
    expectRefusal(await askAs(client.id, ''), 401, 'invalid_client')
  })
})

describe('RFC 6749 §2.3: not more than one way of authentication in a request', () => {
  test('the header and the body together are refused, even when both are right', async () => {
    const { authorization } = basic(client.id, client.secret)
    const both = { client_id: client.id, client_secret: client.secret }
    expectRefusal(await askWithHeader(authorization, both), 400, 'invalid_request')
    expectRefusal(await askWithHeader(authorization, { client_secret: client.secret }), 400, 'invalid_request')
  })

  test('any Authorization header is one way, readable or not', async () => {
    const fields = { client_id: client.id, client_secret: client.secret }
    for (const header of ['Bearer abc', 'Digest x', 'Basic !', '']) {
      expectRefusal(await askWithHeader(header, fields), 400, 'invalid_request')
    }
  })

  test('client_id beside the header is accepted when it is the same, in either spelling', async () => {
    const { authorization } = basic(client.id, client.secret)
    expect((await askWithHeader(authorization, { client_id: client.id })).statusCode).toBe(200)
    const encoded = basic(client.id.replaceAll('-', '%2D'), client.secret)
    expect((await askWithHeader(encoded.authorization, { client_id: client.id })).statusCode).toBe(200)
    const open = basic(publicClient.id, '')
    expect((await askWithHeader(open.authorization, { client_id: publicClient.id })).statusCode).toBe(200)
  })

  test('two client ids are refused, both known or not', async () => {
    const { authorization } = basic(client.id, client.secret)
    for (const id of [publicClient.id, 'nobody', client.id.toUpperCase()]) {
      expectRefusal(await askWithHeader(authorization, { client_id: id }), 400, 'invalid_request')
    }
  })

  test('an empty client_id or client_secret in the body counts as missing', async () => {
    const { authorization } = basic(client.id, client.secret)
    expect((await askWithHeader(authorization, { client_id: '', client_secret: '' })).statusCode).toBe(200)
  })

  test('two Authorization headers are refused, even when they say the same', async () => {
    const { authorization } = basic(client.id, client.secret)
    const body = passwordForm(user)
    const request = [
      'POST /Token HTTP/1.1',
      'Host: localhost',
      `Authorization: ${authorization}`,
      `authorization: ${authorization}`,
      `Content-Length: ${body.length}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n')
    const answer = await sendBytes(await listen(app), request)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('"error":"invalid_request"')
    expect(answer).not.toContain('access_token')
  })
})

describe('RFC 6749 §5.2: invalid_client', () => {
  const disabled = { id: '', secret: '' }
  beforeAll(async () => {
    Object.assign(disabled, await addClient(database))
    await setClientEnabled(database.writes, disabled.id, false)
  })

  test('is one answer, byte for byte, for every refused client', async () => {
    const base64 = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
    const disabledPublic = await addClient(database, { secret: 'public' })
    await setClientEnabled(database.writes, disabledPublic.id, false)
    const answers = [
      await askAs('nobody', client.secret),
      await askAs(client.id, 'wrong-secret'),
      await askAs(client.id, client.secret.slice(0, -1)),
      await askAs(client.id, ''),
      await askAs(client.id.toUpperCase(), client.secret),
      await askAs(disabled.id, disabled.secret),
      await askAs(disabledPublic.id, ''),
      await askAs(publicClient.id, 'secret'),
      await askAs('', ''),
      await askAs('a'.repeat(65), 'secret'),
      await askAs('Robert"); drop table', 'secret'),
      await askWithFields({ client_id: 'nobody' }),
      await askWithFields({ client_id: 'nobody', client_secret: client.secret }),
      await askWithFields({ client_id: disabled.id, client_secret: disabled.secret }),
      await askWithFields({ client_id: disabledPublic.id }),
      await askWithHeader(''),
      await askWithHeader('Basic'),
      await askWithHeader('Basic '),
      await askWithHeader('Basic not base64!'),
      await askWithHeader('Basic ====='),
      await askWithHeader(base64('no colon in it')),
      await askWithHeader(`Basic ${Buffer.from([0xff, 0xfe, 0x3a, 0xff]).toString('base64')}`),
      await askWithHeader(base64(`${client.id}\0:${client.secret}`)),
      await askWithHeader(base64(`${client.id}:${client.secret}\n`)),
      await askWithHeader(`Bearer ${client.secret}`),
      await askWithHeader('Digest username="a"'),
      await askWithHeader('Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gJDAi'),
      await askWithHeader(client.secret),
    ]
    const told = answers.map(({ statusCode, headers: { date: _date, ...headers }, rawPayload }) => {
      return { statusCode, headers, body: rawPayload.toString('hex') }
    })
    for (const answer of answers) expectRefusal(answer, 401, 'invalid_client', 'Client authentication failed.')
    for (const answer of told) expect(answer).toEqual(told[0])
    expect(answers[0]?.headers['www-authenticate']).toBe('Basic realm="password-grant"')
  })

  test('comes before everything else that is wrong, for a disabled client as for any other', async () => {
    for (const { id, secret } of [disabled, { id: 'nobody', secret: client.secret }]) {
      for (const body of ['', 'grant_type=x', passwordForm({ ...user, password: 'wrong-password' })]) {
        expectRefusal(await sendToken(app, { headers: basic(id, secret), body }), 401, 'invalid_client')
      }
    }
  })

  test('ends once a disabled client is enabled', async () => {
    await setClientEnabled(database.writes, disabled.id, true)
    expect((await askAs(disabled.id, disabled.secret)).statusCode).toBe(200)
  })
})

describe('a chosen secret', () => {
  test('is cached when right and dropped when the secret changes', async () => {
    const secret = randomWord().slice(0, 9)
    const chosen = { chosen: keepSecret(secret), allowShort: true }
    const { id } = await addClient(database, { secret: chosen })
    for (let time = 0; time < 3; time += 1) expect((await askAs(id, secret)).statusCode).toBe(200)
    expectRefusal(await askAs(id, `${secret}x`), 401, 'invalid_client')
    expectRefusal(await askAs(id, `${secret}x`), 401, 'invalid_client')
    expect((await askAs(id, secret)).statusCode).toBe(200)
    const next = keepSecret(await rotateClient(database.writes, id, 0))
    expectRefusal(await askAs(id, secret), 401, 'invalid_client')
    expect((await askAs(id, next)).statusCode).toBe(200)
  })

  test('of one client is not accepted for another', async () => {
    const [one, other] = [randomWord(), randomWord()]
    const first = await addClient(database, { secret: { chosen: one } })
    const second = await addClient(database, { secret: { chosen: other } })
    expect((await askAs(first.id, one)).statusCode).toBe(200)
    expectRefusal(await askAs(second.id, one), 401, 'invalid_client')
  })
})

describe('rotation', () => {
  test('without overlap ends the old secret at once', async () => {
    const { id, secret } = await addClient(database)
    const next = keepSecret(await rotateClient(database.writes, id, 0))
    expectRefusal(await askAs(id, secret), 401, 'invalid_client')
    expect((await askAs(id, next)).statusCode).toBe(200)
  })

  test('with overlap accepts both, until it is over', async () => {
    const { id, secret } = await addClient(database, { secret: { chosen: randomWord() } })
    const next = keepSecret(await rotateClient(database.writes, id, 3600))
    expect((await askAs(id, secret)).statusCode).toBe(200)
    expect((await askAs(id, next)).statusCode).toBe(200)
    await database.script('update password_grant.clients set previous_secret_until = now() where id = $1', [id])
    expectRefusal(await askAs(id, secret), 401, 'invalid_client')
    expect((await askAs(id, next)).statusCode).toBe(200)
  })

  test('twice leaves the secret before last behind', async () => {
    const { id, secret } = await addClient(database)
    const second = keepSecret(await rotateClient(database.writes, id, 3600))
    const third = keepSecret(await rotateClient(database.writes, id, 3600))
    expectRefusal(await askAs(id, secret), 401, 'invalid_client')
    for (const live of [second, third]) expect((await askAs(id, live)).statusCode).toBe(200)
  })
})

test('an unreadable stored secret hash refuses the client and is logged as a fault', async () => {
  const broken = await addClient(database, { secret: { chosen: 'a secret of a broken client' } })
  await database.script(`update password_grant.clients set secret_hash = '$argon2id$garbage' where id = '${broken.id}'`)
  expectRefusal(await askAs(broken.id, broken.secret), 401, 'invalid_client')
  const [line] = readLog().filter(({ client: id }) => id === broken.id)
  expect(line).toMatchObject({ level: 50, event: 'refusal', reason: 'stored secret hash unreadable' })
})

test('an unreadable stored secret hash refuses parallel requests alike', async () => {
  const broken = await addClient(database, { secret: { chosen: 'a secret of another broken client' } })
  await database.script(`update password_grant.clients set secret_hash = '$argon2id$garbage' where id = '${broken.id}'`)
  const answers = await Promise.all(Array.from({ length: 6 }, () => askAs(broken.id, broken.secret)))
  for (const answer of answers) expectRefusal(answer, 401, 'invalid_client')
})

test('a wrong secret is logged with its client', async () => {
  const other = await addClient(database)
  await askAs(other.id, randomWord())
  expect(readLog().filter(({ client: id }) => id === other.id)).toMatchObject([{ reason: 'wrong client secret' }])
})
