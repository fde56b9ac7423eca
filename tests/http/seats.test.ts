// Users see where they are signed in, and end it.
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { describe, expect, test } from 'vitest'
import { dialects } from '../../src/dialects/index.ts'
import { generateId } from '../../src/secrets.ts'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken, askWhose, bearer } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const { webapi, 'webapi-session': webapiSession, envelope } = dialects
const { app, database } = await testServer({ dialects: [webapi, webapiSession, envelope] })
const client = await addClient(database)

type Person = Awaited<ReturnType<typeof addUser>>

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
const httpDate = expect.stringMatching(/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/)

/** Takes the seat with that label; with its token's value. */
async function signIn(user: Person, device: string): Promise<string> {
  const response =
    device === ''
      ? await askForToken(app, { client, user })
      : await app.inject({
          method: 'POST',
          url: '/v2/token',
          body: { grant_type: 'password', userName: user.name, password: user.password, clientKey: device },
        })
  expect(response.statusCode).toBe(200)
  return keepSecret(response.json().access_token)
}

const listSeats = (value: string, on: FastifyInstance = app) => on.inject({ url: '/seats', headers: bearer(value) })
const endSeat = (value: string, id: string) =>
  app.inject({ method: 'DELETE', url: `/seats/${id}`, headers: bearer(value) })

interface Seat {
  readonly id: string
  readonly device: string
  readonly current: boolean
}

async function readSeats(value: string): Promise<Seat[]> {
  const response = await listSeats(value)
  expect(response.statusCode).toBe(200)
  return response.json()
}

async function findSeat(value: string, device: string): Promise<Seat> {
  const seat = (await readSeats(value)).find((one) => one.device === device)
  if (!seat) throw new Error(`there is no seat ${device}`)
  return seat
}

/** Signs in from several devices, an hour after each other. */
async function signInFrom<const Labels extends readonly string[]>(
  user: Person,
  labels: Labels,
): Promise<{ [index in keyof Labels]: string }> {
  const values: string[] = []
  for (const label of labels) {
    await database.script(
      `update password_grant.tokens
      set issued_at = issued_at - interval '1 hour', signed_in_at = signed_in_at - interval '1 hour'
      where user_id = $1`,
      [user.id],
    )
    values.push(await signIn(user, label))
  }
  return values as { [index in keyof Labels]: string } // as many as there are labels
}

function expectUncached(response: LightMyRequestResponse): void {
  expect([response.headers['cache-control'], response.headers.pragma]).toEqual(['no-store', 'no-cache'])
}

