// A user has so many seats and no more: the one taken longest ago gives way.
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import type { Database, Query } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { dialects } from '../../src/dialects/index.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { createServer, type ServerOptions } from '../../src/server.ts'
import { findToken } from '../../src/tokens/find-token.ts'
import {
  revokeTokenOfDevice,
  revokeTokenOfUser,
  revokeTokensOfClient,
  revokeTokensOfUser,
} from '../../src/tokens/revoke-token.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { authenticateUser } from '../support/credentials.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, authenticateClient, cheapPasswords } from '../support/people.ts'
import { askWhose, bearer } from '../support/requests.ts'
import { takeSeat } from '../support/seats.ts'
import { plainOptions } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

type Person = Awaited<ReturnType<typeof addUser>>

const passwords = await createPasswords(cheapPasswords)

describe('a user’s seats', () => {
  let database: Database
  let clientId: string

  beforeAll(async () => {
    database = (await freshDatabase()).database
    clientId = (await addClient(database, { secret: 'public' })).id
    return () => database.close()
  })

  /** Signs in at each label in turn; with the values of their tokens. */
  const signIn = (user: Person, labels: readonly string[], maxSeats: number) =>
    signInAt(database.writes, clientId, user, labels, maxSeats)

  test('are fifty after fifty-one labels signed in: the oldest gives way', async () => {
    const user = await addUser(database)
    const labels = Array.from({ length: 51 }, (_, index) => `label ${index}`)
    const values = await signIn(user, labels, 50)
    expect((await readLabels(user)).toSorted()).toEqual(labels.slice(1).toSorted())
    expect(await findToken(database.writes, values[0] ?? '')).toEqual({ ended: 'unknown' })
    for (const value of values.slice(1)) expect(await findToken(database.writes, value)).toHaveProperty('token')
  })

  test('give way in the order of their sign-ins, hour by hour', async () => {
    const user = await addUser(database)
    await signIn(user, ['c', 'a', 'b'], 3)
    await moveBack(user, 'a', 3)
    await moveBack(user, 'b', 2)
    await moveBack(user, 'c', 1)
    const left = []
    for (const label of ['d', 'e', 'f']) {
      await signIn(user, [label], 3)
      left.push(await readLabels(user))
    }
    expect(left).toEqual([
      ['b', 'c', 'd'],
      ['c', 'd', 'e'],
      ['d', 'e', 'f'],
    ])
  })

  test.each([['a b c d'], ['d c b a'], ['b d a c'], ['c a d b']])(
    'give way in the order of their sign-ins within one second: %s',
    async (order) => {
      const user = await addUser(database)
      const labels = order.split(' ')
      await signIn(user, labels, 4)
      for (const [index, label] of ['x', 'y', 'z'].entries()) {
        // what is told of their times is the same second for all
        await database.script(
          `update password_grant.tokens set issued_at = date_trunc('minute', now() - interval '1 minute')
          where user_id = $1`,
          [user.id],
        )
        await signIn(user, [label], 4)
        expect(await readLabels(user)).toEqual([...labels, 'x', 'y', 'z'].slice(index + 1, index + 5).toSorted())
      }
    },
  )

  test.each([
    ['revoked', 'revoked_at = now()'],
    ['expired', `issued_at = now() - interval '2 s', expires_at = now() - interval '1 s'`],
  ])('lose the seat whose token was %s first, even when it was taken last', async (_what, to) => {
    const user = await addUser(database)
    await signIn(user, ['old', 'older', 'empty'], 3)
    await database.script(`update password_grant.tokens set ${to} where user_id = $1 and device = 'empty'`, [user.id])
    await signIn(user, ['new'], 3)
    expect(await readLabels(user)).toEqual(['new', 'old', 'older'])
    await signIn(user, ['newer'], 3)
    expect(await readLabels(user)).toEqual(['new', 'newer', 'older'])
  })

  test('lose their empty seats first, those that ended longest ago before the others', async () => {
    const user = await addUser(database)
    await signIn(user, ['a', 'b', 'c', 'd'], 4)
    await database.script(
      `update password_grant.tokens set revoked_at = now() where user_id = $1 and device in ('b', 'd')`,
      [user.id],
    )
    await signIn(user, ['e'], 4)
    expect(await readLabels(user)).toEqual(['a', 'c', 'd', 'e'])
  })

  test('move to the end of the line after another sign-in', async () => {
    const user = await addUser(database)
    await signIn(user, ['a', 'b', 'c', 'a', 'd'], 3)
    expect(await readLabels(user)).toEqual(['a', 'c', 'd'])
  })

  test('all stay when one of them signs in again at the limit', async () => {
    const user = await addUser(database)
    const [, b, c] = await signIn(user, ['a', 'b', 'c', 'a'], 3)
    expect(await readLabels(user)).toEqual(['a', 'b', 'c'])
    for (const value of [b, c]) expect(await findToken(database.writes, value ?? '')).toHaveProperty('token')
  })

  test('are one where the limit is one', async () => {
    const user = await addUser(database)
    const values = await signIn(user, ['a', '', 'b', 'b'], 1)
    expect(await readLabels(user)).toEqual(['b'])
    const found = await Promise.all(values.map((value) => findToken(database.writes, value)))
    expect(found).toEqual([
      { ended: 'unknown' },
      { ended: 'unknown' },
      { ended: 'superseded', userId: user.id },
      { token: expect.objectContaining({ device: 'b' }) },
    ])
  })

  test.each([
    ['at a new label', 'f', ['e', 'f']],
    ['at the one taken longest ago', 'a', ['a', 'e']],
    ['at the one taken last', 'e', ['d', 'e']],
  ])('shrink to a lowered limit at the next sign-in, %s', async (_w, label, left) => {
    const user = await addUser(database)
    await signIn(user, ['a', 'b', 'c', 'd', 'e'], 5)
    await signIn(user, [label], 2)
    expect(await readLabels(user)).toEqual(left)
  })

  test('do not affect other users’ seats', async () => {
    const [user, other] = [await addUser(database), await addUser(database)]
    const [value] = await signIn(other, ['a', 'b', 'c'], 3)
    await moveBack(other, 'a', 1_000)
    await signIn(user, ['a', 'b', 'c', 'd', 'e'], 2)
    expect(await readLabels(user)).toEqual(['d', 'e'])
    expect(await readLabels(other)).toEqual(['a', 'b', 'c'])
    expect(await findToken(database.writes, value ?? '')).toHaveProperty('token')
  })

  test('are not touched by a refused sign-in', async () => {
    const user = await addUser(database)
    await signIn(user, ['a', 'b'], 2)
    const subject = await subjectFor(database.writes, clientId, user)
    const refused = [
      await takeSeat(database.writes, { ...subject, clientVersion: user.id, device: 'c', maxSeats: 1 }),
      await takeSeat(database.writes, { ...subject, userVersion: user.id, device: 'c', maxSeats: 1 }),
    ]
    expect(refused).toEqual([{ changed: 'client' }, { changed: 'user' }])
    expect(await readLabels(user)).toEqual(['a', 'b'])
  })

  async function readLabels(user: Person): Promise<string[]> {
    return (await readSeats(database.writes, user)).map(({ device }) => device)
  }

  async function moveBack(user: Person, device: string, hours: number): Promise<void> {
    await database.script(
      `update password_grant.tokens
      set issued_at = issued_at - make_interval(hours => $3), signed_in_at = signed_in_at - make_interval(hours => $3)
      where user_id = $1 and device = $2`,
      [user.id, device, hours],
    )
  }
})

