import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listClients, removeClient, rotateClient, setClientEnabled } from '../../src/clients/register-client.ts'
import type { Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { generateBytes } from '../../src/secrets.ts'
import { listTokens } from '../../src/tokens/list-tokens.ts'
import { revokeTokenOfDevice, revokeTokensOfClient, revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { rotateSigningKey } from '../../src/tokens/signing-keys.ts'
import { listDevices, requireDevice } from '../../src/users/register-device.ts'
import { changeUser, listUsers, removeUser } from '../../src/users/register-user.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { countPlantedCalls, plantNamesakes } from '../support/hostile-tenant.ts'
import { addClient, addDevice, addUser } from '../support/people.ts'
import { makeRole } from '../support/roles.ts'
import { runOn } from '../support/test-cluster.ts'
import { plainOptions } from '../support/test-server.ts'
import { useWholeServer } from '../support/whole-product.ts'

describe('in a database where another tenant’s namesakes come first in the search path', () => {
  let url: string
  let database: Database

  beforeAll(async () => {
    const fresh = await freshDatabase({ isMigrated: false })
    await fresh.database.close()
    url = fresh.url
    const name = new URL(url).pathname.slice(1)
    const tenant = await makeRole(url, 'tenant')
    await runOn(url, [
      `grant create on schema public to ${tenant.name}`,
      `alter database ${name} set search_path to public, pg_catalog`,
    ])
    await plantNamesakes(tenant.urlOf(url))
    database = await openDatabase(url, { timeouts: patience })
  })
  afterAll(() => database?.close())

  test('an ordinary session calls the namesakes', async () => {
    for (const statement of [
      "select unnest(array['a'])",
      'select power(2, 3)',
      "select 'a'::text || gen_random_uuid()",
    ]) {
      await expect(runOn(url, [statement])).rejects.toThrow(/^planted .* ran as /)
    }
    await runOn(url, ['alter sequence public.planted_calls restart'])
  })

  test('migrations call none of them', async () => {
    await migrate(database)
    await migrate(database)
    expect(await countPlantedCalls(url)).toBe(0)
  })

  test('a server calls none of them', async () => {
    await useWholeServer(database, database)
    expect(await countPlantedCalls(url)).toBe(0)
  })

  test('commands call none of them', async () => {
    await useCommands(database)
    expect(await countPlantedCalls(url)).toBe(0)
  })

  test('an operator’s statements that end tokens call none of them', async () => {
    await useWholeServer(database, database)
    const statements = ['update password_grant.tokens set revoked_at = null', 'delete from password_grant.tokens']
    await runOn(url, [...statements, 'truncate password_grant.tokens'])
    expect(await countPlantedCalls(url)).toBe(0)
  })

  test('our functions call none of them under any search path', async () => {
    const functions = await database.script<{ called: string }>(
      `select format('password_grant.%I(%s)', proname, array_to_string(array(
        select 'null::pg_catalog.' || typname from unnest(proargtypes::oid[]) with ordinality argument (type, place)
        join pg_type on pg_type.oid = type order by place
      ), ', ')) as called
      from pg_proc
      where pronamespace = 'password_grant'::regnamespace and prorettype <> 'trigger'::regtype`,
    )
    expect(functions.length).toBeGreaterThanOrEqual(4)
    for (const { called } of functions) await runOn(url, [`select * from ${called}`]).catch(requireOwnFault)
    expect(await countPlantedCalls(url)).toBe(0)
  })

  test('each function in PL/pgSQL sets its own search path', async () => {
    const loose = await database.script(
      `select proname from pg_proc
      join pg_language l on l.oid = prolang
      where pronamespace = 'password_grant'::regnamespace and lanname = 'plpgsql'
        and not coalesce('search_path=pg_catalog' = any (proconfig), false)`,
    )
    expect(loose).toEqual([])
  })

  test('a migration refuses an object that an older version bound to a namesake', async () => {
    const planted = 'alter table password_grant.users alter column created_at set default'
    await runOn(url, [
      'set search_path to pg_catalog',
      'create function public.now_here() returns timestamptz language sql as $$ select now() $$',
      `${planted} public.now_here()`,
    ])
    await expect(migrate(database)).rejects.toThrow(
      'depends on function public.now_here(), which belongs neither to it',
    )
    await runOn(url, ['set search_path to pg_catalog', `${planted} now()`])
    await migrate(database)
  })
})

describe('a schema password_grant that another tenant made first', () => {
  test('is neither read nor filled', async () => {
    const fresh = await freshDatabase({ isMigrated: false })
    afterAll(() => fresh.database.close())
    const tenant = await makeRole(fresh.url, 'tenant')
    await runOn(fresh.url, [`grant create on database ${new URL(fresh.url).pathname.slice(1)} to ${tenant.name}`])
    await runOn(tenant.urlOf(fresh.url), [
      'create schema password_grant',
      `create function password_grant.trap() returns integer language plpgsql as $$ begin raise exception 'trapped'; end $$`,
      'create view password_grant.compatibility as select password_grant.trap() as oldest_code',
      'create view password_grant.migrations as select password_grant.trap() as version, null::text as md5',
    ])
    await expect(migrate(fresh.database)).rejects.toThrow(`The schema password_grant belongs to ${tenant.name}.`)
  })
})

/** Arguments that are null may break a constraint of ours, which is no call of a namesake. */
function requireOwnFault(error: unknown): void {
  expect(error).toMatchObject({ code: '23502' })
}

async function useCommands(database: Database): Promise<void> {
  const { writes: query } = database
  const encryptionKey = plainOptions.encryptionKey ?? generateBytes(32)
  const client = await addClient(database)
  const user = await addUser(database)
  const { deviceKey } = await addDevice(database, encryptionKey)
  await rotateClient(query, client.id, 60)
  await setClientEnabled(query, client.id, false)
  await revokeTokensOfClient(query, client.id)
  await changeUser(query, user.name, { role: 'Reader' })
  await revokeTokensOfUser(query, user.id)
  await revokeTokenOfDevice(query, user.id, '')
  await requireDevice(query, deviceKey)
  await database.transaction((within) => rotateSigningKey(within, encryptionKey))
  expect((await listUsers(query, null)).length).toBeGreaterThan(0)
  expect((await listTokens(query, null, null)).length).toBeGreaterThan(0)
  expect((await listClients(query, null)).length).toBeGreaterThan(0)
  expect((await listDevices(query, null)).length).toBeGreaterThan(0)
  await removeUser(query, user.name)
  await removeClient(query, client.id)
}
