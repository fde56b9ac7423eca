// Guesses at a password: how many are looked at, and that the guesses of others never lock the owner out.
import { hash } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { requireNoWait } from '../../src/grants/slow-down.ts'
import type { PasswordOptions } from '../../src/passwords/password.ts'
import { generateBytes } from '../../src/secrets.ts'
import { createServer } from '../../src/server.ts'
import { createThrottle } from '../../src/throttle/database-throttle.ts'
import { purgeAttempts } from '../../src/throttle/purge-attempts.ts'
import { defaultThrottleOptions, type ThrottleOptions } from '../../src/throttle/throttle.ts'
import { changeUser, removeUser } from '../../src/users/register-user.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import {
  behindProxy,
  expectSlowDown,
  guess,
  guessTimes,
  lengthenWaits,
  newNetwork,
  signInFrom,
  tally,
} from '../support/guesses.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { type Asking, askWhose, basic, passwordForm } from '../support/requests.ts'
import { freePort } from '../support/sockets.ts'
import { plainOptions, serverBeside, testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const dialects = [webapi, webapiSession, envelope]
const { app, database, url } = await testServer({ ...behindProxy, dialects })
await lengthenWaits(database)
const client = await addClient(database)
/** Has heard of no wait that another server began. */
const other = await serverBeside(url, { ...behindProxy, dialects })

const addAsking = async (): Promise<Asking & { user: { id: string } }> => ({ client, user: await addUser(database) })

const fiveTold = [400, 400, 400, 400, 400]

/** Failures that are counted now, the latest first. */
async function readFailures({ script }: Database = database) {
  return script<{ count: number; wait: number | null; left: number | null }>(
    `select count, extract(epoch from wait_until - failed_at)::float8 as wait,
      extract(epoch from wait_until - clock_timestamp())::float8 as left
    from password_grant.failures order by failed_at desc`,
  )
}

/** As if all failures so far had been earlier. */
async function moveFailures(interval: string, { script }: Database = database): Promise<void> {
  await script(
    `update password_grant.failures
    set failed_at = failed_at - $1::interval, wait_until = wait_until - $1::interval`,
    [interval],
  )
}

describe('five failed attempts at a user from one network', () => {
  test('are answered as wrong, and the next one, right or wrong, is told to wait', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    expect(await guessTimes(5, app, asking, from)).toEqual(fiveTold)
    expectSlowDown(await guess(app, asking, from))
    expectSlowDown(await signInFrom(app, asking, from))
    expectSlowDown(await signInFrom(other, asking, from))
  })

  test('are cleared when the right password comes before the fifth', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await guessTimes(4, app, asking, from)).toEqual([400, 400, 400, 400])
      expect((await signInFrom(app, asking, from)).statusCode).toBe(200)
    }
    expect(await guessTimes(6, app, asking, from)).toEqual([...fiveTold, 429])
  })

  test('delay neither another network nor another user from the same', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(6, app, asking, from)
    expect((await signInFrom(app, asking, newNetwork())).statusCode).toBe(200)
    expect((await signInFrom(app, await addAsking(), from)).statusCode).toBe(200)
    expectSlowDown(await signInFrom(app, asking, from))
  })

  test('set Retry-After to the rest of the wait, rounded up, from the database and from the cache', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(5, app, asking, from)
    await moveFailures('-1234.5 seconds')
    const secondsLeft = async () => (await readFailures())[0]?.left ?? 0
    const most = await secondsLeft()
    expect(most).toBeGreaterThan(1_000)
    for (let turn = 0; turn < 2; turn += 1) {
      const seconds = Number((await signInFrom(other, asking, from)).headers['retry-after'])
      expect(seconds).toBeLessThanOrEqual(Math.ceil(most))
      expect(seconds).toBeGreaterThanOrEqual(Math.ceil(await secondsLeft()))
    }
  })

  test.each([
    ['59 minutes', 6],
    ['61 minutes', 1],
  ])('and the one %s later make %i', async (interval, count) => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(5, app, asking, from)
    await moveFailures(interval)
    expect((await guess(other, asking, from)).statusCode).toBe(400)
    expect((await readFailures())[0]?.count).toBe(count)
  })

  test('are counted again as soon as the wait is over', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(5, app, asking, from)
    await moveFailures('2 minutes')
    expect((await signInFrom(other, asking, from)).statusCode).toBe(200)
    expect(await guessTimes(5, other, asking, from)).toEqual(fiveTold)
  })
})

describe('each further failure', async () => {
  const { app, database } = await testServer(behindProxy)
  const client = await addClient(database)

  test.each([
    [1, null],
    [4, null],
    [5, 1],
    [6, 2],
    [7, 4],
    [8, 8],
    [14, 512],
    [15, 900],
    [16, 900],
    [2_000_000_000, 900],
  ])('number %i begins a wait of %s seconds', async (number, seconds) => {
    const [asking, from] = [{ client, user: await addUser(database) }, newNetwork()]
    if (number > 1) {
      await guess(app, asking, from)
      await database.script('update password_grant.failures set count = $1 where count = 1', [number - 1])
    }
    expect((await guess(app, asking, from)).statusCode).toBe(400)
    const [failure] = await readFailures(database)
    expect(failure?.count).toBe(number)
    expect(failure?.wait === null ? null : Math.round(failure?.wait ?? 0)).toBe(seconds)
    await database.script('delete from password_grant.failures')
  })
})

