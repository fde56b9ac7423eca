// Any PostgreSQL: the tests bring their own and freeze it
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { openDatabase, type PostgresOptions } from '../../src/database/postgres.ts'
import { openDatabaseProxy } from '../support/database-proxy.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { makeCluster } from '../support/own-cluster.ts'
import { addUser } from '../support/people.ts'
import { runOn } from '../support/test-cluster.ts'
import { eventually } from '../support/wire.ts'

const away = { code: 'temporarily_unavailable' }

async function open(options: PostgresOptions = {}): Promise<{ database: Database; url: string }> {
  const { database: made, url } = await freshDatabase()
  await made.close()
  const database = await openDatabase(url, options)
  onTestFinished(() => database.close())
  return { database, url }
}

const readLimits = `
  select current_setting('statement_timeout') as statement,
    current_setting('lock_timeout') as lock,
    current_setting('idle_in_transaction_session_timeout') as idle`
const limits = { statement: '3s', lock: '2s', idle: '10s' }
const noLimits = { statement: '0', lock: '0', idle: '0' }

describe('a statement', () => {
  test('has timeouts on every lane under any database defaults', async () => {
    const { database, url } = await open()
    await runOn(url, [`alter database ${new URL(url).pathname.slice(1)} set statement_timeout = '1h'`])
    expect(await database.writes('limits', readLimits)).toEqual([limits])
    expect(await database.lookups('limits', readLimits)).toEqual([limits])
    expect(await database.transaction((query) => query('limits', readLimits))).toEqual([limits])
  })

  test('of a script has no timeout', async () => {
    const { database } = await open({ connections: 1, timeouts: { statementMs: 100 } })
    expect(await database.script(readLimits)).toEqual([noLimits])
    await database.script('select pg_sleep(0.3)')
    await expect(database.writes('nap', 'select pg_sleep(0.3)')).rejects.toMatchObject(away)
  })

  test('of a transaction has no timeout after a script, as in a migration', async () => {
    const { database } = await open({ connections: 1, timeouts: { statementMs: 100, idleInTransactionMs: 100 } })
    const within = await database.transaction(async (query, script) => {
      await script('select pg_sleep(0.3)')
      await new Promise((resolve) => setTimeout(resolve, 300))
      return query('limits', readLimits)
    })
    expect(within).toEqual([noLimits])
    expect(await database.writes('limits', readLimits)).toEqual([{ ...limits, statement: '100ms', idle: '100ms' }])
  })
})

test('one query finds all silently dead connections', async () => {
  const cluster = await makeCluster()
  onTestFinished(() => cluster.remove())
  await cluster.start()
  const proxy = await openDatabaseProxy(cluster.socketPath)
  onTestFinished(() => proxy.close())
  const database = await openDatabase(proxy.url, { timeouts: { statementMs: 400, answerMs: 1_000 } })
  onTestFinished(() => database.close())
  const ask = () => database.writes('one', 'select 1 as one')
  await Promise.all(Array.from({ length: 8 }, ask))
  proxy.become('forgotten')
  await expect(ask()).rejects.toMatchObject(away)
  expect(await ask()).toEqual([{ one: 1 }])
})

describe('a timeout is an outage', () => {
  const timeouts = { connectionMs: 1_000, lockMs: 100, statementMs: 200, answerMs: 3_500, idleInTransactionMs: 100 }

  test.each<[string, (tools: { database: Database; url: string }) => Promise<unknown>, RegExp]>([
    ['of a statement', ({ database }) => database.writes('nap', 'select pg_sleep(5)'), /^database slow: .*statement/],
    ['of a check', ({ database }) => database.lookups('nap', 'select pg_sleep(5)'), /^database slow: .*statement/],
    ['of a lock', waitForLock, /^database slow: .*lock timeout/],
    ['of a connection that others hold', waitForConnection, /^database slow: timeout/],
    ['of a transaction that does nothing', idle, /^database away: /],
  ])('%s', async (_of, reach, reason) => {
    const tools = await open({ connections: 1, timeouts })
    const error = await reach(tools).catch((thrown) => thrown)
    expect(error).toMatchObject({ ...away, reason: expect.stringMatching(reason) })
    expect(await tools.database.writes('one', 'select 1 as one')).toEqual([{ one: 1 }])
  })

  async function waitForLock({ database, url }: { database: Database; url: string }) {
    const user = await addUser(database)
    const lock = `select from password_grant.users where id = '${user.id}' for update`
    const holder = new pg.Client({ connectionString: url })
    await holder.connect()
    onTestFinished(() => holder.end())
    await holder.query(`begin; ${lock}`)
    return database.writes('lock', lock)
  }

  async function waitForConnection({ database }: { database: Database }) {
    return database.transaction(() => database.writes('one', 'select 1 as one'))
  }

  async function idle({ database }: { database: Database }) {
    return database.transaction(async (query) => {
      await query('one', 'select 1 as one')
      await new Promise((resolve) => setTimeout(resolve, 300))
      return query('one', 'select 1 as one')
    })
  }
})

describe('a connection that is lost', () => {
  test('between two statements of a transaction is an outage that the process survives', async () => {
    const { database, url } = await open({ connections: 1 })
    const user = await addUser(database)
    const work = database.transaction(async (query) => {
      await query('rename', `update password_grant.users set role = 'Lost' where id = '${user.id}'`)
      const [session] = await query<{ pid: number }>('session', 'select pg_backend_pid() as pid')
      await runOn(url, [`select pg_terminate_backend(${session?.pid}, 5000)`])
      await new Promise((resolve) => setTimeout(resolve, 50)) // the loss is noticed while no request is under way
      return query('one', 'select 1 as one')
    })
    await expect(work).rejects.toMatchObject(away)
    expect(await database.writes('one', 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await runOn(url, [`select role from password_grant.users where id = '${user.id}'`])).toEqual([
      { role: 'Editor' },
    ])
  })
})

describe('connections to a database that became read-only', () => {
  test('are closed after the first refusal, since the name may resolve elsewhere by then', async () => {
    const { database, url } = await open()
    const name = new URL(url).pathname.slice(1)
    await runOn(url, [`alter database ${name} set default_transaction_read_only = on`])
    const nap = 'select pg_sleep(0.2)'
    await Promise.all(Array.from({ length: 4 }, () => database.writes('nap', nap)))
    await Promise.all(Array.from({ length: 4 }, () => database.lookups('nap', nap)))
    const countSessions = async () =>
      (
        await runOn(url, [
          `select from pg_stat_activity where application_name = 'password-grant' and datname = '${name}'`,
        ])
      ).length
    expect(await countSessions()).toBe(8)
    await runOn(url, [
      'set default_transaction_read_only = off',
      `alter database ${name} reset default_transaction_read_only`,
    ])
    const write = () => database.writes('write', 'delete from password_grant.tokens')
    await expect(write()).rejects.toMatchObject({ ...away, reason: expect.stringMatching(/^database read-only: /) })
    expect(await write()).toEqual([])
    await eventually(countSessions, (count) => count === 1)
  })
})
