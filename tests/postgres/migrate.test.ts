import { appendFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { codeVersion, migrate, schemaState } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { generateBytes, generateId, hashSecret } from '../../src/secrets.ts'
import { findToken } from '../../src/tokens/find-token.ts'
import { secretBytes, writeTokenValue } from '../../src/tokens/token-value.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { copyInstallation } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { migrateTo } from '../support/old-schema.ts'
import { addUser, randomWord } from '../support/people.ts'
import { readyServer, runCommand, startServer } from '../support/processes.ts'
import { makeRole } from '../support/roles.ts'
import { takeSeat } from '../support/seats.ts'
import { runOn } from '../support/test-cluster.ts'
import { ask, signInAt } from '../support/wire.ts'

const allVersions = Array.from({ length: codeVersion }, (_, index) => index + 1)

describe('migrating', () => {
  test('creates the tables in an empty database', async () => {
    const { database } = await emptyDatabase()
    expect(await schemaState(database.writes)).toBe('not migrated')
    expect(await migrate(database)).toEqual({ applied: allVersions, version: codeVersion })
    expect(await schemaState(database.writes)).toBe('current')
  })

  test('a second time does nothing and keeps every row', async () => {
    const { database } = await emptyDatabase()
    await migrate(database)
    const user = await addUser(database)
    expect(await migrate(database)).toEqual({ applied: [], version: codeVersion })
    expect(await database.script('select name from password_grant.users')).toEqual([{ name: user.name }])
  })

  test('succeeds in eight processes at once on an empty database and runs in one of them', async () => {
    const { url } = await emptyDatabase()
    const environment = { DATABASE_URL: url }
    const ended = await Promise.all(Array.from({ length: 8 }, () => runCommand(['migrate', '--json'], { environment })))
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
    const found = await Promise.all(databases.map(({ writes: query }) => schemaState(query)))
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
    expect(await schemaState(database.writes)).toBe('not migrated')
    expect(await readTables(database)).toEqual([])
  })
})

describe('a database at version 2', () => {
  const older = "issued_at = date_trunc('second', now()) - make_interval(hours => $1)"

  test("goes to today's version and keeps every row and every token", async () => {
    const { database, value } = await databaseAt2()
    const before = await readRows(database)
    expect(before.map(({ length }) => length)).toEqual([1, 1, 4])
    expect(await migrate(database)).toEqual({ applied: allVersions.slice(2), version: codeVersion })
    expect(await schemaState(database.writes)).toBe('current')
    expect(await readRows(database)).toEqual(before)
    expect(await findToken(database.writes, value)).toHaveProperty('token.device', 'three hours ago')
  })

  test('gets the built-in clients, public and enabled', async () => {
    const { database } = await databaseAt2()
    await migrate(database)
    const added = await database.script(
      'select id, is_public, is_enabled from password_grant.clients where is_built_in order by id',
    )
    expect(added).toEqual(
      ['device', 'envelope', 'webapi-session'].map((id) => ({ id, is_public: true, is_enabled: true })),
    )
  })

  test('evicts seats in the order they were taken, although times are less exact than a microsecond', async () => {
    const { database, subject } = await databaseAt2()
    await migrate(database)
    const taken = []
    for (const device of ['new', 'newer', 'newest']) {
      await takeSeat(database.writes, { ...subject, device, maxSeats: 4 })
      taken.push(await readDevices(database))
    }
    expect(taken).toEqual([
      ['new', 'one hour ago', 'three hours ago', 'two hours ago'], // the revoked one went, though it was not the oldest
      ['new', 'newer', 'one hour ago', 'two hours ago'],
      ['new', 'newer', 'newest', 'one hour ago'],
    ])
  })

  test('counts the latest sign-in of a seat that code of version 2 wrote', async () => {
    const { database, subject } = await databaseAt2()
    await migrate(database)
    await database.script(`delete from password_grant.tokens`)
    for (const device of ['a', 'b']) await takeSeat(database.writes, { ...subject, device })
    const setBack = `update password_grant.tokens set ${older}, signed_in_at = now() - make_interval(hours => $1)`
    await database.script(`${setBack} where device = 'a'`, [5])
    await database.script(`${setBack} where device = 'b'`, [4])
    // a server that was not upgraded yet knows nothing of signed_in_at
    await database.script(`update password_grant.tokens set ${older} where device = 'a'`, [3])
    await takeSeat(database.writes, { ...subject, device: 'c', maxSeats: 2 })
    expect(await readDevices(database)).toEqual(['a', 'c'])
  })

  /** As a server of version 2 left it: a user with four seats, one of them revoked. */
  async function databaseAt2() {
    const { database, url } = await emptyDatabase()
    const installed = await copyInstallation()
    for (const file of await readdir(installed.sql))
      if (Number.parseInt(file, 10) > 2) await rm(join(installed.sql, file))
    const { code, stdout } = await runCommand(['migrate', '--json'], {
      bin: installed.bin,
      environment: { DATABASE_URL: url },
    })
    expect({ code, answered: JSON.parse(stdout) }).toEqual({ code: 0, answered: { applied: [1, 2], version: 2 } })
    const [userId, clientId] = [generateId(), `client-${randomWord()}`]
    await database.script('insert into password_grant.clients (id, is_public) values ($1, true)', [clientId])
    await database.script('insert into password_grant.users (id, name, name_key) values ($1, $2, $2)', [
      userId,
      randomWord(),
    ])
    const [id, secret] = [generateId(), generateBytes(secretBytes)]
    const seats = [
      ['two hours ago', 2, generateId(), false],
      ['three hours ago', 3, id, false],
      ['one hour ago', 1, generateId(), false],
      ['half an hour ago', 0.5, generateId(), true],
    ] as const
    for (const [device, hours, seatId, isRevoked] of seats) {
      await database.script(
        `insert into password_grant.tokens
          (id, user_id, device, client_id, secret_hash, issued_at, expires_at, revoked_at)
        select $1, $2, $3, $4, $5, at, at + interval '1 day', case when $7 then now() end
        from (select date_trunc('second', now()) - make_interval(mins => $6) as at) moment`,
        [seatId, userId, device, clientId, hashSecret(secret), hours * 60, isRevoked],
      )
    }
    const [versions] = await database.script<{ user: string; client: string }>(
      `select u.credential_version as user, c.credential_version as client
      from password_grant.users u, password_grant.clients c`,
    )
    const subject = {
      userId,
      userVersion: versions?.user ?? '',
      clientId,
      clientVersion: versions?.client ?? '',
      lifetimeSeconds: 3600,
    }
    return { database, subject, value: keepSecret(writeTokenValue(id, secret)) }
  }

  /** All that was there at version 2, and nothing that came later. */
  async function readRows({ script }: Database): Promise<object[][]> {
    const later = `'is_built_in', 'is_trusted', 'signed_in_at'`
    const read = (table: string, where = 'true') =>
      script(`select to_jsonb(t) - array[${later}] as row from password_grant.${table} t where ${where} order by id`)
    return [await read('clients', `id like 'client-%'`), await read('users'), await read('tokens')]
  }

  async function readDevices({ script }: Database): Promise<string[]> {
    const rows = await script<{ device: string }>('select device from password_grant.tokens order by device')
    return rows.map(({ device }) => device)
  }
})

describe('a database that a newer version has migrated', () => {
  const adding = 'create table password_grant.of_the_future (id integer);'
  const breaking = `${adding} update password_grant.compatibility set oldest_code = ${codeVersion + 1};`

  test('serves this version while it admits it', async () => {
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

  test('refuses this version with a message once it no longer admits it', async () => {
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

  test('makes a running server of this version not ready', async () => {
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

describe('a server without the right to migrate', () => {
  test('runs but stays not ready until another process has migrated', async () => {
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
  test('is noticed when the next one is due', async () => {
    const { url, database } = await freshDatabase().then(closeAfterTest)
    const edited = await editedInstallation()
    await addMigration(edited, 'create table password_grant.of_the_future (id integer);')
    const { code, stderr } = await runCommand(['migrate'], { bin: edited.bin, environment: { DATABASE_URL: url } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/checksum.*migration \[1\]/i) })
    expect(await schemaState(database.writes)).toBe('current')
    expect(await readTables(database)).not.toContain('of_the_future')
  })

  test('is noticed when no migration is due', async () => {
    const { url } = await freshDatabase().then(closeAfterTest)
    const { bin } = await editedInstallation()
    const { code, stderr } = await runCommand(['migrate'], { bin, environment: { DATABASE_URL: url } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/checksum.*migration \[1\]/i) })
  })
})

describe('an installation', () => {
  // what means something to a pattern of file names, and what means something to a URL
  const names = ['work! [x] {a,b} (x) +(x) !(x) * a?b', '#1 50% 50%41 two  words a?b']

  test.each(names)('finds its migrations in a folder named %j', async (name) => {
    const { url } = await emptyDatabase()
    const { bin } = await copyInstallation(name)
    const { code, stdout, stderr } = await runCommand(['migrate', '--json'], {
      bin,
      environment: { DATABASE_URL: url },
    })
    expect({ code, stderr, answered: JSON.parse(stdout) }).toEqual({
      code: 0,
      stderr: '',
      answered: { applied: allVersions, version: codeVersion },
    })
  })

  test.each([
    ['without its migrations', /./],
    ['with a missing migration', /^003\.do\./],
  ])('%s migrates nothing and is not ready', async (_, missing) => {
    const { url, database } = await emptyDatabase()
    const { bin, sql } = await copyInstallation()
    for (const file of await readdir(sql)) if (missing.test(file)) await rm(join(sql, file))
    const environment = { DATABASE_URL: url }
    const { code, stdout, stderr } = await runCommand(['migrate'], { bin, environment })
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^The folder .* lacks migrations: reinstall this version\.\n$/),
    })
    const serving = startServer({ bin, environment })
    expect(await serving.exited).toBe(1)
    expect(await readTables(database)).toEqual([])
    const { url: address } = await readyServer({ bin, environment }, ['serve', '--no-migrate'])
    expect((await ask(`${address}/health/ready`)).status).toBe(503)
  })
})

describe('a role that cannot create a schema', () => {
  test('reads which right it lacks and how to get it', async () => {
    const { url } = await emptyDatabase()
    const role = await makeRole(url, 'without_create')
    const environment = { DATABASE_URL: role.urlOf(url) }
    expect(await runCommand(['migrate'], { environment })).toEqual({
      code: 1,
      stdout: '',
      stderr:
        `${role.name} has no right to create the schema password_grant. Run as the owner of the database: ` +
        `grant create on database ${new URL(url).pathname.slice(1)} to ${role.name}\n`,
    })
  })

  test('migrates a schema that the owner created for it', async () => {
    const { url } = await emptyDatabase()
    const role = await makeRole(url, 'with_schema')
    await runOn(url, [`create schema password_grant authorization ${role.name}`])
    const { code, stderr } = await runCommand(['migrate'], { environment: { DATABASE_URL: role.urlOf(url) } })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('a command on a database that is not migrated', () => {
  const commands = [
    ...[
      ['user', 'list'],
      ['token', 'list', '--json'],
      ['client', 'list'],
      ['device', 'list'],
      ['user', 'disable', 'ada'],
    ],
    ...[
      ['client', 'add', 'web-shop'],
      ['token', 'revoke', '--user', 'ada'],
    ],
  ]

  test.each(commands.map((command) => [command.join(' '), command]))('says so: %s', async (_, command) => {
    const { url } = await emptyDatabase()
    expect(await runCommand(command, { environment: { DATABASE_URL: url } })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^The database is not migrated to this version\. Run `password-grant migrate` on it first\.\n {2}database not migrated: .*\n$/,
      ),
    })
  })

  test('says so when the database is read-only as well', async () => {
    const { url, database } = await freshDatabase().then(closeAfterTest)
    await runOn(url, [`alter database ${new URL(url).pathname.slice(1)} set default_transaction_read_only = on`])
    const { name } = await addUser(database).catch(() => ({ name: 'ada' }))
    const { code, stderr } = await runCommand(['user', 'disable', name], { environment: { DATABASE_URL: url } })
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^The database is read-only: /) })
  })
})

describe('the schema', () => {
  test('is the same whether the migrated database had tables or was empty', async () => {
    const { database: fresh } = await freshDatabase().then(closeAfterTest)
    const { database, url } = await emptyDatabase()
    await migrateTo(5, url)
    await migrate(database)
    const sorted = async (one: Database) => (await describeSchema(one)).split('\n').toSorted()
    expect(await sorted(database)).toEqual(await sorted(fresh))
  })

  // after a change on purpose: npx vitest run --config tests/vitest.config.ts --project postgres migrate -u
  test('matches schema.txt', async () => {
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

async function readTables({ script }: Database): Promise<string[]> {
  const rows = await script<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'password_grant' order by tablename",
  )
  return rows.map(({ name }) => name)
}

/** From the catalogs, in words that are the same in every major version. */
async function describeSchema({ script }: Database): Promise<string> {
  const rows = await script<{ line: string }>(schemaText)
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
    case when attcollation = '"C"'::regcollation then ' collate "C"' else '' end ||
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