describe('a source', () => {
  const same: [string, string][] = [
    ['2001:db8:1:1::1', '2001:db8:1:1:ffff:ffff:ffff:ffff'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['::ffff:cb00:7109', '203.0.113.9'],
    ['2001:DB8:0:1::1', '2001:0db8::1:0:0:0:2'],
  ]
  test.each(same)('%s is of the network of %s', async (one, another) => {
    const asking = await addAsking()
    await guessTimes(5, app, asking, one)
    expectSlowDown(await signInFrom(app, asking, another))
  })

  test.each([
    ['2001:db8:1:1::1', '2001:db8:1:2::1'],
    ['203.0.113.9', '203.0.113.10'],
    ['203.0.113.9', '2001:db8:cb00:7109::'],
  ])('%s is not of the network of %s', async (one, another) => {
    const asking = await addAsking()
    await guessTimes(6, app, asking, one)
    expect((await signInFrom(app, asking, another)).statusCode).toBe(200)
  })

  test('that fails at thirty users can still sign in as the next one', async () => {
    const from = newNetwork()
    const users = await Promise.all(Array.from({ length: 30 }, addAsking))
    const told = await Promise.all(users.map((asking) => guessTimes(6, app, asking, from)))
    expect(told).toEqual(users.map(() => [...fiveTold, 429]))
    expect((await signInFrom(app, await addAsking(), from)).statusCode).toBe(200)
  })
})

describe('a server during a wait', () => {
  test('hashes nothing and queries the wait once', async () => {
    const names: string[] = []
    const target = await serverOn(notingIn(names))
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(5, app, asking, from)
    const askedFor = async (answer: () => Promise<LightMyRequestResponse>) => {
      names.length = 0
      expectSlowDown(await answer())
      return [...names]
    }
    expect(await askedFor(() => signInFrom(target, asking, from))).toContain('find_attempts')
    expect(await askedFor(() => signInFrom(target, asking, from))).toEqual(['find_client'])
    expect(await askedFor(() => guess(target, asking, from))).toEqual(['find_client'])
  })
})

describe('a wait that another server begins during the check of a right password', () => {
  test.each([
    [
      'after failures',
      "update password_grant.failures set wait_until = now() + interval '1 minute' where wait_until is null",
    ],
    [
      "by strangers' guesses",
      'update password_grant.guesses set guessed_at = array_fill(clock_timestamp(), array[100])',
    ],
  ])('%s: leaves the seat, the counts and the known networks unchanged', async (_, beginWait) => {
    const { script } = database
    await script('delete from password_grant.failures; delete from password_grant.guesses')
    const [asking, from] = [await addAsking(), newNetwork()]
    const { access_token: token } = (await signInFrom(app, asking, newNetwork())).json()
    await guess(other, asking, from)
    const names: string[] = []
    const target = await serverOn(async (name) => {
      names.push(name)
      if (name.startsWith('issue_token')) await script(beginWait)
    })
    expectSlowDown(await signInFrom(target, asking, from))
    names.length = 0
    expectSlowDown(await signInFrom(target, asking, from))
    expect(names).toEqual(['find_client'])
    expect((await askWhose(app, keepSecret(token))).statusCode).toBe(200)
    expect(await script('select count from password_grant.failures')).toEqual([{ count: 1 }])
    const networks = await script('select from password_grant.known_networks where user_id = $1', [asking.user.id])
    expect(networks).toHaveLength(1)
  })
})

test('a right password whose client is disabled at the last moment changes no count', async () => {
  const { script } = database
  await script('delete from password_grant.failures')
  const [asking, from] = [{ client: await addClient(database), user: await addUser(database) }, newNetwork()]
  await guess(app, asking, from)
  const target = await serverOn(async (name) => {
    if (!name.startsWith('issue_token')) return
    await script('update password_grant.clients set is_enabled = false where id = $1', [asking.client.id])
  })
  expect((await signInFrom(target, asking, from)).statusCode).toBe(401)
  expect(await script('select count from password_grant.failures')).toEqual([{ count: 1 }])
  expect(await script('select from password_grant.known_networks where user_id = $1', [asking.user.id])).toEqual([])
})

/** Another server with limits of its own, over the same connections; closed after the test. */
async function serverWith(throttle: Partial<ThrottleOptions>): Promise<FastifyInstance> {
  const log = pino({ level: 'trace' }, logLines)
  const server = await createServer(database, log, { ...plainOptions, ...behindProxy, throttle })
  onTestFinished(() => server.close())
  return server
}

/** A server whose database tells first which statement a sign-in sends. */
async function serverOn(
  onStatement: (name: string) => unknown,
  passwords: PasswordOptions = cheapPasswords,
): Promise<FastifyInstance> {
  const watched: Database = {
    ...database,
    writes: async (name, text, values) => {
      await onStatement(name)
      return database.writes(name, text, values)
    },
    transaction: (work) =>
      database.transaction((query, script) =>
        work(async (name, text, values) => {
          await onStatement(name)
          return query(name, text, values)
        }, script),
      ),
  }
  const log = pino({ level: 'trace' }, logLines)
  const server = await createServer(watched, log, { ...plainOptions, ...behindProxy, passwords })
  onTestFinished(() => server.close())
  return server
}

/** Notes which statements sign-ins send. */
function notingIn(names: string[]): (name: string) => void {
  return (name) => {
    if (!name.startsWith('purge') && name !== 'find_hash_costs') names.push(name)
  }
}

describe('two hundred right sign-ins at once', async () => {
  // a slow machine's own limits are no matter of the throttle
  const patient = await openDatabase(url, { timeouts: patience })
  const target = await createServer(patient, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    ...behindProxy,
    passwords: { ...cheapPasswords, queueSeconds: 25 },
  })
  afterAll(async () => {
    await target.close()
    await patient.close()
  })

  test.each([0, 4])('after %i failures all succeed', async (failures) => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(failures, target, asking, from)
    const answers = await Promise.all(Array.from({ length: 200 }, () => signInFrom(target, asking, from)))
    expect(tally(answers)).toEqual({ 200: 200 })
    expect(await guessTimes(6, target, asking, from)).toEqual([...fiveTold, 429])
  })
})