describe('two servers', async () => {
  const { webapi, 'webapi-session': webapiSession } = dialects

  /** A server with connections of its own that remembers tokens for an hour; `lookUps` counts those it had to look up. */
  interface Server {
    readonly app: FastifyInstance
    readonly lookUps: () => number
  }

  async function openServer(url: string, options: Partial<ServerOptions>): Promise<Server> {
    const opened = await openDatabase(url, { timeouts: patience })
    let lookUps = 0
    const database: Database = {
      ...opened,
      lookups: (name, ...statement) => {
        if (name === 'find_token') lookUps += 1
        return opened.lookups(name, ...statement)
      },
    }
    const app = await createServer(database, pino({ level: 'trace' }, logLines), {
      ...plainOptions,
      dialects: [webapi, webapiSession],
      tokenCacheSeconds: 3600,
      passwords: { ...cheapPasswords, queueLimit: 512 },
      ...options,
    })
    onTestFinished(async () => {
      await app.close()
      await opened.close()
    })
    await app.ready()
    return { app, lookUps: () => lookUps }
  }

  async function openServers(options: Partial<ServerOptions> = {}) {
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const servers = [await openServer(url, options), await openServer(url, options)] as const
    return { database, servers, apps: [servers[0].app, servers[1].app] as const }
  }

  async function signIn(app: FastifyInstance, user: Person, clientKey: string) {
    const body = { grant_type: 'password', userName: user.name, password: user.password, clientKey }
    const response = await app.inject({ method: 'POST', url: '/v2/token', body })
    if (response.statusCode === 200) keepSecret(response.json().access_token)
    return response
  }

  async function readValue(app: FastifyInstance, user: Person, clientKey: string): Promise<string> {
    return (await signIn(app, user, clientKey)).json().access_token
  }

  /** Asks until the server remembers: until it answers without a look at the database. */
  async function untilRemembered({ app, lookUps }: Server, value: string): Promise<void> {
    await eventually(async () => {
      const before = lookUps()
      expect((await askWhose(app, value)).statusCode).toBe(200)
      return lookUps() === before
    }, Boolean)
  }

  test('answer two hundred parallel sign-ins at two hundred labels and keep the last fifty', async () => {
    const { database, apps } = await openServers()
    const user = await addUser(database)
    await database.script(noteWhatGivesWay)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, turn) => signIn(apps[turn % 2 === 0 ? 0 : 1], user, `label ${turn}`)),
    )
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => 200))
    const seats = await readSeats(database.writes, user)
    expect(seats).toHaveLength(50)

    const [order] = await database.script<{ gone: number; isOrdered: boolean }>(
      `select count(*)::integer as gone,
        max(signed_in_at) < (select min(signed_in_at) from password_grant.tokens) as "isOrdered"
      from password_grant.gave_way`,
    )
    expect(order).toEqual({ gone: 150, isOrdered: true })
    const kept = new Set(seats.map(({ device }) => device))
    for (const app of apps) {
      const asked = answers.map((answer) => askWhose(app, answer.json().access_token))
      const statuses = (await Promise.all(asked)).map(({ statusCode }) => statusCode)
      expect(statuses).toEqual(answers.map((answer) => (kept.has(answer.json().clientKey) ? 200 : 401)))
    }
  })

  test('keep the last answered sign-in among any number of parallel ones', async () => {
    const { database, apps } = await openServers({ maxSeatsPerUser: 20 })
    const user = await addUser(database)
    const waves = []
    for (let wave = 0; wave < 6; wave += 1) {
      const answers = Array.from({ length: 10 }, (_, turn) =>
        readValue(apps[turn % 2 === 0 ? 0 : 1], user, `label ${wave}.${turn}`),
      )
      waves.push(await Promise.all(answers))
    }
    const found = await Promise.all(
      waves.flat().map(async (value, turn) => (await askWhose(apps[turn % 2 === 0 ? 1 : 0], value)).statusCode),
    )
    expect(found).toEqual([...Array.from({ length: 40 }, () => 401), ...Array.from({ length: 20 }, () => 200)])
  })

  test('refuse the token of a seat that gave way, although both had cached it', async () => {
    const { database, servers, apps } = await openServers({ maxSeatsPerUser: 2 })
    const user = await addUser(database)
    const [first, second] = [await readValue(apps[0], user, 'first'), await readValue(apps[0], user, 'second')]
    for (const server of servers) for (const value of [first, second]) await untilRemembered(server, value)
    const third = await readValue(apps[0], user, 'third')
    for (const app of apps) {
      const { body } = await eventually(
        () => askWhose(app, first),
        ({ statusCode }) => statusCode === 401,
      )
      expect(JSON.parse(body)).toEqual({ error: 'invalid_token', error_description: 'The token is unknown.' })
      for (const value of [second, third]) expect((await askWhose(app, value)).statusCode).toBe(200)
    }
  })

  test('refuse the token of a seat that its user ended: the first at once, the second when notified', async () => {
    const { database, servers, apps } = await openServers()
    const user = await addUser(database)
    const [phone, desk] = [await readValue(apps[0], user, 'phone'), await readValue(apps[0], user, 'desk')]
    for (const server of servers) for (const value of [phone, desk]) await untilRemembered(server, value)
    const listed = await apps[0].inject({ url: '/seats', headers: bearer(phone) })
    const seat = listed.json().find(({ device }: { device: string }) => device === 'desk')
    const ended = await apps[0].inject({ method: 'DELETE', url: `/seats/${seat.id}`, headers: bearer(phone) })
    expect(ended.statusCode).toBe(204)
    expect((await askWhose(apps[0], desk)).statusCode).toBe(401)
    const heard = await eventually(
      () => askWhose(apps[1], desk),
      ({ statusCode }) => statusCode === 401,
    )
    expect(heard.json().error_description).toBe('The token was revoked. Sign in again.')
    for (const app of apps) expect((await askWhose(app, phone)).statusCode).toBe(200)
  })

  test('refuse it at once where it ended, even without a notification', async () => {
    const { database, servers, apps } = await openServers()
    const user = await addUser(database)
    const value = await readValue(apps[0], user, 'phone')
    await untilRemembered(servers[0], value)
    await database.script('alter table password_grant.tokens disable trigger tokens_ended')
    const [seat] = (await apps[0].inject({ url: '/seats', headers: bearer(value) })).json()
    const ended = await apps[0].inject({ method: 'DELETE', url: `/seats/${seat.id}`, headers: bearer(value) })
    expect([ended.statusCode, (await askWhose(apps[0], value)).statusCode]).toEqual([204, 401])
  })
})

