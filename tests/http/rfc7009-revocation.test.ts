import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { generateBytes, generateId } from '../../src/secrets.ts'
import { createServer } from '../../src/server.ts'
import { revokeToken } from '../../src/tokens/revoke-token.ts'
import { readTokenValue, type TokenValue, writeTokenValue } from '../../src/tokens/token-value.ts'
import { keepSecret, leakedLines, logLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { expectRefusal } from '../support/refusals.ts'
import { askForToken, askWhose, basic } from '../support/requests.ts'
import { takeSeat } from '../support/seats.ts'
import { plainOptions, testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const { app, database } = await testServer()
const client = await addClient(database)
const other = await addClient(database)
const publicClient = await addClient(database, { secret: 'public' })
const headers = basic(client.id, client.secret)

const form = { 'content-type': 'application/x-www-form-urlencoded' }

type Fields = Record<string, string>

/** `POST /revoke` with the fields, as the client unless said otherwise. */
function revoke(fields: Fields, said: Record<string, string> = headers, server = app) {
  return send(new URLSearchParams(fields).toString(), said, server)
}

function send(body: string, said: Record<string, string> = headers, server = app) {
  return server.inject({ method: 'POST', url: '/revoke', headers: { ...form, ...said }, body })
}

type User = { name: string; password: string }

async function signIn(user: User, { server = app, as = client } = {}): Promise<string> {
  return (await askForToken(server, { client: as, user })).json().access_token
}

async function liveToken(): Promise<string> {
  return signIn(await addUser(database))
}

/** A sign-in of the public client, which names itself and proves nothing. */
async function signInPublicly(user: User): Promise<string> {
  const fields = { grant_type: 'password', username: user.name, password: user.password, client_id: publicClient.id }
  const body = new URLSearchParams(fields).toString()
  return keepSecret((await app.inject({ method: 'POST', url: '/Token', headers: form, body })).json().access_token)
}

async function introspect(token: string, server = app) {
  const body = new URLSearchParams({ token }).toString()
  return (await server.inject({ method: 'POST', url: '/introspect', headers: { ...form, ...headers }, body })).body
}

/** RFC 7009 §2.2: the one answer, whether there was a token or not. */
async function expectDone(answer: ReturnType<typeof send>): Promise<void> {
  const response = await answer
  expect([response.statusCode, response.body]).toEqual([200, ''])
  expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
}

async function expectLive(value: string): Promise<void> {
  expect((await askWhose(app, value)).statusCode).toBe(200)
}

async function expectRevoked(value: string, server = app): Promise<void> {
  const response = await askWhose(server, value)
  expect([response.statusCode, response.json().error_description]).toEqual([
    401,
    'The token was revoked. Sign in again.',
  ])
  expect(await introspect(value, server)).toBe('{"active":false}')
}

describe('RFC 7009 §2.1: the request', () => {
  test('is a POST; every other method is told so and ends nothing', async () => {
    const value = await liveToken()
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
      const response = await app.inject({ method, url: `/revoke?token=${value}`, headers })
      expect([response.statusCode, response.headers.allow]).toEqual([405, 'POST'])
      if (method !== 'HEAD') expectRefusal(response, 405, 'invalid_request', 'Use POST.')
    }
    await expectLive(value)
  })

  test('is a form; JSON is told what to send instead', async () => {
    const value = await liveToken()
    const response = await send(JSON.stringify({ token: value }), { ...headers, 'content-type': 'application/json' })
    expectRefusal(response, 400, 'invalid_request', 'The body is JSON. Send a form: token=...')
    await expectLive(value)
  })

  test('needs the token', async () => {
    for (const body of ['token=', 'token', 'token_type_hint=access_token']) {
      expectRefusal(await send(body), 400, 'invalid_request', 'The field token is missing.')
    }
    expectRefusal(await send(''), 400, 'invalid_request', 'The body is empty. Send a form: token=...')
  })

  test('has no field twice', async () => {
    const value = await liveToken()
    const response = await send(`token=${value}&TOKEN=${value}`)
    expectRefusal(response, 400, 'invalid_request', 'The body has the same field twice.')
    await expectLive(value)
  })

  test('is not read from the URL', async () => {
    const value = await liveToken()
    const url = `/revoke?token=${value}`
    const response = await app.inject({ method: 'POST', url, headers: { ...form, ...headers }, body: '' })
    expectRefusal(response, 400, 'invalid_request', expect.stringMatching(/^The fields are in the query string/))
    await expectLive(value)
  })

  test('has 16 KiB at most', async () => {
    await expectDone(send('token='.padEnd(16_384, 'a')))
    expectRefusal(await send('token='.padEnd(16_385, 'a')), 413, 'invalid_request')
  })

  test.each(['access_token', 'refresh_token', 'urn:example:other', ''])(
    'can have the hint %j, which changes nothing',
    async (hint) => {
      const value = await liveToken()
      await expectDone(revoke({ token: value, token_type_hint: hint, x: 'y' }))
      await expectRevoked(value)
    },
  )
})

describe('RFC 7009 §2.1: a token can be ended by', () => {
  test('its own client, by Basic or by fields', async () => {
    const user = await addUser(database)
    for (const [fields, said] of [
      [{}, headers],
      [{ client_id: client.id }, headers],
      [{ client_id: client.id, client_secret: client.secret }, {}],
    ] as [Fields, Record<string, string>][]) {
      const value = await signIn(user)
      await expectDone(revoke({ ...fields, token: value }, said))
      await expectRevoked(value)
    }
  })

  test('its own client with an odd secret, plain or form-encoded in Basic', async () => {
    const secret = `100% a+b=é ${randomWord()}`
    const { id } = await addClient(database, { secret: { chosen: secret } })
    const user = await addUser(database)
    for (const written of [secret, keepSecret(encodeURIComponent(secret))]) {
      const value = await signIn(user, { as: { id, secret } })
      await expectDone(revoke({ token: value }, basic(id, written)))
      await expectRevoked(value)
    }
  })

  test('its own public client, by its id alone', async () => {
    const value = await signInPublicly(await addUser(database))
    await expectDone(revoke({ token: value, client_id: publicClient.id }, {}))
    await expectRevoked(value)
  })

  test('no other client, which is refused while the token lives on', async () => {
    const foreign = 'The token was issued to another client.'
    const [confidential, open] = [await liveToken(), await signInPublicly(await addUser(database))]
    const asOther = basic(other.id, other.secret)
    expectRefusal(await revoke({ token: confidential }, asOther), 400, 'unauthorized_client', foreign)
    expectRefusal(await revoke({ token: open }), 400, 'unauthorized_client', foreign)
    const publicly = await revoke({ token: confidential, client_id: publicClient.id }, {})
    expectRefusal(publicly, 400, 'unauthorized_client', foreign)
    await expectLive(confidential)
    await expectLive(open)
  })

  test('no unauthenticated caller, which gets 401 while the token lives on', async () => {
    const token = await liveToken()
    const disabled = await addClient(database)
    await setClientEnabled(database.writes, disabled.id, false)
    const wrong = keepSecret(randomWord())
    const refused: [Fields, Record<string, string>][] = [
      [{}, {}],
      [{}, basic('nobody', wrong)],
      [{}, basic(client.id, wrong)],
      [{}, basic(disabled.id, disabled.secret)],
      [{ client_id: client.id }, {}],
      [{ client_id: client.id, client_secret: wrong }, {}],
      [{ client_id: publicClient.id, client_secret: wrong }, {}],
      [{}, { authorization: `Bearer ${token}` }],
    ]
    for (const [fields, said] of refused) {
      expectRefusal(await revoke({ ...fields, token }, said), 401, 'invalid_client')
    }
    await expectLive(token)
  })

  test('no caller with two ways of authentication', async () => {
    const token = await liveToken()
    expectRefusal(await revoke({ token, client_secret: client.secret }), 400, 'invalid_request')
    await expectLive(token)
  })
})

describe('RFC 7009 §2.2: a token that is ended', () => {
  test('is dead at once, and can be ended again without an error', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await expectLive(value)
    const before = readLog().length
    await expectDone(revoke({ token: value }))
    expect(readLog().slice(before)).toMatchObject([{ event: 'revocation', userId: user.id, client: client.id }])
    await expectRevoked(value)
    await expectDone(revoke({ token: value }))
    await expectRevoked(value)
  })

  test('is dead at once where tokens are cached, too', async () => {
    let lookUps = 0
    const counted: typeof database = {
      ...database,
      lookups: (name, text, values) => {
        if (name === 'find_token') lookUps += 1
        return database.lookups(name, text, values)
      },
    }
    const server = await createServer(counted, pino({ level: 'trace' }, logLines), {
      ...plainOptions,
      tokenCacheSeconds: 600,
    })
    afterAll(() => server.close())
    const value = await signIn(await addUser(database), { server })
    const isRemembered = async () => {
      const before = lookUps
      expect((await askWhose(server, value)).statusCode).toBe(200)
      return lookUps === before
    }
    await eventually(isRemembered, Boolean)
    await expectDone(revoke({ token: value }, headers, server))
    await expectRevoked(value, server)
  })

  test('leaves the user free to sign in again, and that token lives', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await expectDone(revoke({ token: value }))
    const next = await signIn(user)
    await expectDone(revoke({ token: value }))
    await expectLive(next)
  })

  test('is the only one: tokens of other users live on', async () => {
    const others = await Promise.all(Array.from({ length: 5 }, liveToken))
    await expectDone(revoke({ token: await liveToken() }))
    for (const value of others) await expectLive(value)
  })
})

