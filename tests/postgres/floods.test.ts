import { randomBytes, randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database, Query } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { device } from '../../src/dialects/device.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { createServer } from '../../src/server.ts'
import { secretBytes, writeTokenValue } from '../../src/tokens/token-value.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken, basic, bearer } from '../support/requests.ts'
import { plainOptions } from '../support/test-server.ts'

const count = 2_000
const encryptionKey = randomBytes(32)

/** What looks like a token, and names none. */
const strangeValue = () => writeTokenValue(randomUUID(), randomBytes(secretBytes))

/** Counts the statements of a lane that are under way or wait for a connection. */
function watch(query: Query) {
  const lane = { now: 0, most: 0, sent: 0 }
  const watched: Query = async (...statement) => {
    lane.now += 1
    lane.sent += 1
    lane.most = Math.max(lane.most, lane.now)
    return query<never>(...statement).finally(() => {
      lane.now -= 1
    })
  }
  return { lane, watched }
}

describe('while thousands of requests are in flight', () => {
  let database: Database
  let app: Awaited<ReturnType<typeof createServer>>
  type Watched = ReturnType<typeof watch>['lane']
  let lanes: [lookups: Watched, writes: Watched]
  let client: { id: string; secret: string }
  let token: string

  beforeAll(async () => {
    const fresh = await freshDatabase()
    await fresh.database.close()
    const opened = await openDatabase(fresh.url, { timeouts: patience })
    const [lookups, writes] = [watch(opened.lookups), watch(opened.writes)]
    lanes = [lookups.lane, writes.lane]
    database = { ...opened, lookups: lookups.watched, writes: writes.watched }
    app = await createServer(database, pino({ level: 'silent' }, logLines), {
      ...plainOptions,
      dialects: [webapi, device],
      encryptionKey,
    })
    await app.ready()
    client = await addClient(database)
    token = (await askForToken(app, { client, user: await addUser(database) })).json().access_token
    return async () => {
      await app.close()
      await database.close()
    }
  })

  const forget = () => {
    for (const lane of lanes) lane.most = lane.sent = 0
  }

  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const floods: [string, () => Promise<LightMyRequestResponse>, ...number[]][] = [
    ['/health/ready', () => app.inject('/health/ready'), 200],
    ['/.well-known/jwks.json', () => app.inject('/.well-known/jwks.json'), 200],
    [
      '/revoke',
      () => {
        const payload = `client_id=device&token=${strangeValue()}`
        return app.inject({ method: 'POST', url: '/revoke', headers: form, payload })
      },
      200,
    ],
    [
      '/auth/login',
      () => {
        const payload = { device_key: randomWord(), timestamp: 1, device_signature: '00' }
        return app.inject({ method: 'POST', url: '/auth/login', payload })
      },
      ...[401, 429, 503], // attempts that cannot be counted are refused, and few wait
    ],
    [
      '/introspect',
      () =>
        app.inject({
          method: 'POST',
          url: '/introspect',
          headers: { ...form, ...basic(randomWord(), 'x'.repeat(50)) },
          payload: 'token=a',
        }),
      ...[401, 503], // a wrong secret waits for a hash
    ],
    ['/userinfo', () => app.inject({ url: '/userinfo', headers: bearer(strangeValue()) }), 401],
  ]

  test.each(floods)(
    'at %s, the server checks tokens, stays ready and keeps few statements waiting',
    async (_path, send, ...expected) => {
      forget()
      const flood = Array.from({ length: count }, send)
      const others = [
        ...Array.from({ length: 20 }, () => app.inject({ url: '/userinfo', headers: bearer(token) })),
        ...Array.from({ length: 20 }, () =>
          app.inject({
            method: 'POST',
            url: '/introspect',
            headers: { ...form, ...basic(client.id, client.secret) },
            payload: `token=${token}`,
          }),
        ),
      ]
      const ready = Array.from({ length: 5 }, () => app.inject('/health/ready'))
      for (const { statusCode } of await Promise.all([...others, ...ready])) expect(statusCode).toBe(200)
      const statuses = new Set((await Promise.all(flood)).map(({ statusCode }) => statusCode))
      for (const status of statuses) expect(expected).toContain(status)
      expect(lanes[0].most).toBeLessThan(30)
    },
  )

  test('a revoked value causes a write only when it is a live token, and only once', async () => {
    const user = await addUser(database)
    const value = (await askForToken(app, { client, user })).json().access_token
    const revoke = () =>
      app.inject({
        method: 'POST',
        url: '/revoke',
        headers: { ...form, ...basic(client.id, client.secret) },
        payload: `token=${value}`,
      })
    forget()
    const answers = await Promise.all(Array.from({ length: 100 }, revoke))
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]))
    expect(Math.max(...lanes.map(({ most }) => most))).toBeLessThan(30)
    expect((await app.inject({ url: '/userinfo', headers: bearer(value) })).statusCode).toBe(401)
    forget()
    await Promise.all(Array.from({ length: 100 }, revoke))
    expect(lanes.reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(10)
  })

  test('seats are listed and ended in a separate lane', async () => {
    forget()
    const headers = bearer(token)
    const lists = Array.from({ length: 150 }, () => app.inject({ url: '/seats', headers }))
    const ends = Array.from({ length: 150 }, () =>
      app.inject({ method: 'DELETE', url: `/seats/${randomUUID()}`, headers }),
    )
    for (const { statusCode } of await Promise.all(lists)) expect(statusCode).toBe(200)
    for (const { statusCode } of await Promise.all(ends)) expect(statusCode).toBe(404)
    expect(Math.max(...lanes.map(({ most }) => most))).toBeLessThan(30)
  })
})

test('a pool refuses the statement after the thousandth waiting one and completes the others', async () => {
  const { database } = await freshDatabase()
  const waiting: Promise<object[]>[] = []
  await database.transaction(async () => {
    for (let statement = 0; statement < 3 + 1_000; statement += 1) waiting.push(ask(database))
    // three connections are free
    await expect(ask(database)).rejects.toMatchObject({ code: 'temporarily_unavailable', isOverload: true })
    await expect(database.transaction(async () => 'in vain')).rejects.toMatchObject({ isOverload: true })
    expect(await database.lookups('one', 'select 1 as one')).toEqual([{ one: 1 }])
  })
  for (const rows of await Promise.all(waiting)) expect(rows).toEqual([{ one: 1 }])
  expect(await ask(database)).toEqual([{ one: 1 }])
  await database.close()
})

function ask({ writes: query }: Database): Promise<object[]> {
  return query('one', 'select 1 as one')
}
