import { appendFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { codeVersion, migrate, schemaState } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { copyInstallation } from '../support/installations.ts'
import { addUser, randomWord } from '../support/people.ts'
import { readyServer, runCommand, startServer } from '../support/processes.ts'
import { ask, signInAt } from '../support/wire.ts'

const allVersions = Array.from({ length: codeVersion }, (_, index) => index + 1)

describe('migrating', () => {
  test('makes the tables of an empty database', async () => {
    const { database } = await emptyDatabase()
    expect(await schemaState(database.query)).toBe('not migrated')
    expect(await migrate(database)).toEqual({ applied: allVersions, version: codeVersion })
    expect(await schemaState(database.query)).toBe('current')
  })

  test('again does nothing and keeps every row', async () => {
    const { database } = await emptyDatabase()
    await migrate(database)
    const user = await addUser(database)
    expect(await migrate(database)).toEqual({ applied: [], version: codeVersion })
    expect(await database.query('', 'select name from password_grant.users')).toEqual([{ name: user.name }])
  })

  test('succeeds in twenty processes at once on an empty database, and happens in one of them', async () => {
    const { url } = await emptyDatabase()
    const environment = { DATABASE_URL: url }
    const ended = await Promise.all(
      Array.from({ length: 20 }, () => runCommand(['migrate', '--json'], { environment })),
    )
    expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(ended.map(() => ({ code: 0, stderr: '' })))
    const answers: { applied: number[]; version: number }[] = ended.map(({ stdout }) => JSON.parse(stdout))
    expect(answers.flatMap(({ applied }) => applied)).toEqual(allVersions)
    expect(answers.map(({ version }) => version)).toEqual(answers.map(() => codeVersion))
  })

  test('succeeds on twenty connections that all find the database empty', async () => {
    const { url } = await emptyDatabase()
    const databases = await Promise.all(Array.from({ length: 20 }, () => openDatabase(url, { connections: 1 })))
    onTestFinished(async () => {
      await Promise.all(databases.map((database) => database.close()))
    })
    const found = await Promise.all(databases.map(({ query }) => schemaState(query)))
    expect(found).toEqual(databases.map(() => 'not migrated'))
    const done = await Promise.all(databases.map((database) => migrate(database)))
    expect(done.flatMap(({ applied }) => applied)).toEqual(allVersions)
  })

  test('leaves nothing behind when a migration fails in the middle', async () => {
    const { database, url } = await emptyDatabase()
    const newer = await copyInstallation()
    await addMigration(newer, 'create table password_grant.half_done (id integer); select 1 / 0;')
    const { code, stderr } = await runCommand(['migrate'], { bin: newer.bin, environment: { DATABASE_URL: url } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'division by zero\n' })
    expect(await schemaState(database.query)).toBe('not migrated')
    expect(await readTables(database)).toEqual([])
  })
})

describe('a database that a newer version has migrated', () => {
  const adding = 'create table password_grant.of_the_future (id integer);'
  const breaking = `${adding} update password_grant.compatibility set oldest_code = ${codeVersion + 1};`

  test('serves this version as long as it admits it', async () => {
    const { url, database } = await upgradedBy(adding)
    const environment = { DATABASE_URL: url }
    expect(await migrate(database)).toEqual({ applied: [], version: codeVersion + 1 })
    const { url: address } = await readyServer({ environment })
    expect((await ask(`${address}/health/ready`)).status).toBe(200)
    const added = await runCommand(['client', 'add', 'a-client', '--json'], { environment })
    const user = await addUser(database)
    const client = { id: 'a-client', secret: JSON.parse(added.stdout).client_secret }
    expect((await signInAt(address, { client, user })).status).toBe(200)
  })

  test('refuses this version, with a sentence, when it no longer admits it', async () => {
    const { url, database } = await upgradedBy(breaking)
    const sentence =
      `The database was migrated to version ${codeVersion + 1} by a newer fastify-password-grant and admits code from ` +
      `version ${codeVersion + 1} on; this is ${codeVersion}. Upgrade this installation.`
    await expect(migrate(database)).rejects.toThrow(sentence)
    const environment = { DATABASE_URL: url }
    const migrating = await runCommand(['migrate'], { environment })
    expect(migrating).toEqual({ code: 1, stdout: '', stderr: `${sentence}\n` })
    const serving = startServer({ environment })
    expect(await serving.exited).toBe(1)
    expect(serving.stderr()).toBe(`${sentence}\n`)
    const notMigrating = startServer({ environment }, ['serve', '--no-migrate'])
    expect(await notMigrating.exited).toBe(1)
    expect(notMigrating.stderr()).toMatch(/^The database is too new for this version/)
  })

  test('turns a server of this version not ready while it runs', async () => {
    const { url } = await freshDatabase().then(closeAfterTest)
    const environment = { DATABASE_URL: url }
    const { url: address } = await readyServer({ environment })
    expect((await ask(`${address}/health/ready`)).status).toBe(200)
    await upgrade(url, breaking)
    const { status, body } = await ask(`${address}/health/ready`)
    expect({ status, body }).toEqual({
      status: 503,
      body: { status: 'not ready', reason: expect.stringMatching(/too new/) },
    })
  })
})

describe('a server that may not migrate', () => {
  test('serves, not ready, until somebody else has migrated', async () => {
    const { url, database } = await emptyDatabase()
    const { url: address } = await readyServer({ environment: { DATABASE_URL: url } }, ['serve', '--no-migrate'])
    expect(await readTables(database)).toEqual([])
    const before = await ask(`${address}/health/ready`)
    expect({ status: before.status, live: (await ask(`${address}/health/live`)).status }).toEqual({
      status: 503,
      live: 200,
    })
    await migrate(database)
    expect((await ask(`${address}/health/ready`)).status).toBe(200)
  })
})

describe('a migration that was edited after it was applied', () => {
  test('is noticed when the next one is to be applied', async () => {
    const { url, database } = await freshDatabase().then(closeAfterTest)
    const edited = await editedInstallation()
    await addMigration(edited, 'create table password_grant.of_the_future (id integer);')
    const { code, stderr } = await runCommand(['migrate'], { bin: edited.bin, environment: { DATABASE_URL: url } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/checksum.*migration \[1\]/i) })
    expect(await schemaState(database.query)).toBe('current')
    expect(await readTables(database)).not.toContain('of_the_future')
  })

  test('is noticed when there is nothing to be applied', async () => {
    const { url } = await freshDatabase().then(closeAfterTest)
    const { bin } = await editedInstallation()
    const { code, stderr } = await runCommand(['migrate'], { bin, environment: { DATABASE_URL: url } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/checksum.*migration \[1\]/i) })
  })
})