describe('guesses at', () => {
  const strict = async () => serverBeside(url, { ...behindProxy, throttle: { strangersLimit: 8 } })
  /** Every answer to a caller without the password, from one network, another one, and another server. */
  const probe = async (target: FastifyInstance, name: string) => {
    const asking = { client, user: { name, password: '' } }
    const [one, another] = [newNetwork(), newNetwork()]
    const answers: LightMyRequestResponse[] = []
    for (const from of [one, one, one, one, one, one, another, another, another, another, newNetwork()]) {
      answers.push(await guess(target, asking, from))
    }
    answers.push(await guess(other, asking, one))
    return answers.map(({ statusCode, headers: { date: _date, ...headers }, body }) => ({
      statusCode,
      headers: { ...headers, 'retry-after': typeof headers['retry-after'] }, // how much time has passed is no secret
      body,
    }))
  }

  const whom: [string, () => Promise<string>][] = [
    ['an unknown user', async () => `nobody-${randomWord()}`],
    ['a name too long for any user', async () => randomWord().repeat(20)],
    ['a user without a password', async () => (await addUser(database, { passwordHash: null })).name],
    [
      'a disabled user',
      async () => {
        const { name } = await addUser(database)
        await changeUser(database.writes, name, { isEnabled: false })
        return name
      },
    ],
  ]
  test.each(whom)('%s are answered like guesses at any other', async (_whom, addName) => {
    const target = await strict()
    const [known, name] = [await addUser(database), await addName()]
    const answers = await probe(target, name)
    expect(answers).toEqual(await probe(target, known.name))
    const told = answers.map(({ statusCode }) => statusCode)
    expect(told).toEqual([...fiveTold, 429, 400, 400, 400, 429, 429, 429])
  })

  test('unknown and known users send the same statements', async () => {
    const names: string[] = []
    const target = await serverOn(notingIn(names))
    const sent = async (name: string) => {
      names.length = 0
      await guess(target, { client, user: { name, password: '' } }, newNetwork())
      return [...names]
    }
    const expected = await sent((await addUser(database)).name)
    for (const [whose, addName] of whom.filter(([whose]) => !whose.includes('too long'))) {
      expect(await sent(await addName()), whose).toEqual(expected)
    }
  })
})

describe('one count', () => {
  const forms = {
    webapi: (user: Asking['user']) => ({ url: '/Token', body: passwordForm(user) }),
    'webapi-session': (user: Asking['user']) => ({ url: '/v2/token', body: passwordForm(user) }),
    envelope: (user: Asking['user']) => ({
      url: '/v1/oauth/',
      body: new URLSearchParams({ username: user.name, password: user.password }).toString(),
    }),
  }
  const dialectNames = ['webapi', 'webapi-session', 'envelope'] as const
  const ask = async (
    dialect: keyof typeof forms,
    user: Asking['user'],
    from: string,
    { target = app, as = client } = {},
  ) => {
    const { url, body } = forms[dialect](user)
    const response = await target.inject({
      method: 'POST',
      url,
      body,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-forwarded-for': from,
        ...(dialect === 'webapi' && basic(as.id, as.secret)),
      },
    })
    const told = response.json()
    keepSecret(told.access_token ?? told.data?.access_token ?? '')
    return response
  }

  test.each(dialectNames)('of all dialects makes %s wait, in its own format', async (dialect) => {
    const [user, from] = [await addUser(database), newNetwork()]
    const wrong = { ...user, password: keepSecret(randomWord()) }
    const told = []
    for (const place of ['webapi', 'webapi-session', 'envelope', 'webapi', 'envelope'] as const) {
      const answer = await ask(place, wrong, from)
      told.push(place === 'envelope' ? answer.json().errors.code : answer.json().error)
    }
    expect(told).toEqual(['invalid_grant', 'invalid_grant', '1142', 'invalid_grant', '1142'])
    const response = await ask(dialect, user, from)
    expect(response.statusCode).toBe(429)
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(response.json()).toEqual(
      dialect === 'envelope'
        ? {
            success: false,
            errors: { message: 'Too many attempts. Please try again later.', type: 'OAuthException', code: '1429' },
          }
        : { error: 'slow_down', error_description: 'Too many attempts.' },
    )
    expect((await ask(dialect, user, newNetwork())).statusCode).toBe(200)
  })

  test('of all clients, of servers, and of spellings of the name', async () => {
    const word = randomWord()
    const name = `Åse-ΣΟΦΌΣ-ß-${word}`
    const user = await addUser(database, { name })
    const [from, another] = [newNetwork(), await addClient(database)]
    const spellings = [
      name,
      name.normalize('NFD'),
      name.toUpperCase(),
      name.toLowerCase().normalize('NFD'),
      `åSE-σοφός-SS-${word}`,
    ]
    const password = keepSecret(randomWord())
    const told = []
    for (const [place, spelling] of spellings.entries()) {
      const from5 = { target: place % 2 ? other : app, as: place % 2 ? another : client }
      told.push((await ask('webapi', { name: spelling, password }, from, from5)).statusCode)
    }
    expect(told).toEqual(fiveTold)
    for (const spelling of spellings) {
      for (const target of [app, other]) {
        expectSlowDown(await ask('webapi', { name: spelling, password: user.password }, from, { target, as: another }))
      }
    }
  })
})

