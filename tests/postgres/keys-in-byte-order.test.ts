import { readFileSync } from 'node:fs'
import pg from 'pg'
import { pino } from 'pino'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { findCollationChanges } from '../../src/database/collation-changes.ts'
import type { Database } from '../../src/database/database.ts'
import { codeVersion, migrate } from '../../src/database/migrate.ts'
import { createServer } from '../../src/server.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { migrateTo } from '../support/old-schema.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, runCommand } from '../support/processes.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { runOn } from '../support/test-cluster.ts'
import { plainOptions } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

async function databaseAt5(): Promise<{ database: Database; url: string }> {
  const fresh = await freshDatabase({ isMigrated: false })
  onTestFinished(() => fresh.database.close())
  await migrateTo(5, fresh.url)
  await addNewFunctions(fresh.url)
  return fresh
}

/** Functions that this code calls and a server of version 5 does not: the tests are about tables. */
async function addNewFunctions(url: string): Promise<void> {
  const file = new URL('../../sql/008.do.throttle-buckets-and-hash-costs.sql', import.meta.url)
  await runOn(url, ['set search_path = pg_catalog', readFileSync(file, 'utf8').split('create index')[0] ?? ''])
}

async function serverOn(database: Database) {
  const app = await createServer(database, pino({ level: 'silent' }), plainOptions)
  onTestFinished(() => app.close())
  return app
}

/** Rows enough for an index with several levels, in an order that shows. */
async function fill(url: string, count: number): Promise<void> {
  await runOn(url, [
    "insert into password_grant.clients (id, is_public) select 'client-' || n, true from generate_series(1, 100) n",
    `insert into password_grant.users (id, name, name_key)
    select gen_random_uuid(), 'user-' || n, 'user-' || n from generate_series(1, ${count}) n`,
    `insert into password_grant.tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
    select gen_random_uuid(), id, name, 'client-1', sha256(name::bytea), now(), now() + interval '1 day'
    from password_grant.users`,
  ])
}

describe('every key of the schema', () => {
  test('is compared byte by byte in each index under any collation', async () => {
    const { database } = await freshDatabase()
    onTestFinished(() => database.close())
    const others = await database.script(
      `select indexrelid::regclass::text as index
      from pg_index join pg_class c on c.oid = indrelid, unnest(indcollation::oid[]) used
      where c.relnamespace = 'password_grant'::regnamespace and used not in (0, '"C"'::regcollation)`,
    )
    expect(others).toEqual([])
  })
})

describe('a database of version 5 whose name index disagrees with its collation', () => {
  let database: Database
  let url: string
  const people: { name: string; password: string }[] = []
  let client: { id: string; secret: string }

  beforeAll(async () => {
    const fresh = await freshDatabase({ isMigrated: false })
    database = fresh.database
    url = fresh.url
    await migrateTo(5, url)
    await addNewFunctions(url)
    client = await addClient(database)
    await fill(url, 2_000)
    for (let count = 0; count < 20; count += 1) people.push(await addUser(database))
    // what an update of libc or ICU leaves behind: an index that was built by other rules than those it is read by
    await runOn(url, [
      'alter table password_grant.users drop constraint users_name_key',
      'create unique index users_name_key on password_grant.users (name_key desc)',
      "update pg_index set indoption = '0' where indexrelid = 'password_grant.users_name_key'::regclass",
      'alter table password_grant.users add constraint users_name_key unique using index users_name_key',
    ])
    return () => database.close()
  })

  test('finds its users only after the migration, and then all of them', async () => {
    const app = await serverOn(database)
    const signInAll = () => Promise.all(people.map((user) => askForToken(app, { client, user })))
    const before = await signInAll()
    expect(before.filter(({ statusCode }) => statusCode === 400).length).toBeGreaterThan(10)
    await runOn(url, ['truncate password_grant.failures, password_grant.guesses'])
    expect(await migrate(database)).toMatchObject({ version: codeVersion })
    const later = await serverOn(database) // the first one remembers waits
    const after = await Promise.all(people.map((user) => askForToken(later, { client, user })))
    expect(after.map(({ statusCode }) => statusCode)).toEqual(people.map(() => 200))
  })
})