describe('the schema', () => {
  // after a change on purpose: npx vitest run --config tests/vitest.config.ts --project postgres migrate -u
  test('is the one kept in schema.txt', async () => {
    const { database } = await freshDatabase().then(closeAfterTest)
    await expect(await describeSchema(database)).toMatchFileSnapshot('./schema.txt')
  })
})

async function emptyDatabase() {
  return closeAfterTest(await freshDatabase({ isMigrated: false }))
}

function closeAfterTest(fresh: { database: Database; url: string }) {
  onTestFinished(() => fresh.database.close())
  return fresh
}

/** A migrated database after a version of the future, with one more migration, has been there. */
async function upgradedBy(statements: string) {
  const fresh = closeAfterTest(await freshDatabase())
  await upgrade(fresh.url, statements)
  return fresh
}

async function upgrade(url: string, statements: string): Promise<void> {
  const newer = await copyInstallation()
  await addMigration(newer, statements)
  const { code, stderr } = await runCommand(['migrate'], { bin: newer.bin, environment: { DATABASE_URL: url } })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
}

async function addMigration({ sql }: { sql: string }, statements: string): Promise<void> {
  const number = String(codeVersion + 1).padStart(3, '0')
  await writeFile(join(sql, `${number}.do.${randomWord()}.sql`), `-- Why: a test\n${statements}\n`)
}

async function editedInstallation() {
  const copy = await copyInstallation()
  const [first = ''] = (await readdir(copy.sql)).toSorted()
  await appendFile(join(copy.sql, first), '-- an afterthought\n')
  return copy
}

async function readTables({ query }: Database): Promise<string[]> {
  const rows = await query<{ name: string }>(
    '',
    "select tablename as name from pg_tables where schemaname = 'password_grant' order by tablename",
  )
  return rows.map(({ name }) => name)
}

/** From the catalogs, in words that are the same in every major version. */
async function describeSchema({ query }: Database): Promise<string> {
  const rows = await query<{ line: string }>('', schemaText)
  return `${rows.map(({ line }) => line).join('\n')}\n`
}

// PostgreSQL 18 keeps "not null" as constraints too (contype n): the columns say so already
const schemaText = `
with relations as (
  select oid, relname, reloptions from pg_class
  where relnamespace = 'password_grant'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
)
select line from (
  select relname, 0 as part, 0 as place, 'table ' || relname ||
    coalesce(' with (' || array_to_string(reloptions, ', ') || ')', '') as line
  from relations
  union all
  select relname, 1, attnum, '  ' || attname || ' ' || format_type(atttypid, atttypmod) ||
    case when attnotnull then ' not null' else '' end ||
    coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
  from relations
  join pg_attribute on attrelid = relations.oid and attnum > 0 and not attisdropped
  left join pg_attrdef on adrelid = attrelid and adnum = attnum
  union all
  select relname, 2, 0, '  constraint ' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
  from relations join pg_constraint on conrelid = relations.oid and contype <> 'n'
  union all
  select relname, 3, 0, '  ' || pg_get_indexdef(indexrelid)
  from relations join pg_index on indrelid = relations.oid
  union all
  select relname, 4, 0, '  ' || pg_get_triggerdef(pg_trigger.oid)
  from relations join pg_trigger on tgrelid = relations.oid and not tgisinternal
  union all
  select proname, 5, 0, 'function ' || proname || '(' || pg_get_function_arguments(oid) || ')'
  from pg_proc where pronamespace = 'password_grant'::regnamespace
) described
order by relname collate "C", part, place, line collate "C"`