describe('strangers', async () => {
  const limit = 4

  const strict = await testServer({ ...behindProxy, throttle: { strangersLimit: limit } })
  await lengthenWaits(strict.database)
  const strictClient = await addClient(strict.database)

  async function strictServer() {
    return { ...strict, asking: { client: strictClient, user: await addUser(strict.database) } }
  }

  const fromEach = async (target: FastifyInstance, asking: Asking, sources: readonly string[]) => {
    const answers = []
    for (const from of sources) answers.push((await guess(target, asking, from)).statusCode)
    return answers
  }
  const networksOf = (count: number) => Array.from({ length: count }, newNetwork)

  test('share a hundred guesses at a user in an hour, even when they come at once', async () => {
    const asking = await addAsking()
    const sources = networksOf(110)
    const answers = await Promise.all(sources.map((from, place) => guess(place % 2 ? app : other, asking, from)))
    expect(tally(answers)).toEqual({ 400: 100, 429: 10 })
    for (const target of [app, other]) expectSlowDown(await signInFrom(target, asking, newNetwork()))
    expect((await guess(app, await addAsking(), sources[0] ?? '')).statusCode).toBe(400) // another user's are their own
  })

  test('cannot lock the user out of a known network, which has five guesses of its own', async () => {
    const { app, asking } = await strictServer()
    const home = newNetwork()
    expect((await signInFrom(app, asking, home)).statusCode).toBe(200)
    expect(await fromEach(app, asking, networksOf(limit + 2))).toEqual([400, 400, 400, 400, 429, 429])
    expectSlowDown(await signInFrom(app, asking, newNetwork()))
    expect(await fromEach(app, asking, [home, home, home])).toEqual([400, 400, 400])
    expect((await signInFrom(app, asking, home)).statusCode).toBe(200)
  })

  test("and a known network do not spend each other's guesses", async () => {
    const { app, asking } = await strictServer()
    const home = newNetwork()
    await signInFrom(app, asking, home)
    expect(await fromEach(app, asking, [home, home, home, home, home])).toEqual([400, 400, 400, 400, 429])
    expect(await fromEach(app, asking, networksOf(limit + 1))).toEqual([400, 400, 400, 400, 429])
  })

  test.each([
    [29, 200],
    [31, 429],
  ])('exclude a network with a sign-in %i days ago: %i', async (days, status) => {
    const { app, database, asking } = await strictServer()
    const home = newNetwork()
    await signInFrom(app, asking, home)
    await fromEach(app, asking, networksOf(limit))
    await database.script(
      'update password_grant.known_networks set signed_in_at = signed_in_at - make_interval(days => $1)',
      [days],
    )
    expect((await signInFrom(app, asking, home)).statusCode).toBe(status)
  })

  test('are known for thirty days from their latest sign-in, not from their first', async () => {
    const { app, database, asking } = await strictServer()
    const home = newNetwork()
    const move = "update password_grant.known_networks set signed_in_at = signed_in_at - interval '20 days'"
    for (let turn = 0; turn < 2; turn += 1) {
      expect((await signInFrom(app, asking, home)).statusCode).toBe(200)
      await database.script(move)
    }
    await fromEach(app, asking, networksOf(limit))
    expect((await signInFrom(app, asking, home)).statusCode).toBe(200)
  })

  test('become known only to the user that signed in', async () => {
    const { app, database, asking } = await strictServer()
    const home = newNetwork()
    await signInFrom(app, asking, home)
    const neighbour = { ...asking, user: await addUser(database) }
    await fromEach(app, neighbour, networksOf(limit))
    expectSlowDown(await signInFrom(app, neighbour, home))
  })

  test('get back only the guesses that are an hour old', async () => {
    const { app, database, asking } = await strictServer()
    expect(await fromEach(app, asking, networksOf(limit + 1))).toEqual([400, 400, 400, 400, 429])
    const moveOldest = async (count: number, interval: string) => {
      await database.script(
        `update password_grant.guesses set guessed_at = array(
          select case when place <= $1 then at - $2::interval else at end
          from unnest(guessed_at) with ordinality listed (at, place) order by 1
        )`,
        [count, interval],
      )
    }
    await moveOldest(2, '59 minutes')
    expectSlowDown(await signInFrom(app, asking, newNetwork()))
    await moveOldest(2, '2 minutes')
    expect(await fromEach(app, asking, networksOf(4))).toEqual([400, 400, 429, 429])
    await moveOldest(1, '61 minutes')
    expect((await signInFrom(app, asking, newNetwork())).statusCode).toBe(200)
  })

  test('wait until the oldest of their guesses is an hour old', async () => {
    const { app, database, asking } = await strictServer()
    await fromEach(app, asking, networksOf(limit))
    await database.script("update password_grant.guesses set guessed_at[1] = guessed_at[1] - interval '10 minutes'")
    const secondsLeft = async () => {
      const [row] = await database.script<{ left: number }>(
        `select extract(epoch from guessed_at[1] + interval '1 hour' - clock_timestamp())::float8 as left
        from password_grant.guesses order by guessed_at[cardinality(guessed_at)] desc limit 1`,
      )
      return row?.left ?? 0
    }
    const before = await secondsLeft()
    const seconds = Number((await signInFrom(app, asking, newNetwork())).headers['retry-after'])
    expect(seconds).toBeLessThanOrEqual(Math.ceil(before))
    expect(seconds).toBeGreaterThanOrEqual(Math.ceil(await secondsLeft()))
    expect(before).toBeLessThanOrEqual(3_000)
  })

  test('pay nothing for guesses that were not checked', async () => {
    const { app, database, url, asking } = await strictServer()
    const wide = await serverBeside(url, behindProxy)
    const from = newNetwork()
    await guessTimes(20, wide, asking, from)
    const [row] = await database.script<{ count: number }>(
      `select cardinality(guessed_at) as count from password_grant.guesses
      order by guessed_at[cardinality(guessed_at)] desc limit 1`,
    )
    expect(row?.count).toBe(5)
    expectSlowDown(await signInFrom(app, asking, newNetwork()))
  })
})

describe('one source of strangers', () => {
  const strict = async (throttle: Partial<ThrottleOptions> = {}) => serverWith({ strangersSourceLimit: 3, ...throttle })
  const inOneSite = (count: number) => Array.from({ length: count }, (_, place) => `2001:db8:${randomSite}:${place}::1`)
  const randomSite = generateBytes(2).readUInt16BE(0).toString(16)

  test('uses at most ten of the hundred guesses, across all /64s of its /48', async () => {
    const asking = await addAsking()
    const answers = await Promise.all(inOneSite(60).map((from, place) => guess(place % 2 ? app : other, asking, from)))
    expect(tally(answers)).toEqual({ 400: 10, 429: 50 })
    for (const target of [app, other]) {
      expectSlowDown(await signInFrom(target, asking, inOneSite(61).at(-1) ?? ''))
      expect((await signInFrom(target, asking, '2001:db8:ffff:1::1')).statusCode).toBe(200)
    }
  })

  test('leaves the rest of the hundred to others', async () => {
    const target = await strict({ strangersLimit: 4 })
    const asking = await addAsking()
    const told = []
    for (const from of [...inOneSite(5), newNetwork(), newNetwork()])
      told.push((await guess(target, asking, from)).statusCode)
    expect(told).toEqual([400, 400, 400, 429, 429, 400, 429])
  })

  test('is one IPv4 address, which waits until its oldest guess is an hour old', async () => {
    const target = await strict({ freeAttempts: 20 })
    const [asking, from] = [await addAsking(), newNetwork()]
    expect(await guessTimes(4, target, asking, from)).toEqual([400, 400, 400, 429])
    const wait = Number((await signInFrom(target, asking, from)).headers['retry-after'])
    expect(wait).toBeGreaterThan(3_500)
    expect(wait).toBeLessThanOrEqual(3_600)
    expect((await signInFrom(target, asking, newNetwork())).statusCode).toBe(200)
  })
})