describe('RFC 7009 §2.2: a dead value gets the same answer as a live token:', () => {
  test('unknown or malformed', async () => {
    const unknown = keepSecret(writeTokenValue(generateId(), generateBytes(32)))
    for (const token of [unknown, 'x', ' ', 'null', 'a'.repeat(72), 'eyJhbGciOiJub25lIn0.e30.', 'tökén']) {
      await expectDone(revoke({ token }))
      await expectDone(revoke({ token, client_id: publicClient.id }, {}))
    }
  })

  test('of a live seat, with another secret', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    const [row] = await database.script<{ id: string }>('select id from password_grant.tokens where user_id = $1', [
      user.id,
    ])
    await expectDone(revoke({ token: keepSecret(writeTokenValue(row?.id ?? '', generateBytes(32))) }))
    await expectLive(value)
  })

  test('expired, and it stays expired', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    await database.script(
      `update password_grant.tokens set issued_at = now() - interval '1 day', expires_at = now() where user_id = $1`,
      [user.id],
    )
    await expectDone(revoke({ token: value }))
    expect((await askWhose(app, value)).json().error_description).toBe('The token has expired. Sign in again.')
  })

  test('superseded, for any client, and the newer one lives on', async () => {
    const user = await addUser(database)
    const [older, newer] = [await signIn(user), await signIn(user)]
    await expectDone(revoke({ token: older }))
    await expectDone(revoke({ token: older }, basic(other.id, other.secret)))
    await expectLive(newer)
  })
})