describe('a storm of sign-ins whose seats give way, revocations and disablings', () => {
  // fewer than before on some servers, as when the setting is lowered: one sign-in then takes several seats away
  const limits = [1, 2, 3, 6]
  const labels = ['', 'phone', 'desk', 'lounge', 'car', 'attic', 'shed']

  test('never fails and leaves every user within the limit', async () => {
    const { database: first, url } = await freshDatabase()
    const others = [0, 1].map(() => openDatabase(url, { timeouts: patience }))
    const databases = [first, ...(await Promise.all(others))]
    onTestFinished(async () => {
      await Promise.all(databases.map((database) => database.close()))
    })
    const clients: string[] = []
    while (clients.length < 3) clients.push((await addClient(first, { secret: 'public' })).id)
    const users = await Promise.all(Array.from({ length: 3 }, () => addUser(first)))

    const works: ((database: Database, user: Person, clientId: string) => Promise<unknown>)[] = [
      ...Array.from({ length: 8 }, () => async ({ writes: query }: Database, user: Person, clientId: string) => {
        const subject = await subjectFor(query, clientId, user).catch(() => null) // disabled at this moment
        if (subject) await takeSeat(query, { ...subject, device: pick(labels), maxSeats: pick(limits) })
      }),
      (database, user) =>
        database.transaction(async (query) => {
          await changeUser(query, user.name, {})
          await revokeTokensOfUser(query, user.id)
        }),
      (database, _user, clientId) =>
        database.transaction(async (query) => {
          await setClientEnabled(query, clientId, false)
          await revokeTokensOfClient(query, clientId)
        }),
      ({ writes: query }, _user, clientId) => setClientEnabled(query, clientId, true),
      (database, user) =>
        database.transaction(async (query) => {
          await changeUser(query, user.name, {})
          await revokeTokenOfDevice(query, user.id, pick(labels))
        }),
      async ({ writes: query }, user) => {
        const seats = await readSeats(query, user)
        if (seats.length > 0) await revokeTokenOfUser(query, user.id, pick(seats).id)
      },
    ]
    for (let storm = 0; storm < 12; storm += 1) {
      for (const clientId of clients) await setClientEnabled(first.writes, clientId, true)
      const turns = Array.from({ length: 120 }, () => pick(works)(pick(databases), pick(users), pick(clients)))
      const failed = (await Promise.allSettled(turns)).filter((outcome) => outcome.status === 'rejected')
      expect(failed.map(({ reason }) => [String(reason), String(reason.reason)])).toEqual([])
    }
    for (const user of users)
      expect((await readSeats(first.writes, user)).length).toBeLessThanOrEqual(Math.max(...limits))
  })
})