describe('a network that fails at many different names', () => {
  const strict = () => serverWith({ networkNames: 4 })
  const nobodies = (count: number) =>
    Array.from({ length: count }, () => ({ client, user: { name: `nobody-${randomWord()}`, password: '' } }))

  test('is refused for the next name and for those that failed, at every server', async () => {
    const [target, from] = [await strict(), newNetwork()]
    const asked = nobodies(4)
    for (const asking of asked.slice(1)) expect(await guessTimes(2, target, asking, from)).toEqual([400, 400])
    expect((await guess(target, asked[0] as Asking, from)).statusCode).toBe(400)
    expectSlowDown(await guess(target, nobodies(1)[0] as Asking, from))
    expectSlowDown(await guess(await strict(), asked[0] as Asking, from))
    expectSlowDown(await signInFrom(target, await addAsking(), from))
    expect((await signInFrom(target, await addAsking(), newNetwork())).statusCode).toBe(200)
  })

  test('gets no more answers when all names come at once', async () => {
    const [target, second, from] = [await strict(), await strict(), newNetwork()]
    const answers = await Promise.all(
      nobodies(30).map((asking, place) => guess(place % 2 ? target : second, asking, from)),
    )
    expect(tally(answers)).toEqual({ 400: 4, 429: 26 })
  })

  test('does not affect users known from there', async () => {
    const [target, home, asking] = [await strict(), newNetwork(), await addAsking()]
    expect((await signInFrom(target, asking, home)).statusCode).toBe(200)
    for (const one of nobodies(6)) await guess(target, one, home)
    expect(await guessTimes(4, target, asking, home)).toEqual([400, 400, 400, 400])
    expect((await signInFrom(target, asking, home)).statusCode).toBe(200)
  })

  test('can try again after an hour', async () => {
    const [target, from] = [await strict(), newNetwork()]
    for (const one of nobodies(4)) await guess(target, one, from)
    const [next] = nobodies(1)
    await database.script(
      `update password_grant.network_names
      set failed_at = array(select at - interval '61 minutes' from unnest(failed_at) at order by at)`,
    )
    expect((await guess(target, next as Asking, from)).statusCode).toBe(400)
  })

  test('is counted by the latest failure of each name, not the first', async () => {
    const [target, from] = [await strict(), newNetwork()]
    const [first, second, third, fourth, fifth] = nobodies(5) as [Asking, Asking, Asking, Asking, Asking]
    const later = (interval: string) =>
      database.script(
        `with moved as (
          update password_grant.network_names
          set failed_at = array(select at - $1::interval from unnest(failed_at) at order by at)
        )
        update password_grant.failures
        set failed_at = failed_at - $1::interval, wait_until = wait_until - $1::interval`,
        [interval],
      )
    for (const asking of [first, second]) expect((await guess(target, asking, from)).statusCode).toBe(400)
    await later('50 minutes')
    for (const asking of [first, second]) expect((await guess(target, asking, from)).statusCode).toBe(400)
    await later('11 minutes')
    for (const asking of [third, fourth]) expect((await guess(target, asking, from)).statusCode).toBe(400)
    expectSlowDown(await guess(target, fifth, from))
  })

  test('counts a name once, even when its user signs in between failures', async () => {
    const [target, from, asking] = [await strict(), newNetwork(), await addAsking()]
    await database.script('delete from password_grant.known_networks')
    for (let turn = 0; turn < 6; turn += 1) {
      expect((await guess(target, asking, from)).statusCode).toBe(400)
      expect((await signInFrom(target, asking, from)).statusCode).toBe(200)
      await database.script('delete from password_grant.known_networks')
    }
    expect((await guess(target, nobodies(1)[0] as Asking, from)).statusCode).toBe(400)
  })
})

describe('the networks a user is known from', async () => {
  const { app, database } = await testServer(behindProxy)
  const client = await addClient(database)
  const countKnown = async ({ id }: { id: string }) =>
    (await database.script('select from password_grant.known_networks where user_id = $1', [id])).length

  test('are the hundred newest', async () => {
    const asking = { client, user: await addUser(database) }
    await database.script(
      `insert into password_grant.known_networks
      select rpad('network-' || place, 43, '-'), $1, now() - make_interval(hours => place)
      from generate_series(2, 150) place`,
      [asking.user.id],
    )
    const home = newNetwork()
    expect((await signInFrom(app, asking, home)).statusCode).toBe(200)
    expect(await countKnown(asking.user)).toBe(100)
    const kept = await database.script<{ age: number }>(
      `select max(extract(epoch from now() - signed_in_at) / 3600)::integer as age
      from password_grant.known_networks where user_id = $1`,
      [asking.user.id],
    )
    expect(kept).toEqual([{ age: 100 }])
  })

  test.each([
    ['a new password', { passwordHash: '$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA' }],
    ['disabling', { isEnabled: false }],
  ])('are removed with %s', async (_what, change) => {
    const [asking, neighbour] = [await addUser(database), await addUser(database)]
    for (const user of [asking, neighbour]) await signInFrom(app, { client, user }, newNetwork())
    await changeUser(database.writes, asking.name, change)
    expect([await countKnown(asking), await countKnown(neighbour)]).toEqual([0, 1])
  })

  test.each([
    ['a new role', { role: 'Reader' }],
    ['enabling', { isEnabled: true }],
  ])('stay with %s', async (_what, change) => {
    const user = await addUser(database)
    await signInFrom(app, { client, user }, newNetwork())
    await changeUser(database.writes, user.name, change)
    expect(await countKnown(user)).toBe(1)
  })
})

