import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noteEncryptionKey } from '../../src/commands/note-encryption-key.ts'
import type { Database } from '../../src/database/database.ts'
import { grantTo, servingGrants } from '../../src/database/grant-to.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { generateBytes } from '../../src/secrets.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { addUser } from '../support/people.ts'
import { readyServer, runCommand, startServer } from '../support/processes.ts'
import { makeRole, type Role } from '../support/roles.ts'
import { runOn } from '../support/test-cluster.ts'
import { useWholeServer } from '../support/whole-product.ts'
import { ask } from '../support/wire.ts'

describe('a role after `migrate --grant-to`', () => {
  let owner: Database
  let serving: Database
  let url: string
  let role: Role

  beforeAll(async () => {
    const fresh = await freshDatabase()
    owner = fresh.database
    url = fresh.url
    role = await makeRole(url, 'it"s a; server')
    const { code, stdout, stderr } = await runCommand(['migrate', '--grant-to', role.name], {
      environment: { DATABASE_URL: url },
    })
    expect({ code, stderr, says: stdout.endsWith(`${role.name} may serve.\n`) }).toEqual({
      code: 0,
      stderr: '',
      says: true,
    })
    serving = await openDatabase(role.urlOf(url), { timeouts: patience })
  })
  afterAll(async () => {
    await serving?.close()
    await owner?.close()
  })

  test('has every right that a server uses', async () => {
    await useWholeServer(owner, serving)
    await serving.script('delete from password_grant.attempts where expire < 0') // a server does so every minute
    expect(await noteEncryptionKey(serving.writes, null)).toBe(null)
    expect(await noteEncryptionKey(serving.writes, generateBytes(32))).toBe(null)
    const { url: address } = await readyServer({ environment: { DATABASE_URL: role.urlOf(url) } }, [
      'serve',
      '--no-migrate',
    ])
    expect((await ask(`${address}/health/ready`)).status).toBe(200)
    const migrating = startServer({ environment: { DATABASE_URL: role.urlOf(url) } })
    expect(await migrating.exited).toBe(1)
    expect(migrating.stderr()).toMatch(
      /^The role in DATABASE_URL lacks a right\. .*start that server with `--no-migrate`/,
    )
  })

  test('has no other right', async () => {
    const rights = await runOn(role.urlOf(url), [rightsText])
    const expected = Object.entries(servingGrants).flatMap(([table, grants]) =>
      grants.flatMap((grant) =>
        typeof grant === 'string'
          ? [`${grant} ${table}`]
          : grant.slice(1).map((column) => `${grant[0]} ${table}.${column}`),
      ),
    )
    expect(rights.map(({ right_name }) => right_name)).toEqual(['usage on the schema', ...expected].toSorted())
  })

  test.each([
    'create table password_grant.mine ()',
    'create schema mine',
    'drop table password_grant.tokens',
    'truncate password_grant.tokens',
    'alter table password_grant.tokens disable trigger all',
    'insert into password_grant.clients (id, is_public) values ($$mine$$, true)',
    "update password_grant.users set role = 'Administrator'",
    'update password_grant.clients set secret_hash = null, is_public = true',
    'delete from password_grant.users',
    'select created_at from password_grant.users',
    'update password_grant.compatibility set oldest_code = 99',
    'update password_grant.migrations set version = 99',
    'create or replace function password_grant.announce_ended_tokens() returns trigger language sql as $$ select 1 $$',
  ])('has no right to: %s', async (statement) => {
    await expect(runOn(role.urlOf(url), [statement])).rejects.toMatchObject({ code: '42501' })
  })

  test('loses the extra rights that it had', async () => {
    await runOn(url, [`grant all on password_grant.users to "${role.name.replaceAll('"', '""')}"`])
    await runOn(role.urlOf(url), ["update password_grant.users set role = 'x' where false"])
    await grantTo(owner, role.name)
    await expect(runOn(role.urlOf(url), ["update password_grant.users set role = 'x'"])).rejects.toMatchObject({
      code: '42501',
    })
  })

  test('cannot run the commands, which ask for the owner', async () => {
    const environment = { DATABASE_URL: role.urlOf(url) }
    const { name } = await addUser(owner)
    const { code, stderr } = await runCommand(['user', 'disable', name], { environment })
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^The role in DATABASE_URL lacks a right\. Use the owner of the tables.*\n {2}database without rights: /,
      ),
    })
  })
})

describe('`migrate --grant-to` refuses', () => {
  test('an unknown role and a role with every right', async () => {
    const { database, url } = await freshDatabase()
    afterAll(() => database.close())
    const environment = { DATABASE_URL: url }
    const unknown = await runCommand(['migrate', '--grant-to', 'nobody; drop'], { environment })
    expect(unknown).toEqual({
      code: 1,
      stdout: '',
      stderr: 'There is no role nobody; drop. Create it first: create role "nobody; drop" login\n',
    })
    const [me] = await runOn(url, ['select current_user as name'])
    await expect(grantTo(database, String(me?.['name']))).rejects.toThrow(/owns the tables or is a superuser/)
  })
})

/** Every right on the schema, its tables, their columns and its sequences, but for columns that a right on their table covers. */
const rightsText = `
with tables as (
  select oid, relname from pg_class where relnamespace = 'password_grant'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
), table_rights as (
  select oid, relname, lower(kind) as kind
  from tables, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) kind
  where has_table_privilege(oid, kind)
)
select name as right_name from (
  select kind || ' ' || relname as name from table_rights
  union all
  select lower(kind) || ' ' || relname || '.' || attname
  from tables
  join pg_attribute on attrelid = tables.oid and attnum > 0 and not attisdropped
  cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) asked (kind)
  where has_column_privilege(tables.oid, attnum, asked.kind)
    and not exists (select from table_rights r where r.oid = tables.oid and r.kind = lower(asked.kind))
  union all
  select lower(kind) || ' on the schema' from unnest(array['USAGE', 'CREATE']) kind
  where has_schema_privilege('password_grant', kind)
) rights
order by name collate "C"`
