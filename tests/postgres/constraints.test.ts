import { beforeAll, describe, expect, test } from 'vitest'
import type { Database, Script } from '../../src/database/database.ts'
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
  ['a built-in client with a secret', 'clients_built_in_public', 'clients is_built_in', true],
  [
    'a trusted client that proves nothing',
    'clients_trusted_proves_itself',
    'update clients set is_public = true, secret_hash = null, is_trusted = true',
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
  ['a token without a user', 'tokens_user_id_fkey', 'tokens user_id', generateId()],
  ['a token without a client', 'tokens_client_id_fkey', 'tokens client_id', 'nobody'],
  ['a device label of 201 characters', 'tokens_device_check', 'tokens device', 'ä'.repeat(201)],
  ['half a hash of a token', 'tokens_secret_hash_check', 'tokens secret_hash', generateBytes(16)],
  [
    'half a hash of a replaced token',
    'tokens_replaced_secret_hash_check',
    'tokens replaced_secret_hash',
    generateBytes(16),
  ],
  ['a token that expires as it is issued', 'tokens_expire_after_issue', 'update tokens set expires_at = issued_at'],

  ['a user who is two devices', 'devices_pkey', copyDevice('user_id', "'other'")],
  ['a device that is no user', 'devices_user_id_fkey', 'devices user_id', generateId()],
  [
    'two devices of one key',
    'devices_key',
    `with other as (
      insert into users (id, name, name_key) values (gen_random_uuid(), 'other', 'other') returning id
    ) ${copyDevice('(select id from other)', 'device_key')}`,
  ],
  ['a device without a key', 'devices_device_key_check', 'devices device_key', ''],
  ['a device key of 257 characters', 'devices_device_key_check', 'devices device_key', 'ä'.repeat(257)],
  [
    'a customer key with nothing but nonce and tag',
    'devices_customer_key_check',
    'devices customer_key',
    generateBytes(28),
  ],

  ['two signing keys of one id', 'signing_keys_pkey', copySigningKey('id', 'now()')],
  ['two keys that sign', 'signing_keys_one_signs', copySigningKey("'other'", 'null')],
  [
    'a private key with nothing but nonce and tag',
    'signing_keys_private_key_check',
    'signing_keys private_key',
    generateBytes(28),
  ],
  [
    'signed tokens that are dead when they are born',
    'signing_keys_longest_lifetime_seconds_check',
    'signing_keys longest_lifetime_seconds',
    0,
  ],

  ['two counts of one name', 'attempts_pkey', 'insert into attempts (key, points) select key, 1 from attempts'],

  ['a second key of networks', 'network_key_pkey', 'insert into network_key (key) select key from network_key'],
  ['a key of networks that is not the only one', 'network_key_only_row_check', 'network_key only_row', false],
  ['a key of networks that is short', 'network_key_key_check', 'network_key key', 'k'.repeat(95)],

  [
    'two counts of failures by one key',
    'failures_pkey',
    'insert into failures (key, count, failed_at) select key, 1, now() from failures',
  ],
  ['failures by what is no keyed hash', 'failures_key_check', 'failures key', 'h'.repeat(42)],
  ['a failure count of zero', 'failures_count_check', 'failures count', 0],
  [
    'a wait that is over before it begins',
    'failures_check',
    "update failures set wait_until = failed_at - interval '1s'",
  ],

  [
    'two lists of guesses by one key',
    'guesses_pkey',
    "insert into guesses (key, guessed_at) select key, '{}' from guesses",
  ],
  ['guesses by what is no keyed hash', 'guesses_key_check', 'guesses key', '203.0.113.7'],

  [
    'two lists of names by one network',
    'network_names_pkey',
    "insert into network_names (key, names, failed_at) select key, '{}', '{}' from network_names",
  ],
  ['names by a network that is no keyed hash', 'network_names_key_check', 'network_names key', '203.0.113.7'],
  ['more names than failures', 'network_names_check', "update network_names set names = names || array['another']"],

  [
    'two moments of one known network',
    'known_networks_pkey',
    'insert into known_networks (key, user_id, signed_in_at) select key, user_id, now() from known_networks',
  ],
  ['a known network that is no keyed hash', 'known_networks_key_check', 'known_networks key', '203.0.113.7'],
  ['a known network without a user', 'known_networks_user_id_fkey', 'known_networks user_id', generateId()],

  ['two fingerprints of keys', 'encryption_key_pkey', 'insert into encryption_key (fingerprint) values (null)'],
  ['a fingerprint that is not the only one', 'encryption_key_only_row_check', 'encryption_key only_row', false],
  ['a fingerprint that is no keyed hash', 'encryption_key_fingerprint_check', 'encryption_key fingerprint', 'key'],
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
  ['a built-in client without a secret', 'update clients set is_public = true, secret_hash = null, is_built_in = true'],
  ['a device key of 256 characters', 'devices device_key', '𝔸'.repeat(256)],
  ['an encrypted customer key of one byte', 'devices customer_key', generateBytes(29)],
  ['any number of signing keys that were replaced', copySigningKey("'other'", 'now()')],
  ['a count that never ends', 'attempts expire', null],
  ['a trusted client with a secret', 'clients is_trusted', true],
  ['failures without a wait', 'failures wait_until', null],
  ['a wait that is over as it begins', 'update failures set wait_until = failed_at'],
  ['servers without a key', 'encryption_key fingerprint', null],
  ['a user who is known from two networks', copyKnownNetwork('other')],
]