/** Under which facts a user is signed in at a public client. */
async function subjectFor(query: Query, id: string, user: Person) {
  const client = await authenticateClient(query, passwords, { id, secret: null })
  const authenticated = await authenticateUser(query, passwords, user.name, user.password)
  return {
    userId: user.id,
    userVersion: authenticated.userVersion,
    clientId: client.id,
    clientVersion: client.credentialVersion,
    lifetimeSeconds: 3600,
  }
}

async function signInAt(query: Query, clientId: string, user: Person, labels: readonly string[], maxSeats: number) {
  const subject = await subjectFor(query, clientId, user)
  const values: string[] = []
  for (const device of labels) values.push((await takeSeat(query, { ...subject, device, maxSeats })).value ?? '')
  return values
}

async function readSeats(query: Query, user: Person): Promise<{ id: string; device: string }[]> {
  return query('read_seats', 'select id, device from password_grant.tokens where user_id = $1 order by device', [
    user.id,
  ])
}

const noteWhatGivesWay = `
create table password_grant.gave_way (signed_in_at timestamptz);
create function password_grant.note_what_gives_way() returns trigger language plpgsql as $$
begin
  insert into password_grant.gave_way values (old.signed_in_at);
  return null;
end
$$;
create trigger gives_way after delete on password_grant.tokens
for each row execute function password_grant.note_what_gives_way()`

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T
}
