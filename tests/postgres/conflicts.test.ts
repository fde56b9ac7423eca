import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { changeUser } from '../../src/users/register-user.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { runOn } from '../support/test-cluster.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

describe('a deadlock', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)

  /** Another session, in a transaction, that PostgreSQL will not choose to end a deadlock. */
  async function openRival(): Promise<pg.Client> {
    const rival = new pg.Client({ connectionString: url })
    await rival.connect()
    onTestFinished(() => rival.end())
    await rival.query("set deadlock_timeout = '1h'; begin")
    return rival
  }

  const untilSomebodyWaits = () =>
    eventually(
      () =>
        runOn(url, [`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`]),
      (waiting) => waiting.length > 0,
    )
  const lock = (table: string) => `select from password_grant.${table} where id = $1 for update`

  test('does not fail a sign-in', async () => {
    const user = await addUser(database)
    const rival = await openRival()
    await rival.query(lock('clients'), [client.id])
    const signingIn = askForToken(app, { client, user }) // locks the user and waits for the client
    await untilSomebodyWaits()
    await rival.query(lock('users'), [user.id]) // has it as soon as the sign-in was broken off
    await rival.query('commit')
    const answered = await signingIn
    expect(answered.statusCode).toBe(200)
    expect((await askWhose(app, answered.json().access_token)).statusCode).toBe(200)
    const [broken] = await runOn(url, ['select deadlocks from pg_stat_database where datname = current_database()'])
    expect(Number(broken?.['deadlocks'])).toBe(1)
  })

  test('does not fail a transaction, which restarts from its beginning', async () => {
    const [first, second] = [await addUser(database), await addUser(database)]
    const rival = await openRival()
    await rival.query(lock('users'), [second.id])
    let runs = 0
    let rivals: Promise<unknown> = Promise.resolve()
    const role = await database.transaction(async (query) => {
      runs += 1
      await query('hurry', "set local deadlock_timeout = '10ms'")
      await changeUser(query, first.name, { role: `run ${runs}` })
      if (runs === 1) {
        rivals = rival.query(lock('users'), [first.id]).then(() => rival.query('commit'))
        await untilSomebodyWaits()
      }
      return (await changeUser(query, second.name, { role: `run ${runs}` })).role
    })
    await rivals
    expect({ runs, role }).toEqual({ runs: 2, role: 'run 2' })
    const roles = await runOn(url, [
      `select role from password_grant.users where id in ('${first.id}', '${second.id}')`,
    ])
    expect(roles).toEqual([{ role: 'run 2' }, { role: 'run 2' }])
  })
})

describe('a serialization failure', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)

  /** Raised by the next statements on a table, the given number of times; a sequence keeps its count after a rollback. */
  async function failNext(times: number, table: string) {
    await runOn(url, [
      `drop sequence if exists tries; create sequence tries;
      create or replace function fail_at_first() returns trigger language plpgsql as $$
      begin
        if nextval('public.tries') <= ${times} then raise exception using errcode = '40001'; end if;
        return new;
      end $$;
      create trigger failing before insert or update on password_grant.${table}
      for each row execute function fail_at_first()`,
    ])
    onTestFinished(async () => {
      await runOn(url, [`drop trigger failing on password_grant.${table}`])
    })
    return async () => Number((await runOn(url, ['select last_value from tries']))[0]?.['last_value'])
  }

  test('is retried by a sign-in, three attempts in all', async () => {
    const user = await addUser(database)
    const countTries = await failNext(2, 'tokens')
    expect((await askForToken(app, { client, user })).statusCode).toBe(200)
    expect(await countTries()).toBe(3)
  })

  test('is an outage after the third attempt, never a verdict', async () => {
    const user = await addUser(database)
    const countTries = await failNext(1_000, 'tokens')
    const answered = await askForToken(app, { client, user })
    expect({ status: answered.statusCode, retry: answered.headers['retry-after'], body: answered.json() }).toEqual({
      status: 503,
      retry: expect.stringMatching(/^[1-9]\d*$/),
      body: { error: 'temporarily_unavailable', error_description: expect.any(String) },
    })
    expect(await countTries()).toBe(3)
  })

  test.each([
    [2, 'works'],
    [3, 'is an outage'],
  ])('of a transaction is retried: after %i failures it %s', async (times, outcome) => {
    const user = await addUser(database)
    const countTries = await failNext(times, 'users')
    const change = database.transaction((query) => changeUser(query, user.name, { role: 'Changed' }))
    const said = await change.then(
      () => 'works',
      ({ code }) => (code === 'temporarily_unavailable' ? 'is an outage' : code),
    )
    expect(said).toBe(outcome)
    expect(await countTries()).toBe(3)
  })
})
