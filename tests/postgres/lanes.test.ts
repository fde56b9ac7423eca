import { describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { Lane } from '../../src/database/lane.ts'
import { openDatabase, type PostgresOptions } from '../../src/database/postgres.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose, basic, bearer } from '../support/requests.ts'
import { makeRole } from '../support/roles.ts'
import { countSessions, runOn } from '../support/test-cluster.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

interface Setting {
  readonly name: string
  readonly setting: string
  readonly source: string
}

const relied = {
  default_transaction_isolation: 'read committed',
  idle_in_transaction_session_timeout: '10000',
  lock_timeout: '2000',
  search_path: 'pg_catalog',
  standard_conforming_strings: 'on',
  statement_timeout: '3000',
}
const unlimited = { ...relied, idle_in_transaction_session_timeout: '0', lock_timeout: '0', statement_timeout: '0' }

/** What a `set` on the connection left, and what the packet that opened it said of the settings that statements rely on. */
const readSettings = `
select name, setting, source from pg_settings
where source = 'session' or name = any ('{${Object.keys(relied).join()}}'::text[])
order by name`

const fromPacket = (settings: Record<string, string>) =>
  Object.entries(settings).map(([name, setting]) => ({ name, setting, source: 'client' }))

async function open(url: string, options: PostgresOptions = {}): Promise<Database> {
  const database = await openDatabase(url, options)
  onTestFinished(() => database.close())
  return database
}

describe('a connection', () => {
  test('gets its settings from its startup packet, never from a statement', async () => {
    const { url } = await freshDatabase()
    const database = await open(url, { connections: 1 })
    const read = () =>
      Promise.all([
        database.lookups<Setting>('read_settings', readSettings),
        database.writes<Setting>('read_settings', readSettings),
        database.script<Setting>(readSettings),
      ])
    const expected = [fromPacket(relied), fromPacket(relied), fromPacket(unlimited)]
    expect(await read()).toEqual(expected)
    await database.script('select 1; select 2')
    await database.transaction(async (query, script) => {
      await script('select 1; select 2')
      await query('one', 'select 1')
    })
    await expect(database.transaction((_query, script) => script('select 1 / 0'))).rejects.toThrow('division by zero')
    expect(await read()).toEqual(expected)
  })

  test('keeps the options of the URL and overrides those that the statements need', async () => {
    const { url } = await freshDatabase()
    const role = await makeRole(url, 'assumed')
    const given = new URL(url)
    const options = `-c role=${role.name} -c search_path=public --statement_timeout=7 -c geqo=off`
    given.searchParams.set('options', options)
    given.searchParams.set('statement_timeout', '7')
    given.searchParams.set('lock_timeout', '7')
    const database = await open(given.href)
    const [found] = await database.lookups<{ role: string; geqo: string }>(
      'find_role',
      "select current_user as role, current_setting('geqo') as geqo",
    )
    expect(found).toEqual({ role: role.name, geqo: 'off' })
    expect(await database.lookups('read_settings', readSettings)).toEqual(fromPacket(relied))
    expect(await database.script(readSettings)).toEqual(fromPacket(unlimited))
  })

  test('treats PGOPTIONS the same way', async () => {
    const { url } = await freshDatabase()
    vi.stubEnv('PGOPTIONS', '-c search_path=public -c geqo=off')
    onTestFinished(() => void vi.unstubAllEnvs())
    const database = await open(url)
    expect(await database.lookups('find_geqo', "select current_setting('geqo') as geqo")).toEqual([{ geqo: 'off' }])
    expect(await database.lookups('read_settings', readSettings)).toEqual(fromPacket(relied))
  })

  test('that lost its settings, as behind a pooler that drops them, is an outage with a reason', async () => {
    const lane = new Lane({ connectionString: inject('clusterUrl') }, () => undefined)
    onTestFinished(() => lane.end())
    await expect(lane.query('one', 'select 1 as one')).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      reason: expect.stringMatching(/the search path is not pg_catalog/),
    })
  })
})

describe('a look-up', () => {
  test.each([
    ['writes', 'delete from password_grant.tokens'],
    ['locks rows', 'select from password_grant.users for update'],
  ])('that %s is refused as a fault of this program, not as an outage', async (_what, text) => {
    const { database } = await freshDatabase()
    const error = await database.lookups('wrong', text).catch((thrown) => thrown)
    expect(error).toMatchObject({ message: 'a look-up writes; it belongs on another lane' })
    expect(error).not.toHaveProperty('code')
  })
})

describe('while a lock blocks every revocation', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)
  const user = await addUser(database)
  const others = await Promise.all(Array.from({ length: 20 }, () => addUser(database)))

  test('by clients and by users, token checks and sign-ins go on', async () => {
    const tokens: string[] = await Promise.all(
      others.map(async (other) => (await askForToken(app, { client, user: other })).json().access_token),
    )
    const token = (await askForToken(app, { client, user })).json().access_token
    const seats: { id: string }[] = await Promise.all(
      tokens.map(async (value) => (await app.inject({ url: '/seats', headers: bearer(value) })).json()[0]),
    )
    const revoked = await database.transaction(async (query) => {
      await query('hold', 'select from password_grant.tokens where user_id <> $1 for update', [user.id])
      const revoking = tokens.flatMap((value, number) => [
        app.inject({
          method: 'POST',
          url: '/revoke',
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(client.id, client.secret) },
          payload: `token=${value}`,
        }),
        app.inject({ method: 'DELETE', url: `/seats/${seats[number]?.id}`, headers: bearer(value) }),
      ])
      const countWaiting = () => countSessions(url, "wait_event_type = 'Lock'")
      await eventually(countWaiting, (count) => count === 2)
      expect((await askForToken(app, { client, user })).statusCode).toBe(200)
      expect((await askWhose(app, token)).statusCode).toBe(401)
      expect(await countWaiting()).toBe(2)
      return { revoking }
    })
    const statuses = (await Promise.all(revoked.revoking)).map(({ statusCode }) => statusCode)
    expect(statuses.filter((status) => status !== 200 && status !== 204 && status !== 404 && status !== 401)).toEqual(
      [],
    )
    expect(await runOn(url, ['select from password_grant.tokens where revoked_at is null'])).toHaveLength(1)
  })
})