describe('GET /seats', () => {
  test('lists a user’s seats, the latest first, and marks the current one', async () => {
    const user = await addUser(database)
    const [, value] = await signInFrom(user, ['', 'phone', 'desk'])
    const response = await listSeats(value)
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(response.json()).toEqual([
      seatOf('desk', 'webapi-session', false),
      seatOf('phone', 'webapi-session', true),
      seatOf('', client.id, false),
    ])
    for (const seat of response.json()) {
      expect(Object.keys(seat)).toEqual(['id', 'device', 'client_id', '.issued', '.expires', 'current'])
      expect(Date.parse(seat['.expires']) - Date.parse(seat['.issued'])).toBeGreaterThanOrEqual(1_209_600_000)
    }
    expectUncached(response)
  })

  test('is the same list for every token of the user, except the mark of the current one', async () => {
    const user = await addUser(database)
    const labels = ['', 'phone', 'desk'] as const
    const values = await signInFrom(user, labels)
    for (const [index, value] of values.entries()) {
      const seats = await readSeats(value)
      expect(seats.map(({ device }) => device)).toEqual(['desk', 'phone', ''])
      expect(seats.filter(({ current }) => current)).toEqual([expect.objectContaining({ device: labels[index] })])
    }
  })

  test('lists a seat once, with the times of its last sign-in', async () => {
    const user = await addUser(database)
    await signInFrom(user, ['phone', 'desk', 'phone'])
    const value = await signIn(user, 'phone')
    const seats = await readSeats(value)
    expect(seats).toEqual([seatOf('phone', 'webapi-session', true), seatOf('desk', 'webapi-session', false)])
    const { '.issued': issued, '.expires': expires } = (await askWhose(app, value)).json()
    expect(seats[0]).toMatchObject({ '.issued': issued, '.expires': expires })
  })

  test('lists no seat with a revoked or expired token, and no other user’s', async () => {
    const [user, other] = [await addUser(database), await addUser(database)]
    await signIn(other, 'phone')
    const [, , , value] = await signInFrom(user, ['revoked', 'expired', 'phone', 'desk'])
    await setSeat(user, 'revoked', 'revoked_at = now()')
    await setSeat(user, 'expired', `issued_at = now() - interval '2 days', expires_at = now() - interval '1 second'`)
    expect((await readSeats(value)).map(({ device }) => device)).toEqual(['desk', 'phone'])
  })

  test('lists any label as it was given', async () => {
    const user = await addUser(database)
    const label = `Ada's "phone" <№1> \\ ${'𝔸'.repeat(50)}`
    expect(await readSeats(await signIn(user, label))).toEqual([seatOf(label, 'webapi-session', true)])
  })

  test('answers in the dialect whose scheme carries the token', async () => {
    const user = await addUser(database)
    const body = new URLSearchParams({ username: user.name, password: user.password }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const signedIn = await app.inject({ method: 'POST', url: '/v1/oauth/', headers, body })
    const authorization = `Token ${keepSecret(signedIn.json().data.access_token)}`
    const listed = await app.inject({ url: '/seats', headers: { authorization } })
    expect(listed.json()).toEqual({ success: true, data: [seatOf('Unknown', 'envelope', true)] })
    const url = `/seats/${listed.json().data[0].id}`
    expect((await app.inject({ method: 'DELETE', url, headers: { authorization } })).statusCode).toBe(204)
    const after = await app.inject({ url: '/seats', headers: { authorization } })
    expect([after.statusCode, after.json().errors.code]).toEqual([401, '1403'])
  })

  test('answers HEAD with the same headers', async () => {
    const value = await signIn(await addUser(database), '')
    const response = await app.inject({ method: 'HEAD', url: '/seats', headers: bearer(value) })
    expect([response.statusCode, response.body]).toEqual([200, ''])
    expectUncached(response)
  })
})

describe('DELETE /seats/{id}', () => {
  test('ends that sign-in alone, with an empty 204', async () => {
    const user = await addUser(database)
    const [phone, desk, lounge] = await signInFrom(user, ['phone', 'desk', 'lounge'])
    const response = await endSeat(phone, (await findSeat(phone, 'desk')).id)
    expect([response.statusCode, response.body]).toEqual([204, ''])
    expect(response.headers['content-type']).toBeUndefined()
    expectUncached(response)
    const ended = await askWhose(app, desk)
    expect([ended.statusCode, ended.json().error_description]).toEqual([401, 'The token was revoked. Sign in again.'])
    for (const value of [phone, lounge]) expect((await askWhose(app, value)).statusCode).toBe(200)
    expect((await readSeats(phone)).map(({ device }) => device)).toEqual(['lounge', 'phone'])
  })

  test('can end its own sign-in, whose token is then refused', async () => {
    const value = await signIn(await addUser(database), 'phone')
    const { id } = await findSeat(value, 'phone')
    expect((await endSeat(value, id)).statusCode).toBe(204)
    for (const response of [await endSeat(value, id), await listSeats(value), await askWhose(app, value)]) {
      expect([response.statusCode, response.json().error]).toEqual([401, 'invalid_token'])
    }
  })

  test('leaves the seat free for a new sign-in', async () => {
    const user = await addUser(database)
    const desk = await signIn(user, 'desk')
    const old = await signIn(user, 'phone')
    await endSeat(desk, (await findSeat(desk, 'phone')).id)
    const value = await signIn(user, 'phone')
    expect((await readSeats(value)).map(({ device }) => device).toSorted()).toEqual(['desk', 'phone'])
    expect((await askWhose(app, old)).statusCode).toBe(401)
  })

  test('takes an id in capital letters', async () => {
    const user = await addUser(database)
    const [phone, desk] = await signInFrom(user, ['phone', 'desk'])
    expect((await endSeat(phone, (await findSeat(phone, 'desk')).id.toUpperCase())).statusCode).toBe(204)
    expect((await askWhose(app, desk)).statusCode).toBe(401)
  })

  test('is 404 for another user’s seat, which stays', async () => {
    const [user, other] = [await addUser(database), await addUser(database)]
    const [mine, theirs] = [await signIn(user, 'phone'), await signIn(other, 'phone')]
    expectUnknown(await endSeat(mine, (await findSeat(theirs, 'phone')).id))
    expect((await askWhose(app, theirs)).statusCode).toBe(200)
  })

  test('is 404 for an ended or expired seat', async () => {
    const user = await addUser(database)
    const value = await signIn(user, 'phone')
    await signInFrom(user, ['ended', 'expired'])
    const [ended, expired] = [await findSeat(value, 'ended'), await findSeat(value, 'expired')]
    expect((await endSeat(value, ended.id)).statusCode).toBe(204)
    await setSeat(user, 'expired', `issued_at = now() - interval '2 days', expires_at = now() - interval '1 second'`)
    for (const { id } of [ended, expired]) expectUnknown(await endSeat(value, id))
  })

  test.each([
    ['an unknown id', generateId()],
    ['no UUID', 'phone'],
    ['a UUID without hyphens', generateId().replaceAll('-', '')],
    ['a UUID with something after it', `${generateId()}0`],
    ['a UUID in braces', `{${generateId()}}`],
    ['an injection', "'%20or%20true--"],
    ['NUL', '%00'],
    ['a letter outside ASCII', '%C3%A4'],
    ['many characters', '0'.repeat(90)],
  ])('is 404 for %s, with the same JSON', async (_what, id) => {
    const value = await signIn(await addUser(database), 'phone')
    expectUnknown(await endSeat(value, id))
    expect((await askWhose(app, value)).statusCode).toBe(200)
  })

  test('is an unknown path without an id', async () => {
    const value = await signIn(await addUser(database), 'phone')
    for (const url of ['/seats/', '/seats/a/b']) {
      const response = await app.inject({ method: 'DELETE', url, headers: bearer(value) })
      expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
    }
  })

  test('writes one log line with the user, the seat and the address', async () => {
    const user = await addUser(database)
    const value = await signIn(user, 'phone')
    const { id } = await findSeat(value, 'phone')
    await endSeat(value, id)
    const lines = readLog().filter(({ seat }) => seat === id)
    expect(lines).toEqual([expect.objectContaining({ event: 'revocation', userId: user.id, address: '127.0.0.1' })])
    expect(JSON.stringify(lines)).not.toContain(user.name)
  })
})

describe('without a live token', () => {
  const requests: [string, InjectOptions][] = [
    ['GET /seats', { url: '/seats' }],
    ['DELETE /seats/{id}', { method: 'DELETE', url: `/seats/${generateId()}` }],
  ]

  test.each(requests)('%s is 401 with a challenge', async (_what, request) => {
    const response = await app.inject(request)
    expect([response.statusCode, response.json()]).toEqual([
      401,
      { error_description: 'Send a token: Authorization: Bearer <token>' },
    ])
    expect(response.headers['www-authenticate']).toBe('Bearer realm="password-grant"')
    expectUncached(response)
  })

  test.each(requests)('%s with an invalid token says so', async (_what, request) => {
    const response = await app.inject({ ...request, headers: bearer(`token-${randomWord()}`) })
    expect([response.statusCode, response.json()]).toEqual([
      401,
      { error: 'invalid_token', error_description: 'The token is unknown.' },
    ])
    expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="[^"]+", error="invalid_token", error_desc/)
    expectUncached(response)
  })

  test.each(requests)('%s with a malformed header is 400', async (_what, request) => {
    const response = await app.inject({ ...request, headers: { authorization: 'Bearer a b' } })
    expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request'])
    expectUncached(response)
  })

  test.each(requests)('%s with a client’s credentials is 401', async (_what, request) => {
    const authorization = `Basic ${keepSecret(Buffer.from(`${client.id}:${client.secret}`).toString('base64'))}`
    expect((await app.inject({ ...request, headers: { authorization } })).statusCode).toBe(401)
  })
})

test.each([
  ['/seats', 'GET, HEAD', ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']],
  [`/seats/${generateId()}`, 'DELETE', ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'OPTIONS']],
] as const)('%s allows the methods %s and refuses every other', async (url, allow, methods) => {
  const value = await signIn(await addUser(database), '')
  for (const method of methods) {
    const response = await app.inject({ method, url, headers: bearer(value) })
    expect([response.statusCode, response.headers.allow], method).toEqual([405, allow])
    expectUncached(response)
    if (method !== 'HEAD') expect(response.json().error).toBe('invalid_request')
  }
  expect(await readSeats(value)).toHaveLength(1)
})

function seatOf(device: string, clientId: string, current: boolean): object {
  return { id: uuid, device, client_id: clientId, '.issued': httpDate, '.expires': httpDate, current }
}

async function setSeat(user: Person, device: string, change: string): Promise<void> {
  const where = 'where user_id = $1 and device = $2'
  await database.script(`update password_grant.tokens set ${change} ${where}`, [user.id, device])
}

function expectUnknown(response: LightMyRequestResponse): void {
  expect([response.statusCode, response.json()]).toEqual([
    404,
    { error: 'not_found', error_description: 'You have no seat with that id.' },
  ])
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
  expectUncached(response)
}