describe('an impossible row', async () => {
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
    'is not %s',
    async (_what, [change, value]) => {
      await tryChange(database, change, value)
    },
  )

  test('is listed here for every constraint and every unique index', async () => {
    const constraints = await database.script<{ name: string }>(
      `select name from (
        select conname as name, conrelid as relation from pg_constraint where contype <> 'n'
        union
        select relname, indrelid from pg_index join pg_class on oid = indexrelid where indisunique
      ) named
      where relation in (select oid from pg_class where relnamespace = 'password_grant'::regnamespace)
        and relation <> 'password_grant.migrations'::regclass
      order by name collate "C"`,
    )
    const tried = new Set(impossible.map(([, constraint]) => constraint))
    expect([...tried].toSorted()).toEqual(constraints.map(({ name }) => name))
  })

  test('is a row with null in a required column', async () => {
    const columns = await database.script<{ change: string }>(
      `select table_name || ' ' || column_name as change from information_schema.columns
      where table_schema = 'password_grant' and is_nullable = 'NO' and table_name <> 'migrations'`,
    )
    expect(columns.length).toBeGreaterThan(25)
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
  ])('%s removes its tokens, and a user the device and the networks too', async (_what, table) => {
    await database.transaction(async (_query, script) => {
      await makeSoundRows(script)
      await script(`delete from ${table}`)
      expect(await script('select id from tokens')).toEqual([])
      if (table === 'users') expect(await script('select user_id from devices')).toEqual([])
      if (table === 'users') expect(await script('select key from known_networks')).toEqual([])
      await script('delete from users; delete from clients; delete from signing_keys; delete from attempts')
      await script('delete from failures; delete from guesses; delete from network_names; delete from encryption_key')
    })
  })
})

/** Makes one sound row of each kind, makes the change, and keeps nothing of it. */
async function tryChange(database: Database, change: string, value?: unknown): Promise<void> {
  const undo = new Error('undo')
  await database
    .transaction(async (_query, script) => {
      await makeSoundRows(script)
      const [, table, column] = /^(\w+) (\w+)$/.exec(change) ?? []
      if (table) await script(`update ${table} set ${column} = $1`, [value])
      else await script(change)
      throw undo
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error
    })
}

async function makeSoundRows(script: Script): Promise<void> {
  await script('set local search_path = password_grant')
  await script('delete from clients') // the built-in ones: one row of each kind is easier to change
  await script(`insert into clients (id, is_public, secret_hash) values ('sound', false, $1)`, [sha256])
  await script(`insert into users (id, name, name_key, password_hash) values ($1, $2, $2, $3)`, [
    generateId(),
    randomWord(),
    argon2id,
  ])
  await script(
    `insert into tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
    select gen_random_uuid(), users.id, 'label', clients.id, $1, now(), now() + interval '1 hour' from users, clients`,
    [generateBytes(32)],
  )
  await script(
    `insert into devices (user_id, device_key, customer_key, last_timestamp) select id, 'sound', $1, 1 from users`,
    [generateBytes(44)],
  )
  await script(`insert into signing_keys (id, public_key, private_key) values ('sound', '{}', $1)`, [generateBytes(44)])
  await script(`insert into attempts (key, points, expire) values ('sound', 1, 1)`)
  await script('insert into failures (key, count, failed_at, wait_until) values ($1, 5, now(), now())', [
    keyOf('sound'),
  ])
  await script('insert into guesses (key, guessed_at) values ($1, array[now()])', [keyOf('sound')])
  await script('insert into network_names (key, names, failed_at) values ($1, array[$1], array[now()])', [
    keyOf('sound'),
  ])
  await script('insert into known_networks (key, user_id, signed_in_at) select $1, id, now() from users', [
    keyOf('sound'),
  ])
  await script('insert into encryption_key (fingerprint) values ($1)', [keyOf('sound')])
}

/** As long as a keyed hash. */
function keyOf(name: string): string {
  return name.padEnd(43, '_')
}

function copyToken(id: string, device: string): string {
  return `insert into tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
  select ${id}, user_id, ${device}, client_id, secret_hash, issued_at, expires_at from tokens`
}

function copyDevice(userId: string, deviceKey: string): string {
  return `insert into devices (user_id, device_key, customer_key) select ${userId}, ${deviceKey}, customer_key from devices`
}

function copySigningKey(id: string, replacedAt: string): string {
  return `insert into signing_keys (id, public_key, private_key, replaced_at)
  select ${id}, public_key, private_key, ${replacedAt} from signing_keys`
}

function copyKnownNetwork(name: string): string {
  return `insert into known_networks (key, user_id, signed_in_at)
  select '${keyOf(name)}', user_id, signed_in_at from known_networks`
}