describe('a guess at a user', () => {
  test('does not include an invalid request or one of an invalid client', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': from }
    const form = passwordForm({ ...asking.user, password: keepSecret(randomWord()) })
    const own = basic(client.id, client.secret)
    const requests: [number, Record<string, string>, string][] = [
      [400, own, form.replace(/&password=.*/, '')],
      [400, own, form.replace(/&password=.*/, '&password=')],
      [400, own, form.replace('grant_type=password', 'grant_type=none')],
      [400, own, `${form}&username=x`],
      [400, own, `${form}&x=%zz`],
      [413, own, `${form}&x=${'x'.repeat(17_000)}`],
      [401, basic(`nobody-${randomWord()}`, keepSecret(randomWord())), form],
      [401, {}, form],
    ]
    for (const [status, more, body] of [...requests, ...requests]) {
      const response = await app.inject({ method: 'POST', url: '/Token', headers: { ...headers, ...more }, body })
      expect([response.statusCode, response.json().error]).not.toEqual([400, 'invalid_grant'])
      expect(response.statusCode).toBe(status)
    }
    expect(await guessTimes(6, app, asking, from)).toEqual([...fiveTold, 429])
  })

  test('does not include a request refused by a full hash queue', async () => {
    const target = await serverBeside(url, {
      ...behindProxy,
      passwords: { ...cheapPasswords, memoryKib: 65_536, passes: 6, concurrency: 1, queueLimit: 0 },
    })
    const [user, from] = [{ name: `nobody-${randomWord()}`, password: '' }, newNetwork()]
    const answers = await Promise.all(Array.from({ length: 6 }, () => guess(target, { client, user }, from)))
    const told = tally(answers)
    expect(told[503]).toBeGreaterThan(0)
    expect((told[400] ?? 0) + (told[503] ?? 0)).toBe(6)
    expect((await readFailures())[0]?.count).toBe(told[400])
  })

  test('does not include one whose caller hung up before the check', async () => {
    const names: string[] = []
    const slowly = { ...cheapPasswords, memoryKib: 65_536, passes: 6, concurrency: 1, queueSeconds: 60 }
    const target = await serverOn(notingIn(names), slowly)
    const address = await target.listen({ host: '127.0.0.1', port: 0 })
    const name = `nobody-${randomWord()}`
    const hangUp = new AbortController()
    const send = (username: string, signal: AbortSignal | null = null) =>
      fetch(`${address}/Token`, {
        method: 'POST',
        headers: basic(client.id, client.secret),
        body: new URLSearchParams(passwordForm({ name: username, password: keepSecret(randomWord()) })),
        signal,
      })
    const busy = send(`nobody-${randomWord()}`)
    const looked = () => names.filter((statement) => statement === 'find_credentials').length
    await eventually(
      async () => looked(),
      (count) => count === 1,
    )
    const abandoned = send(name, hangUp.signal).catch(({ name }: Error) => name)
    await eventually(
      async () => looked(),
      (count) => count === 2,
    )
    hangUp.abort()
    expect(await abandoned).toBe('AbortError')
    expect((await busy).status).toBe(400)
    expect((await send(`nobody-${randomWord()}`)).status).toBe(400) // what waited before it is over
    expect(names.filter((statement) => statement === 'count_failure')).toHaveLength(2)
    expect(await guessTimes(6, app, { client, user: { name, password: '' } }, '127.0.0.1')).toEqual([...fiveTold, 429])
  })
})

describe('a read-only database', async () => {
  const own = await testServer(behindProxy)
  const asking = { client: await addClient(own.database), user: await addUser(own.database) }
  await own.database.script(
    `create function public.disk_full() returns trigger language plpgsql
    as $$ begin raise 'could not extend file' using errcode = '53100'; end $$`,
  )

  test.each([
    ['failures', 'wrong'],
    ['guesses', 'wrong'],
    ['known_networks', 'right'],
  ])('is an outage and no verdict: %s, when the password is %s', async (table, which) => {
    const full = `create trigger full_disk before insert or update on password_grant.${table}
      for each row execute function public.disk_full()`
    await own.database.script(full)
    const send = which === 'right' ? signInFrom : guess
    for (let turn = 0; turn < 7; turn += 1) {
      const response = await send(own.app, asking, newNetwork())
      expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable'])
      expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    }
    await own.database.script(`drop trigger full_disk on password_grant.${table}`)
    expect((await signInFrom(own.app, asking, newNetwork())).statusCode).toBe(200)
  })

  test.each([
    ['failures', [signInFrom, guess, guess, guess, guess, guess, guess]],
    ['guesses', [guess, guess, guess, guess, guess, guess]],
    ['known_networks', [signInFrom]],
  ])('is an outage, too, without %s', async (table, sends) => {
    const rename = (from: string, to: string) =>
      own.database.script(`alter table password_grant.${from} rename to ${to}`)
    await rename(table, 'gone')
    for (const send of sends) {
      const response = await send(own.app, asking, newNetwork())
      expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable'])
    }
    await rename('gone', table)
    expect((await signInFrom(own.app, asking, newNetwork())).statusCode).toBe(200)
  })
})

test('a database that is away is never a verdict, nor a wait', async () => {
  const target = await serverBeside(`postgres://nobody@127.0.0.1:${await freePort()}/away`, behindProxy)
  const asking = await addAsking()
  for (const send of [guess, guess, guess, guess, guess, guess, signInFrom]) {
    const response = await send(target, asking, newNetwork())
    expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable'])
  }
})

