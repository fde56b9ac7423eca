import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { generateBytes, generateId } from '../../src/secrets.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { randomWord } from '../support/people.ts'

const sha256 = `sha256:${'0'.repeat(64)}`
const argon2id = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo'

/** What cannot be: a change of a sound row, and the constraint that says no. */
const impossible: readonly (readonly [what: string, constraint: string, change: string, value?: unknown])[] = [
  ['a second word on compatibility', 'compatibility_pkey', 'insert into compatibility (oldest_code) values (1)'],
  ['a word on compatibility that is not the only one', 'compatibility_only_row_check', 'compatibility only_row', false],

  ['two clients of one id', 'clients_pkey', "insert into clients (id, is_public) values ('sound', true)"],
  ['a client without an id', 'clients_id_check', 'clients id', ''],
  ['a client id of 65 characters', 'clients_id_check', 'clients id', 'a'.repeat(65)],
  ['a client id with a colon, which Basic cannot carry', 'clients_id_check', 'clients id', 'a:b'],
  ['a client id with a line end after it', 'clients_id_check', 'clients id', 'a\n'],
  ['a client id outside ASCII', 'clients_id_check', 'clients id', 'ä'],
  ['a client secret that is not hashed', 'clients_secret_hash_check', 'clients secret_hash', 'secret'],
  ['half a hash of a client secret', 'clients_secret_hash_check', 'clients secret_hash', 'sha256:00'],
  [
    'a hash of a client secret with something after it',
    'clients_secret_hash_check',
    'clients secret_hash',
    `${sha256}0`,
  ],
  ['a client secret hashed by anything else', 'clients_secret_hash_check', 'clients secret_hash', '$argon2i$v=19$'],
  [
    'an earlier secret that is not hashed',
    'clients_previous_secret_hash_check',
    "update clients set previous_secret_until = now(), previous_secret_hash = 'secret'",
  ],
  ['a confidential client without a secret', 'clients_secret_unless_public', 'clients secret_hash', null],
  ['a public client with a secret', 'clients_secret_unless_public', 'clients is_public', true],
  ['an earlier secret that counts for ever', 'clients_previous_secret_whole', 'clients previous_secret_hash', sha256],
  [
    'an end of an earlier secret that is not there',
    'clients_previous_secret_whole',
    'update clients set previous_secret_until = now()',
  ],
  [
    'a public client with an earlier secret',
    'clients_previous_secret_unless_public',
    `update clients set is_public = true, secret_hash = null, previous_secret_hash = '${sha256}', previous_secret_until = now()`,
  ],
  [
    'tokens of a client that are dead when they are born',
    'clients_lifetime_seconds_check',
    'clients lifetime_seconds',
    0,
  ],

  ['two users of one id', 'users_pkey', "insert into users (id, name, name_key) select id, 'b', 'b' from users"],
  [
    'two users of one name in another spelling',
    'users_name_key',
    "insert into users (id, name, name_key) select gen_random_uuid(), 'SOUND', name_key from users",
  ],
  ['a user without a name', 'users_name_check', 'users name', ''],
  ['a user name of 257 characters', 'users_name_check', 'users name', 'ä'.repeat(257)],
  ['a role of 257 characters', 'users_role_check', 'users role', 'ä'.repeat(257)],
  ['a password that is not hashed', 'users_password_hash_check', 'users password_hash', 'password'],
  ['a password hashed by anything else', 'users_password_hash_check', 'users password_hash', '$argon2i$v=19$'],

  ['two tokens of one id', 'tokens_pkey', copyToken('id', "'other'")],
  ['two tokens in one seat', 'tokens_seat', copyToken('gen_random_uuid()', 'device')],
  ['a token for nobody', 'tokens_user_id_fkey', 'tokens user_id', generateId()],
  ['a token that no client asked for', 'tokens_client_id_fkey', 'tokens client_id', 'nobody'],
  ['a device label of 201 characters', 'tokens_device_check', 'tokens device', 'ä'.repeat(201)],
  ['half a hash of a token', 'tokens_secret_hash_check', 'tokens secret_hash', generateBytes(16)],
  [
    'half a hash of a replaced token',
    'tokens_replaced_secret_hash_check',
    'tokens replaced_secret_hash',
    generateBytes(16),
  ],
  ['a token that expires as it is issued', 'tokens_expire_after_issue', 'update tokens set expires_at = issued_at'],
]

