// Any PostgreSQL: the tests bring their own and take it away
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createServer } from '../../src/server.ts'
import { createTokenCache, type TokenCache } from '../../src/tokens/token-cache.ts'
import { type DatabaseProxy, openDatabaseProxy } from '../support/database-proxy.ts'
import { patience } from '../support/fresh-database.ts'
import { leakedLines, logLines, readLog } from '../support/kept-secrets.ts'
import { makeCluster, type OwnCluster } from '../support/own-cluster.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { runOn } from '../support/test-cluster.ts'
import { plainOptions } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

/** Short, so that a state without answers does not delay the test. */
const timeouts = { connectionMs: 600, lockMs: 400, statementMs: 500, answerMs: 600 }

let cluster: OwnCluster
let proxy: DatabaseProxy

interface State {
  readonly enter: () => unknown
  readonly leave: () => unknown
  /** What the log calls it. */
  readonly logged: RegExp
  /** Whether tokens can be checked all the same. */
  readonly reads?: true
}

const away = /^database (away|slow): /

const states: Record<string, State> = {
  'has tables that somebody keeps locked': {
    enter: lockTables,
    leave: () => unlockTables(),
    logged: /^database slow: /,
  },
  'has been shut down': { enter: () => cluster.stop('SIGINT'), leave: () => cluster.start(), logged: away },
  'has been killed': { enter: () => cluster.stop('SIGKILL'), leave: () => cluster.start(), logged: away },
  'is frozen': { enter: () => cluster.freeze(), leave: () => cluster.thaw(), logged: away },
  'does not answer any more': { enter: () => proxy.become('silent'), leave: clearUp, logged: away },
  'answers too late': { enter: () => proxy.become({ lateMs: 1_500 }), leave: clearUp, logged: away },
  'breaks off in the middle of its answers': { enter: () => proxy.become('cutting'), leave: clearUp, logged: away },
  'resets its connections': { enter: () => proxy.become('resetting'), leave: clearUp, logged: away },
  'has a full disk': {
    enter: () => run(raising('53100'), failing),
    leave: () => run('drop trigger failing on password_grant.tokens'),
    logged: /^database full: /,
    reads: true,
  },
  'is read-only': {
    enter: () => run(`alter database postgres set ${readOnly} = on`, endSessions),
    leave: () => run(`set ${readOnly} = off`, `alter database postgres reset ${readOnly}`),
    logged: /^database read-only: /,
    reads: true,
  },
  'has more deadlocks than three tries get around': {
    enter: () => run(raising('40P01'), failing),
    leave: () => run('drop trigger failing on password_grant.tokens'),
    logged: /^database in conflict: /,
    reads: true,
  },
}