describe('the stored data', async () => {
  const own = await testServer({ ...behindProxy, encryptionKey: generateBytes(32) })
  const client = await addClient(own.database)

  const readRows = async () => {
    const rows: Record<string, string[]> = {}
    for (const table of ['failures', 'guesses', 'known_networks', 'network_names']) {
      const found = await own.database.script<{ row: string }>(`select t::text as row from password_grant.${table} t`)
      rows[table] = found.map(({ row }) => row)
    }
    return rows
  }

  test('holds no name, no address and no hash of either that could be guessed', async () => {
    const user = await addUser(own.database, { name: `Åda-${randomWord()}` })
    const sources = ['203.0.113.77', '2001:db8:7:8::9']
    for (const from of sources) {
      await guess(own.app, { client, user }, from)
      await signInFrom(own.app, { client, user }, from)
      await guess(own.app, { client, user }, from)
      await signInFrom(own.app, { client, user }, from, basic(client.id, keepSecret(randomWord())))
    }
    const stored = await readRows()
    for (const [table, rows] of Object.entries(stored)) expect(rows.length, table).toBeGreaterThan(0)
    const text = Object.values(stored).flat().join('\n')
    const names = [user.name, user.name.toLowerCase(), user.id, client.id]
    const networks = [...sources, '2001:db8:7:8', '2001:db8:7:8::', '2001:db8:7:8::/64', '203.0.113.77/32']
    const parts = [...names, ...networks, 'user', 'pair', 'client']
    const likely = [
      ...parts,
      ...['\n', ':', ' ', '', '|'].flatMap((between) =>
        names.flatMap((name) => [
          ...networks.flatMap((network) => [
            `${name}${between}${network}`,
            `${network}${between}${name}`,
            `pair${between}${name}${between}${network}`,
            `client${between}${name}${between}${network}`,
          ]),
          `user${between}${name}`,
          `client${between}${name}`,
        ]),
      ),
    ]
    for (const plain of [user.name, user.name.toLowerCase(), client.id, ...networks]) expect(text).not.toContain(plain)
    for (const plain of likely) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        expect(text).not.toContain(hash('sha256', plain, encoding))
      }
    }
  })

  test('differs for every encryption key, and without one', async () => {
    const asking = { client, user: await addUser(own.database) }
    const from = newNetwork()
    await own.database.script('delete from password_grant.failures')
    const keys = [generateBytes(32), generateBytes(32), undefined]
    for (const encryptionKey of keys) {
      const target = await serverBeside(own.url, { ...behindProxy, encryptionKey })
      expect((await guess(target, asking, from)).statusCode).toBe(400)
    }
    expect((await readFailures(own.database)).map(({ count }) => count)).toEqual([1, 1, 1])
    const again = await serverBeside(own.url, { ...behindProxy, encryptionKey: undefined })
    await guess(again, asking, from)
    expect((await readFailures(own.database)).map(({ count }) => count)).toEqual([2, 1, 1])
  })

  test('of networks is removed with the user', async () => {
    const [gone, stays] = [await addUser(own.database), await addUser(own.database)]
    for (const user of [gone, stays]) await signInFrom(own.app, { client, user }, newNetwork())
    await removeUser(own.database.writes, gone.name)
    const known = await own.database.script<{ id: string }>('select user_id as id from password_grant.known_networks')
    const ids = known.map(({ id }) => id)
    expect(ids).toContain(stays.id)
    expect(ids).not.toContain(gone.id)
  })
})

describe('each number of the throttle', async () => {
  const { database, url } = await freshDatabase()
  afterAll(() => database.close())
  const { writes: query, script } = database
  const { id: userId } = await addUser(database)

  const throttleWith = (options: Partial<ThrottleOptions> = {}) =>
    createThrottle(query, undefined, { ...defaultThrottleOptions, ...options })
  const attemptAt = async (name: string, from: string, options: Partial<ThrottleOptions> = {}) => {
    const throttle = throttleWith(options)
    const attempt = await throttle.nameUserAttempt(name, from)
    const state = await throttle.check(attempt)
    requireNoWait(state.waitSeconds)
    return { throttle, attempt, state }
  }
  const fail = async (name: string, from: string, options: Partial<ThrottleOptions> = {}) =>
    outcomeOf(
      attemptAt(name, from, options).then(async ({ throttle, attempt, state }) =>
        requireNoWait(await throttle.recordFailure(attempt, state)),
      ),
    )
  const succeed = async (name: string, from: string, options: Partial<ThrottleOptions> = {}) => {
    const { throttle, attempt } = await attemptAt(name, from, options)
    await database.transaction((query) => throttle.recordSignIns(query, [{ attempt, userId }]))
  }

  /** What was decided: null where it may be told. */
  async function outcomeOf(decision: Promise<unknown>): Promise<string | null> {
    return decision.then(
      () => null,
      ({ code }: { code: string }) => code,
    )
  }
  const latest = async () => (await readFailures(database))[0]
  const waitOf = async () => {
    const wait = (await latest())?.wait
    return wait === null || wait === undefined ? null : Math.round(wait)
  }

  test('is as documented, unless told otherwise', () => {
    expect(defaultThrottleOptions).toEqual({
      freeAttempts: 5,
      longestWaitSeconds: 900,
      forgetSeconds: 3_600,
      strangersLimit: 100,
      strangersSourceLimit: 10,
      strangersSeconds: 3_600,
      networkNames: 100,
      knownNetworkDays: 30,
    })
  })

  test('freeAttempts: the number of attempts without a wait', async () => {
    const [name, from] = [randomWord(), newNetwork()]
    await fail(name, from, { freeAttempts: 2 })
    expect(await waitOf()).toBe(null)
    await fail(name, from, { freeAttempts: 2 })
    expect(await waitOf()).toBe(1)
    await fail(randomWord(), from, { freeAttempts: 1 })
    expect(await waitOf()).toBe(1)
  })

  test('longestWaitSeconds: the limit of the growing waits', async () => {
    const [name, from] = [randomWord(), newNetwork()]
    await fail(name, from)
    await script('update password_grant.failures set count = 9 where count = 1')
    await fail(name, from, { longestWaitSeconds: 7 })
    expect(await waitOf()).toBe(7)
  })

  test.each([
    ['9 seconds', 2],
    ['11 minutes', 1],
  ])('forgetSeconds: %s later there are %i', async (interval, count) => {
    const [name, from] = [randomWord(), newNetwork()]
    const options = { forgetSeconds: 600 }
    await fail(name, from, options)
    await moveFailures(interval, database)
    await fail(name, from, options)
    expect((await latest())?.count).toBe(count)
  })

  test('forgetSeconds: does not shorten a longer wait', async () => {
    const [name, from] = [randomWord(), newNetwork()]
    const options = { freeAttempts: 1, forgetSeconds: 60 }
    await fail(name, from, options)
    await script(
      `update password_grant.failures
      set failed_at = now() - interval '2 minutes', wait_until = now() + interval '1 hour'
      where count = 1`,
    )
    expect(await outcomeOf(attemptAt(name, from, options))).toBe('slow_down')
    expect(await fail(name, from, options)).toBe('slow_down')
  })

  test('strangersLimit and strangersSeconds: the number of guesses and their period', async () => {
    const name = randomWord()
    const options = { strangersLimit: 2, strangersSeconds: 600 }
    const told = []
    for (let turn = 0; turn < 4; turn += 1) told.push(await fail(name, newNetwork(), options))
    expect(told).toEqual([null, null, 'slow_down', 'slow_down'])
    await script("update password_grant.guesses set guessed_at[1] = guessed_at[1] - interval '11 minutes'")
    expect([await fail(name, newNetwork(), options), await fail(name, newNetwork(), options)]).toEqual([
      null,
      'slow_down',
    ])
  })

  test.each([
    [1, null],
    [3, 'slow_down'],
  ])('knownNetworkDays: %i days after a sign-in: %s', async (days, outcome) => {
    const [name, home] = [randomWord(), newNetwork()]
    const options = { strangersLimit: 1, knownNetworkDays: 2 }
    await succeed(name, home, options)
    await fail(name, newNetwork(), options)
    await script('update password_grant.known_networks set signed_in_at = signed_in_at - make_interval(days => $1)', [
      days,
    ])
    expect(await outcomeOf(attemptAt(name, home, options))).toBe(outcome)
  })

  test('keeps its default where only others are set', async () => {
    const server = await serverBeside(url, { ...behindProxy, throttle: { longestWaitSeconds: 3 } })
    const asking = { client: await addClient(database), user: await addUser(database) }
    const from = newNetwork()
    expect(await guessTimes(5, server, asking, from)).toEqual(fiveTold)
    expect(await waitOf()).toBe(1)
    await script('update password_grant.failures set count = 8, wait_until = null where count = 5')
    await guess(await serverBeside(url, { ...behindProxy, throttle: { longestWaitSeconds: 3 } }), asking, from)
    expect(await waitOf()).toBe(3)
  })
})