/** The longest and the smallest that can be: where a limit is too tight, this fails. */
const possible: readonly (readonly [what: string, change: string, value?: unknown])[] = [
  ['a client id of 64 characters', `insert into clients (id, is_public) values ('${'a'.repeat(60)}._-Z', true)`],
  ['a client secret hashed with argon2id', 'clients secret_hash', argon2id],
  ['a lifetime of a second', 'clients lifetime_seconds', 1],
  ['a user name of 256 characters, whatever their bytes', 'users name', '𝔸'.repeat(256)],
  ['a user without a role', 'users role', ''],
  ['a user without a password', 'users password_hash', null],
  ['a role of 256 characters', 'users role', 'ä'.repeat(256)],
  ['a device label of 200 characters', 'tokens device', '𝔸'.repeat(200)],
]

describe('a row that must be impossible', async () => {
  let database: Database

  beforeAll(async () => {
    database = (await freshDatabase()).database
    return () => database.close()
  })

  const refused = impossible.map(([what, constraint, ...change]) => [what, constraint, change] as const)

  test.each(refused)('%s is refused by %s', async (_what, constraint, [change, value]) => {
    await expect(tryChange(database, change, value)).rejects.toMatchObject({ constraint })
  })

  test.each(possible.map(([what, ...change]) => [what, change] as const))(
    '%s is none',
    async (_what, [change, value]) => {
      await tryChange(database, change, value)
    },
  )

  test('is listed here for every constraint there is', async () => {
    const constraints = await database.query<{ name: string }>(
      '',
      `select conname as name from pg_constraint
      where connamespace = 'password_grant'::regnamespace and contype <> 'n'
        and conrelid <> 'password_grant.migrations'::regclass
      order by conname collate "C"`,
    )
    const tried = new Set(impossible.map(([, constraint]) => constraint))
    expect([...tried].toSorted()).toEqual(constraints.map(({ name }) => name))
  })

  test('is every one with nothing in a column that needs something', async () => {
    const columns = await database.query<{ change: string }>(
      '',
      `select table_name || ' ' || column_name as change from information_schema.columns
      where table_schema = 'password_grant' and is_nullable = 'NO' and table_name <> 'migrations'`,
    )
    expect(columns.length).toBeGreaterThan(15)
    for (const { change } of columns) {
      await expect(tryChange(database, change, null), change).rejects.toMatchObject({ code: '23502' })
    }
  })
})

describe('removing', async () => {
  let database: Database

  beforeAll(async () => {
    database = (await freshDatabase()).database
    return () => database.close()
  })

  test.each([
    ['a user', 'users'],
    ['a client', 'clients'],
  ])('%s takes the tokens along', async (_what, table) => {
    await database.transaction(async (query) => {
      await makeSoundRows(query)
      await query('', `delete from ${table}`)
      expect(await query('', 'select id from tokens')).toEqual([])
      await query('', `delete from users; delete from clients`)
    })
  })
})

/** Makes one sound row of each kind, makes the change, and keeps nothing of it. */
async function tryChange(database: Database, change: string, value?: unknown): Promise<void> {
  const undo = new Error('undo')
  await database
    .transaction(async (query) => {
      await makeSoundRows(query)
      const [, table, column] = /^(\w+) (\w+)$/.exec(change) ?? []
      if (table) await query('', `update ${table} set ${column} = $1`, [value])
      else await query('', change)
      throw undo
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error
    })
}

async function makeSoundRows(query: Database['query']): Promise<void> {
  await query('', 'set local search_path = password_grant')
  await query('', `insert into clients (id, is_public, secret_hash) values ('sound', false, $1)`, [sha256])
  await query('', `insert into users (id, name, name_key, password_hash) values ($1, $2, $2, $3)`, [
    generateId(),
    randomWord(),
    argon2id,
  ])
  await query(
    '',
    `insert into tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
    select gen_random_uuid(), users.id, 'label', clients.id, $1, now(), now() + interval '1 hour' from users, clients`,
    [generateBytes(32)],
  )
}

function copyToken(id: string, device: string): string {
  return `insert into tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
  select ${id}, user_id, ${device}, client_id, secret_hash, issued_at, expires_at from tokens`
}