describe('a migration of a database with rows', () => {
  test('names the index with duplicates that a collation change hid, and continues once they are gone', async () => {
    const { database, url } = await databaseAt5()
    await runOn(url, [
      'alter table password_grant.users drop constraint users_name_key',
      `insert into password_grant.users (id, name, name_key) select gen_random_uuid(), 'twin', 'twin' from generate_series(1, 2)`,
    ])
    await expect(migrate(database)).rejects.toThrow(
      /^The index users_name_key_c cannot be built, since two rows have the same key/,
    )
    await runOn(url, [
      'delete from password_grant.users where ctid = (select max(ctid) from password_grant.users)',
      'alter table password_grant.users add constraint users_name_key unique (name_key)',
    ])
    expect(await migrate(database)).toEqual({ applied: [6, 7].concat(rest()), version: codeVersion })
  })

  test('replaces the remains of an interrupted build', async () => {
    const { database, url } = await databaseAt5()
    await fill(url, 10)
    await runOn(url, [
      'create index users_name_key_c on password_grant.users (role)',
      "update pg_index set indisvalid = false where indexrelid = 'password_grant.users_name_key_c'::regclass",
    ])
    await migrate(database)
    const [index] = await runOn(url, [
      "select pg_get_indexdef('password_grant.users_name_key'::regclass) as definition",
    ])
    expect(index?.['definition']).toContain('(name_key)')
  })

  test('blocks no read or write while it builds indexes or waits for a lock', async () => {
    const { database, url } = await databaseAt5()
    await fill(url, 20_000)
    const app = await serverOn(database)
    const asking = { client: await addClient(database), user: await addUser(database) }
    const reader = new pg.Client({ connectionString: url })
    await reader.connect()
    onTestFinished(() => reader.end())
    await reader.query('begin; select from password_grant.users limit 1') // holds every build and every change of the table
    let isDone = false
    const migrating = migrate(database).finally(() => {
      isDone = true
    })
    migrating.catch(() => undefined)
    await eventually(
      async () => runOn(url, ["select to_regclass('password_grant.users_name_key_c') as built"]),
      ([row]) => row?.['built'] !== null,
    )
    for (let turn = 0; turn < 10; turn += 1) {
      const token = (await askForToken(app, asking)).json().access_token
      expect((await askWhose(app, token)).statusCode).toBe(200)
    }
    expect(isDone).toBe(false)
    await reader.query('commit')
    const refused: number[] = []
    while (!isDone) {
      const { statusCode } = await askForToken(app, asking)
      if (statusCode !== 200) refused.push(statusCode)
    }
    await migrating
    expect(refused.length).toBeLessThanOrEqual(2) // idle connections were ended, and one may have been in use again by then
    expect(refused.filter((status) => status !== 503)).toEqual([])
    expect((await askForToken(app, asking)).statusCode).toBe(200)
  })

  test('runs once among several processes', async () => {
    const { url } = await databaseAt5()
    await fill(url, 1_000)
    const environment = { DATABASE_URL: url }
    const ended = await Promise.all(Array.from({ length: 4 }, () => runCommand(['migrate', '--json'], { environment })))
    expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(ended.map(() => ({ code: 0, stderr: '' })))
    const applied: number[] = ended.flatMap(({ stdout }) => JSON.parse(stdout).applied)
    expect(applied.toSorted()).toEqual([6, 7].concat(rest()))
  })
})

describe('a collation whose version changed', () => {
  test('is reported by `migrate` and at start with advice, and an unchanged one is not', async () => {
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const name = new URL(url).pathname.slice(1)
    expect(await findCollationChanges(database.writes)).toEqual([])
    await runOn(url, [`update pg_database set datcollversion = '0.1' where datname = '${name}'`])
    const sentence = expect.stringMatching(
      new RegExp(
        `^The collation of the database ${name} changed from version 0\\.1 to .*: indexes over text may miss rows.*` +
          `reindex database ${name}; alter database ${name} refresh collation version$`,
      ),
    )
    expect(await findCollationChanges(database.writes)).toEqual([sentence])
    const environment = { DATABASE_URL: url }
    const migrated = await runCommand(['migrate'], { environment })
    expect({ code: migrated.code, said: migrated.stderr.trim() }).toEqual({ code: 0, said: sentence })
    const { lines } = await readyServer({ environment })
    const warnings = lines.filter((line) => line.includes('"event":"collation"')).map((line) => JSON.parse(line))
    expect(warnings).toEqual([expect.objectContaining({ level: 40, msg: sentence })])
  })

  test('is reported where an index uses it', async () => {
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const icu = await runOn(url, ["select from pg_collation where collname = 'und-x-icu'"])
    if (icu.length === 0) return // this PostgreSQL was built without ICU
    await runOn(url, [
      'create table public.names (name text collate "und-x-icu" primary key)',
      `update pg_collation set collversion = '1' where collname = 'und-x-icu'`,
    ])
    expect(await findCollationChanges(database.writes)).toEqual([
      expect.stringMatching(
        /^The collation "und-x-icu", which an index uses, changed .*alter collation "und-x-icu" refresh version$/,
      ),
    ])
  })
})

function rest(): number[] {
  return Array.from({ length: codeVersion - 7 }, (_, index) => index + 8)
}