const readOnly = 'default_transaction_read_only'
const endSessions = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'password-grant'`
const failing = `
  create trigger failing before insert or update on password_grant.tokens
  for each row execute function fail()`
const raising = (sqlState: string) => `
  create or replace function fail() returns trigger language plpgsql as
  $$ begin raise exception using errcode = '${sqlState}', message = 'so the test wants it'; end $$`
const run = (...statements: string[]) => runOn(cluster.url, statements)

function clearUp(): void {
  proxy.become('clear')
}

const tables = ['clients', 'users', 'tokens', 'compatibility'].map((table) => `password_grant.${table}`)
let unlockTables: () => Promise<void> = async () => {}

async function lockTables(): Promise<void> {
  const locking = await openDatabase(cluster.url, { timeouts: patience })
  let isLocked = () => {}
  const locked = new Promise<void>((resolve) => {
    isLocked = resolve
  })
  const holding = locking.transaction(async (_query, script) => {
    await script(`lock table ${tables.join(', ')} in access exclusive mode`)
    isLocked()
    await new Promise<void>((resolve) => {
      unlockTables = async () => {
        resolve()
        await holding
        await locking.close()
      }
    })
  })
  await locked
}

describe('while the database', () => {
  let database: Database
  let app: FastifyInstance
  let leasing: TokenCache
  let hears = false
  let client: { id: string; secret: string }
  let steady: { name: string; password: string }
  let other: { name: string; password: string }

  beforeAll(async () => {
    cluster = await makeCluster()
    await cluster.start()
    proxy = await openDatabaseProxy(cluster.socketPath)
    const direct = await openDatabase(cluster.url, { timeouts: patience })
    await migrate(direct)
    client = await addClient(direct)
    steady = await addUser(direct)
    other = await addUser(direct)
    await direct.close()
    database = await openDatabase(proxy.url, { timeouts })
    app = await createServer(database, pino({ level: 'trace' }, logLines), plainOptions)
    leasing = createTokenCache(database, { seconds: 0, outageLeaseSeconds: 3600 })
    database.listen({
      onNotice: () => {},
      onListening: (isListening) => {
        hears = isListening
      },
    })
  })
  afterAll(async () => {
    await app?.close()
    await database?.close()
    await proxy?.close()
    await cluster?.remove()
    expect(leakedLines(), 'log lines with a secret in them').toEqual([])
  })

  const signIn = (user: { name: string; password: string }, by = client) => askForToken(app, { client: by, user })

  /** As soon as it works again, and it must without any help. */
  async function getToken(user: { name: string; password: string }): Promise<string> {
    const answered = await eventually(
      () => signIn(user),
      ({ statusCode }) => statusCode !== 503,
    )
    expect(answered.statusCode).toBe(200)
    return answered.json().access_token
  }

  const isReady = async () => (await app.inject('/health/ready')).statusCode === 200

  /** The first statements on ended sessions may notice the end. */
  async function untilNoticed({ logged }: State): Promise<void> {
    await eventually(
      async () => {
        expectOutage(await signIn(other))
        return String(readLog().at(-1)?.['reason'])
      },
      (reason) => logged.test(reason),
    )
  }

  test.each(Object.entries(states))(
    '%s, requests that need it get 503 and nothing else, and service resumes by itself',
    async (_, state) => {
      const [token, unleased] = [await getToken(steady), await getToken(other)]
      await eventually(async () => hears, Boolean) // a lease does not outlive its beginning
      await eventually(async () => 'token' in (await leasing.findToken(token).catch(() => ({}))), Boolean)
      const isChecked = async () => (await askWhose(app, token)).statusCode === 200
      await state.enter()
      try {
        if (state.reads) await untilNoticed(state)
        const linesBefore = readLog().length
        const asked = [
          signIn(other),
          ...(state.reads
            ? []
            : [
                signIn({ ...other, password: 'not the password' }),
                signIn(other, { id: 'nobody', secret: 'at all' }),
                askWhose(app, token),
                askWhose(app, unleased),
              ]),
        ]
        const answers = await Promise.all(asked)
        for (const answer of answers) expectOutage(answer)
        const logged = readLog().slice(linesBefore)
        const reasons = logged.filter(({ event }) => event === 'refusal').map(({ reason }) => reason)
        expect(reasons).toHaveLength(answers.length)
        for (const reason of reasons) expect(reason).toMatch(state.logged)

        expect((await app.inject('/health/live')).statusCode).toBe(200)
        if (!state.reads) expect((await app.inject('/health/ready')).statusCode).toBe(503)
        else await eventually(isReady, Boolean)
        if (state.reads) await eventually(isChecked, Boolean)
        expect(await leasing.findToken(token)).toMatchObject({ token: { userName: steady.name } })
      } finally {
        await state.leave()
      }
      const found = await eventually(
        () => askWhose(app, token),
        ({ statusCode }) => statusCode !== 503,
      )
      expect(found.json()).toMatchObject({ userName: steady.name })
      await getToken(other)
      await eventually(isReady, Boolean)
    },
  )

  test('is slow within the limits, requests succeed', async () => {
    proxy.become({ lateMs: 20 })
    const token = await getToken(steady)
    const { statusCode } = await eventually(
      () => askWhose(app, token),
      (answer) => answer.statusCode !== 503,
    )
    expect(statusCode).toBe(200)
    clearUp()
  })
})

function expectOutage(answer: LightMyRequestResponse): void {
  expect({ status: answer.statusCode, retry: answer.headers['retry-after'], body: answer.json() }).toEqual({
    status: 503,
    retry: expect.stringMatching(/^[1-9]\d*$/),
    body: { error: 'temporarily_unavailable', error_description: expect.any(String) },
  })
}