describe('an outdated count', async () => {
  const { database, url } = await freshDatabase()
  afterAll(() => database.close())
  const { writes: query, script } = database
  const { id: userId } = await addUser(database)
  const keyOf = (name: string) => name.padEnd(43, '-')

  const kept = ['a wait that runs', 'failed lately', 'guess of this hour', 'known lately', 'one of two is of this hour']
  const over = ['failed long ago', 'guess of before', 'wait long over', 'known long ago']

  async function makeRows(): Promise<void> {
    const failure = (name: string, failed: string, wait: string | null) =>
      script(
        `insert into password_grant.failures (key, count, failed_at, wait_until)
        values ($1, 5, now() - $2::interval, now() + $3::interval)`,
        [keyOf(name), failed, wait],
      )
    await failure('failed lately', '59 minutes', null)
    await failure('failed long ago', '61 minutes', null)
    await failure('wait long over', '61 minutes', '-60 minutes')
    await failure('a wait that runs', '61 minutes', '1 minute')
    const guesses = (name: string, ...ages: string[]) =>
      script(
        `insert into password_grant.guesses (key, guessed_at)
        select $1, array(select now() - age::interval from unnest($2::text[]) age)`,
        [keyOf(name), ages],
      )
    await guesses('guess of this hour', '59 minutes')
    await guesses('one of two is of this hour', '61 minutes', '59 minutes')
    await guesses('guess of before', '62 minutes', '61 minutes')
    const network = (name: string, days: number) =>
      script('insert into password_grant.known_networks values ($1, $2, now() - make_interval(days => $3))', [
        keyOf(name),
        userId,
        days,
      ])
    await network('known lately', 29)
    await network('known long ago', 31)
  }

  async function readNames(): Promise<string[]> {
    const rows = await script<{ key: string }>(
      `select key from password_grant.failures union all select key from password_grant.guesses
      union all select key from password_grant.known_networks`,
    )
    return rows.map(({ key }) => key.replace(/-+$/, '')).toSorted()
  }

  const emptied = () =>
    script(
      `delete from password_grant.failures; delete from password_grant.guesses;
      delete from password_grant.known_networks`,
    )

  test('is removed by a purge, which removes nothing else', async () => {
    await makeRows()
    expect(await readNames()).toEqual([...kept, ...over].toSorted())
    await purgeAttempts(query, defaultThrottleOptions, new AbortController().signal)
    expect(await readNames()).toEqual(kept.toSorted())
    await emptied()
  })

  test('is removed when a server starts', async () => {
    await makeRows()
    await serverBeside(url, {})
    await eventually(readNames, (names) => !names.some((name) => over.includes(name)))
    expect(await readNames()).toEqual(kept.toSorted())
    await emptied()
  })

  test("is removed by a server's own numbers", async () => {
    await makeRows()
    await serverBeside(url, { throttle: { forgetSeconds: 60, strangersSeconds: 60, knownNetworkDays: 1 } })
    expect(await eventually(readNames, ({ length }) => length === 1)).toEqual(['a wait that runs'])
    await emptied()
  })
})

describe('a server without a throttle', () => {
  test('checks every guess and records none', async () => {
    const { app, database } = await testServer({ ...behindProxy, throttle: false })
    const asking = { client: await addClient(database), user: await addUser(database) }
    const from = newNetwork()
    expect(await guessTimes(8, app, asking, from)).toEqual([...fiveTold, 400, 400, 400])
    const wrong = basic(client.id, keepSecret(randomWord()))
    for (let turn = 0; turn < 8; turn += 1) expect((await signInFrom(app, asking, from, wrong)).statusCode).toBe(401)
    expect((await signInFrom(app, asking, from)).statusCode).toBe(200)
    for (const table of ['failures', 'guesses', 'known_networks']) {
      expect(await database.script(`select from password_grant.${table}`), table).toEqual([])
    }
  })
})