describe('RFC 7009 §2.2.1: an outage', () => {
  test('is 503 with Retry-After and without a verdict on the token', async () => {
    const away = await openDatabase('postgres://someone@127.0.0.1:1/none')
    const server = await createServer(away, pino({ level: 'trace' }, logLines), plainOptions)
    afterAll(async () => {
      await server.close()
      await away.close()
    })
    for (const token of [await liveToken(), 'no-token']) {
      expectRefusal(await revoke({ token }, headers, server), 503, 'temporarily_unavailable')
    }
  })

  test('of the tokens alone is 503, and the token lives on', async () => {
    const broken = await testServer()
    const asking = await addClient(broken.database)
    const user = await addUser(broken.database)
    const token = await signIn(user, { server: broken.app, as: asking })
    const rename = (from: string, to: string) =>
      broken.database.script(`alter table password_grant.${from} rename to ${to}`)
    await rename('tokens', 'moved')
    const said = basic(asking.id, asking.secret)
    expectRefusal(await revoke({ token }, said, broken.app), 503, 'temporarily_unavailable')
    await rename('moved', 'tokens')
    expect((await askWhose(broken.app, token)).statusCode).toBe(200)
  })
})

describe('ending a token while its user signs in again', () => {
  test('never ends the new token in any order', async () => {
    const user = await addUser(database)
    let value = await signIn(user)
    let overtaken = 0
    for (let round = 0; round < 200; round += 1) {
      const pause = new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
      const revoking = pause.then(() => revoke({ token: value }))
      const [next, done] = await Promise.all([signIn(user), revoking])
      expect(done.statusCode).toBe(200)
      expect((await askWhose(app, next)).statusCode).toBe(200)
      overtaken += (await askWhose(app, value)).json().error_description.includes('replaced') ? 1 : 0
      value = next
    }
    expect(overtaken).toBe(200)
  })

  test('waits for a sign-in that locks the seat, and then finds nothing to end', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    const subject = await subjectFor(user.id)
    const [next, revoking] = await database.transaction(async (query) => {
      const { value: next } = await takeSeat(query, subject)
      if (next === undefined) throw new Error('the seat was not taken')
      const revoking = revoke({ token: value })
      await untilSomebodyWaits()
      return [next, [revoking]] as const // not awaited here: it waits for the commit
    })
    await expectDone(revoking[0])
    await expectLive(next)
  })

  test('makes a sign-in wait that then takes the seat with a live token', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    const [signingIn] = await database.transaction(async (query) => {
      expect(await revokeToken(query, client.id, readTokenValue(value) as TokenValue)).toMatchObject({
        userId: user.id,
      })
      const signingIn = signIn(user)
      await untilSomebodyWaits()
      return [signingIn] as const
    })
    await expectLive(await signingIn)
  })
})

async function subjectFor(userId: string) {
  const [row] = await database.script<{ user: string; client: string }>(
    `select u.credential_version as user, c.credential_version as client
    from password_grant.users u, password_grant.clients c where u.id = $1 and c.id = $2`,
    [userId, client.id],
  )
  return {
    userId,
    userVersion: row?.user ?? '',
    clientId: client.id,
    clientVersion: row?.client ?? '',
    device: '',
    lifetimeSeconds: 60,
  }
}

/** Resolves when a statement of this database waits for a lock. */
async function untilSomebodyWaits(): Promise<void> {
  await eventually(
    () =>
      database.script<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      ),
    (waiting) => waiting.length > 0,
  )
}

describe('RFC 7009 §5: no log line holds a token', () => {
  test('sent in any place', async () => {
    const value = await liveToken()
    await revoke({ token: value }, basic(other.id, other.secret))
    await revoke({ token: value }, {})
    await send(`token=${value}&token=${value}`)
    await send(`{"token":"${value}"}`)
    await app.inject({ method: 'GET', url: `/revoke?token=${value}`, headers: { ...headers, token: value } })
    await revoke({ token: value })
    await revoke({ token: `${value}x` })
    expect(leakedLines()).toEqual([])
  })
})
