// Any PostgreSQL: the tests bring their own and take it away
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { registerUser } from '../../src/users/register-user.ts'
import { patience } from '../support/fresh-database.ts'
import { makeCluster, type OwnCluster } from '../support/own-cluster.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { readyServer, type ServerProcess, startServer } from '../support/processes.ts'
import { type Answered, ask, eventually, signInAt, whoseAt } from '../support/wire.ts'

type Person = { name: string; password: string }

describe('a server whose PostgreSQL goes away and comes back', () => {
  let cluster: OwnCluster
  let server: ServerProcess
  let client: { id: string; secret: string }
  let steady: Person

  beforeAll(async () => {
    cluster = await makeCluster()
    await cluster.start()
    await withDatabase(async (database) => {
      await migrate(database)
      client = await addClient(database)
      steady = await addUser(database)
    })
    server = await readyServer({ environment: { DATABASE_URL: cluster.url } })
  })
  afterAll(async () => {
    await server?.end()
    await cluster?.remove()
  })

  test.each([
    ['is shut down', 'SIGINT'],
    ['is shut down without a checkpoint', 'SIGQUIT'],
    ['is killed', 'SIGKILL'],
  ] as const)('reports an outage while it %s, and recovers by itself without losing a token', async (_how, signal) => {
    const token = (await signInAt(server.url, { client, user: steady })).body.access_token
    const people = await withDatabase((database) => addPeople(database, 600))
    const given: string[] = []
    const seen = new Set<number>()
    let isOver = false

    const signInInTurn = async () => {
      for (let user = people.pop(); user && !isOver; user = people.pop()) {
        const answered = await signInAt(server.url, { client, user })
        seen.add(answered.status)
        if (answered.status === 200) given.push(answered.body.access_token)
        else expectOutage(answered)
      }
    }
    const checkAgain = async () => {
      while (!isOver) {
        const answered = await whoseAt(server.url, token)
        seen.add(answered.status)
        if (answered.status !== 200) expectOutage(answered)
      }
    }
    const load = Promise.all([signInInTurn(), signInInTurn(), signInInTurn(), checkAgain(), checkAgain()])
    await eventually(
      async () => given.length,
      (count) => count >= 20,
    )
    await cluster.stop(signal)

    expectOutage(await signInAt(server.url, { client, user: steady }))
    expectOutage(await signInAt(server.url, { client: { id: 'nobody', secret: 'at all' }, user: steady }))
    expectOutage(await signInAt(server.url, { client, user: { ...steady, password: 'wrong' } }))
    expectOutage(await whoseAt(server.url, token))
    expect((await ask(`${server.url}/health/live`)).status).toBe(200)
    const { status, headers, body } = await ask(`${server.url}/health/ready`)
    expect({ status, retry: headers.get('retry-after'), body }).toEqual({
      status: 503,
      retry: expect.stringMatching(/^[1-9]\d*$/),
      body: { status: 'not ready', reason: 'the database is away' },
    })

    await cluster.start()
    await eventually(
      async () => (await ask(`${server.url}/health/ready`)).status,
      (status) => status === 200,
    )
    isOver = true
    await load
    expect([...seen].toSorted()).toEqual([200, 503])
    const found = await Promise.all([token, ...given].map((value) => whoseAt(server.url, value)))
    expect(found.filter(({ status }) => status !== 200)).toEqual([])
    expect((await signInAt(server.url, { client, user: steady })).status).toBe(200)
  })

  test('refuses an impossible token without asking the database', async () => {
    await cluster.stop('SIGINT')
    expect((await whoseAt(server.url, 'mistyped')).status).toBe(401)
    expect((await ask(`${server.url}/userinfo`)).status).toBe(401)
    expect((await ask(`${server.url}/Token`, { method: 'PUT' })).status).toBe(405)
    await cluster.start()
  })

  test('reports an outage when PostgreSQL accepts connections but no longer answers', async () => {
    const before = (await signInAt(server.url, { client, user: steady })).body.access_token
    expect((await whoseAt(server.url, before)).status).toBe(200)
    const token = (await signInAt(server.url, { client, user: steady })).body.access_token // not remembered yet
    await cluster.freeze()
    try {
      const asked = [signInAt(server.url, { client, user: steady }), whoseAt(server.url, token)]
      for (const answered of await Promise.all(asked)) expectOutage(answered)
      expect((await ask(`${server.url}/health/live`)).status).toBe(200)
    } finally {
      cluster.thaw()
    }
    await eventually(
      async () => (await whoseAt(server.url, token)).status,
      (status) => status === 200,
    )
  })

  test('stays the same process throughout', () => {
    expect(() => process.kill(server.pid, 0)).not.toThrow()
  })

  async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const database = await openDatabase(cluster.url, { timeouts: patience })
    try {
      return await work(database)
    } finally {
      await database.close()
    }
  }
})

describe('a server that starts while its PostgreSQL is away', () => {
  let cluster: OwnCluster

  beforeAll(async () => {
    cluster = await makeCluster()
  })
  afterAll(() => cluster?.remove())

  test('waits, logs it, and serves as soon as PostgreSQL is there', async () => {
    const starting = startServer({ environment: { DATABASE_URL: cluster.url } })
    const line = await starting.until((text) => /database.*away.*trying again/.test(text))
    expect(JSON.parse(line)).toMatchObject({ level: 40, event: 'database' })
    await cluster.start()
    const { url } = await starting.ready
    expect((await ask(`${url}/health/ready`)).status).toBe(200)
    await starting.end()
    await cluster.stop('SIGINT')
  })

  test('gives up after DATABASE_WAIT_SECONDS with exit code 1 and the cause', async () => {
    const starting = startServer({ environment: { DATABASE_URL: cluster.url, DATABASE_WAIT_SECONDS: '1' } })
    expect(await starting.exited).toBe(1)
    expect(starting.stderr()).toMatch(/^The service cannot answer right now.*\n {2}database away: .*ENOENT/)
    expect(starting.lines.join('\n')).not.toContain('ready on')
  })

  test('does not wait after a fault that time cannot fix', async () => {
    await cluster.start()
    const environment = { DATABASE_URL: cluster.url.replace('/postgres?', '/missing?') }
    const starting = startServer({ environment })
    expect(await starting.exited).toBe(1)
    expect(starting.stderr()).toContain('database "missing" does not exist')
    const isAboutRoot = (line: string) => line.includes('"event":"root"')
    expect(starting.lines.filter((line) => !isAboutRoot(line))).toEqual([])
  })
})

function expectOutage({ status, headers, body }: Answered): void {
  expect({ status, retry: headers.get('retry-after'), body }).toEqual({
    status: 503,
    retry: expect.stringMatching(/^[1-9]\d*$/),
    body: { error: 'temporarily_unavailable', error_description: expect.any(String) },
  })
}

async function addPeople(database: Database, count: number): Promise<Person[]> {
  const password = randomWord()
  const passwordHash = await (await createPasswords(cheapPasswords)).hash(password)
  return database.transaction(async (query) => {
    const people: Person[] = []
    while (people.length < count) {
      const { name } = await registerUser(query, { name: `user-${randomWord()}`, passwordHash })
      people.push({ name, password })
    }
    return people
  })
}
