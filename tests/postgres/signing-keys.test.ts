import { createHmac } from 'node:crypto'
import { createLocalJWKSet, decodeProtectedHeader, type JWK, jwtVerify } from 'jose'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/database/postgres.ts'
import { commandTimeouts } from '../../src/database/timeouts.ts'
import { device } from '../../src/dialects/device.ts'
import { decrypt, generateBytes } from '../../src/secrets.ts'
import { createServer } from '../../src/server.ts'
import { createSigningKeyFinder, rotateSigningKey } from '../../src/tokens/signing-keys.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { nextTimestamp } from '../support/device-time.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { randomWord } from '../support/people.ts'
import { bearer } from '../support/requests.ts'
import { plainOptions } from '../support/test-server.ts'

const encryptionKey = generateBytes(32)

/** A database of one test's own, with as many servers on it as asked for. */
async function setUp({ servers = 2, lifetimeSeconds = 600 } = {}) {
  const { database, url } = await freshDatabase()
  const opened = await Promise.all(
    Array.from({ length: servers }, () => openDatabase(url, { timeouts: commandTimeouts })),
  )
  const dialects = [{ ...device, lifetimeSeconds }]
  const apps = await Promise.all(
    opened.map((own) =>
      createServer(own, pino({ level: 'trace' }, logLines), {
        ...plainOptions,
        dialects,
        encryptionKey,
        throttle: false,
      }),
    ),
  )
  for (const app of apps) await app.ready()
  onTestFinished(async () => {
    for (const app of apps) await app.close()
    for (const each of [...opened, database]) await each.close()
  })
  const [app, other = app] = apps as [(typeof apps)[0], (typeof apps)[0]]
  const rotate = (own = opened[0] ?? database) => own.transaction((query) => rotateSigningKey(query, encryptionKey))
  return { database, opened, app, other, apps, rotate }
}

type App = Awaited<ReturnType<typeof setUp>>['app']
type Databases = Awaited<ReturnType<typeof setUp>>['database']

async function addDevice({ writes: query }: Databases) {
  const deviceKey = `device-${randomWord()}`
  const customerKey = keepSecret(randomWord())
  const { userId } = await registerDevice(query, encryptionKey, { deviceKey, customerKey })
  return { userId, deviceKey, customerKey }
}

/** A token and the id of the key it is signed with. */
async function signIn(app: App, { deviceKey, customerKey }: { deviceKey: string; customerKey: string }) {
  const timestamp = nextTimestamp()
  const body = {
    device_key: deviceKey,
    timestamp,
    device_signature: createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex'),
  }
  const response = await app.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(response.statusCode).toBe(200)
  const value: string = keepSecret(response.json().token)
  return { value, kid: decodeProtectedHeader(value).kid }
}

async function published(app: App): Promise<JWK[]> {
  return (await app.inject('/.well-known/jwks.json')).json().keys
}

const kidsOf = async (app: App) => (await published(app)).map(({ kid }) => kid)

const statusOf = async (app: App, value: string) =>
  (await app.inject({ url: '/userinfo', headers: bearer(value) })).statusCode

async function countSigning({ script }: Databases): Promise<number> {
  const [row] = await script<{ count: number }>(
    'select count(*)::int as count from password_grant.signing_keys where replaced_at is null',
  )
  return row?.count ?? -1
}

/** As if the key had been replaced so many seconds ago. */
async function replacedAgo({ script }: Databases, kid: string | undefined, seconds: number): Promise<void> {
  const moved = await script(
    'update password_grant.signing_keys set replaced_at = now() - make_interval(secs => $2) where id = $1 returning id',
    [kid, seconds],
  )
  expect(moved).toHaveLength(1)
}

describe('the first signing key', () => {
  test('is one, even when many servers need it at once', async () => {
    const { database, opened } = await setUp({ servers: 5 })
    const finders = opened.map(({ writes: query }) => createSigningKeyFinder(query, encryptionKey))
    const keys = await Promise.all([...finders, ...finders].map((find) => find()))
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1)
    expect(await database.script('select from password_grant.signing_keys')).toHaveLength(1)
  })

  test('is not published before it exists', async () => {
    const { app } = await setUp({ servers: 1 })
    expect(await published(app)).toEqual([])
  })
})

describe('a new signing key', () => {
  test('is used by running servers at once, and tokens of the old key stay valid everywhere', async () => {
    const { database, app, other, rotate } = await setUp()
    const [one, two] = [await addDevice(database), await addDevice(database)]
    const older = [await signIn(app, one), await signIn(other, two)]
    const old = older[0]?.kid
    expect(older.map(({ kid }) => kid)).toEqual([old, old])

    const kid = await rotate()
    expect(kid).not.toBe(old)
    for (const target of [app, other]) {
      expect(await kidsOf(target)).toEqual([kid, old])
      const keys = createLocalJWKSet({ keys: await published(target) })
      for (const { value } of older) {
        await expect(jwtVerify(value, keys)).resolves.toBeDefined()
        expect(await statusOf(target, value)).toBe(200)
      }
    }
    const newer = [await signIn(app, await addDevice(database)), await signIn(other, await addDevice(database))]
    expect(newer.map((token) => token.kid)).toEqual([kid, kid])
    const keys = createLocalJWKSet({ keys: await published(app) })
    for (const { value } of newer) {
      await expect(jwtVerify(value, keys)).resolves.toBeDefined()
      for (const target of [app, other]) expect(await statusOf(target, value)).toBe(200)
    }
  })

  test('can come in the middle of sign-ins: each gets a verifiable token', async () => {
    const { database, app, other, rotate } = await setUp()
    const devices = await Promise.all(Array.from({ length: 40 }, () => addDevice(database)))
    const [tokens] = await Promise.all([
      Promise.all(devices.map((signer, turn) => signIn(turn % 2 ? app : other, signer))),
      rotate().then(() => rotate()),
    ])
    const keys = createLocalJWKSet({ keys: await published(app) })
    for (const { value } of tokens) {
      await expect(jwtVerify(value, keys)).resolves.toBeDefined()
      expect(await statusOf(app, value)).toBe(200)
    }
  })

  test('changes nothing when its transaction is rolled back', async () => {
    const { database, app } = await setUp({ servers: 1 })
    const { kid } = await signIn(app, await addDevice(database))
    const change = database.transaction(async (query) => {
      await rotateSigningKey(query, encryptionKey)
      throw new Error('changed my mind')
    })
    await expect(change).rejects.toThrow('changed my mind')
    expect(await kidsOf(app)).toEqual([kid])
    expect((await signIn(app, await addDevice(database))).kid).toBe(kid)
  })

  test('is exactly one, when several are made at once', async () => {
    const { database, app, opened, rotate } = await setUp({ servers: 4 })
    await signIn(app, await addDevice(database))
    const kids = await Promise.all([...opened, ...opened].map((own) => rotate(own)))
    expect(new Set(kids).size).toBe(8)
    expect(await countSigning(database)).toBe(1)
    const { kid } = await signIn(app, await addDevice(database))
    expect(kids).toContain(kid)
    expect((await kidsOf(app))[0]).toBe(kid)
  })

  test('is exactly one, when it is made while servers create the first', async () => {
    const { database, opened, rotate } = await setUp({ servers: 4 })
    const find = opened.map(({ writes: query }) => createSigningKeyFinder(query, encryptionKey)())
    await Promise.all([rotate(), ...find, rotate()])
    expect(await countSigning(database)).toBe(1)
  })

  test('is never two: the database itself refuses a second', async () => {
    const { database, rotate } = await setUp({ servers: 1 })
    await rotate()
    const second = database.script(
      `insert into password_grant.signing_keys (id, public_key, private_key)
      select 'another', public_key, private_key from password_grant.signing_keys`,
    )
    await expect(second).rejects.toThrow('signing_keys_one_signs')
  })
})

describe('a replaced signing key', () => {
  test.each([600, 3_600])('is published until its last token of %i seconds has expired', async (lifetimeSeconds) => {
    const { database, app, rotate } = await setUp({ servers: 1, lifetimeSeconds })
    const { kid: old } = await signIn(app, await addDevice(database))
    const kid = await rotate()
    await replacedAgo(database, old, lifetimeSeconds - 1)
    expect(await kidsOf(app)).toEqual([kid, old])
    await replacedAgo(database, old, lifetimeSeconds + 120)
    expect(await kidsOf(app)).toEqual([kid])
  })

  test('stays for the longest life of its tokens after any later lifetimes', async () => {
    const { database, app, rotate } = await setUp({ servers: 1 })
    await database.script("update password_grant.clients set lifetime_seconds = 7200 where id = 'device'")
    await signIn(app, await addDevice(database))
    await database.script("update password_grant.clients set lifetime_seconds = null where id = 'device'")
    const { kid: old } = await signIn(app, await addDevice(database))
    const kid = await rotate()
    await replacedAgo(database, old, 7_199)
    expect(await kidsOf(app)).toEqual([kid, old])
  })

  test('goes with the next change, when its last token has expired', async () => {
    const { database, app, rotate } = await setUp({ servers: 1 })
    const { kid: old } = await signIn(app, await addDevice(database))
    const middle = await rotate()
    await replacedAgo(database, old, 1_000)
    const kid = await rotate()
    const rows = await database.script<{ id: string }>('select id from password_grant.signing_keys')
    expect(rows.map(({ id }) => id).toSorted()).toEqual([middle, kid].toSorted())
  })
})

describe('in the database', () => {
  test('no private key, customer key or token is in clear text', async () => {
    const { database, app, rotate } = await setUp({ servers: 1 })
    const signer = await addDevice(database)
    const { value } = await signIn(app, signer)
    await rotate()
    await signIn(app, await addDevice(database))
    const keys = await database.script<{ id: string; encrypted: Buffer }>(
      'select id, private_key as encrypted from password_grant.signing_keys',
    )
    const pems = keys.map(({ id, encrypted }) => decrypt(encryptionKey, `signing key ${id}`, encrypted))
    expect(pems.map((pem) => pem.split('\n')[0])).toEqual([
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN PRIVATE KEY-----',
    ])

    const dump = await dumpRows(database)
    expect(dump).toContain(signer.deviceKey)
    const hidden = [
      signer.customerKey,
      value,
      encryptionKey,
      ...pems.flatMap((pem) => pem.split('\n').filter((line) => line.length > 40)),
      'PRIVATE KEY',
      '"d":',
    ]
    for (const secret of hidden) for (const spelling of spellings(secret)) expect(dump).not.toContain(spelling)
  })

  test('equal customer keys of two devices look different', async () => {
    const { database } = await setUp({ servers: 1 })
    const customerKey = keepSecret(randomWord())
    for (const deviceKey of ['one', 'two']) {
      await registerDevice(database.writes, encryptionKey, { deviceKey, customerKey })
    }
    const rows = await database.script<{ key: Buffer }>('select customer_key as key from password_grant.devices')
    expect(new Set(rows.map(({ key }) => key.toString('hex', 28))).size).toBe(2)
  })

  test('a signing key decrypts only with its own encryption key', async () => {
    const { database } = await setUp({ servers: 1 })
    const { id } = await createSigningKeyFinder(database.writes, encryptionKey)()
    await expect(createSigningKeyFinder(database.writes, generateBytes(32))()).rejects.toThrow(
      `signing key ${id} cannot be decrypted: ENCRYPTION_KEY is not the one it was encrypted with`,
    )
    expect(await countSigning(database)).toBe(1)
  })

  test('a server with a different encryption key cannot replace a signing key', async () => {
    const { database } = await setUp({ servers: 1 })
    const { id } = await createSigningKeyFinder(database.writes, encryptionKey)()
    const rotating = database.transaction((query) => rotateSigningKey(query, generateBytes(32)))
    await expect(rotating).rejects.toThrow('ENCRYPTION_KEY is not the one it was encrypted with')
    expect((await createSigningKeyFinder(database.writes, encryptionKey)()).id).toBe(id)
  })
})

/** Every row of every table as text. */
async function dumpRows({ script }: Databases): Promise<string> {
  const tables = await script<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'password_grant'",
  )
  expect(tables.length).toBeGreaterThanOrEqual(6)
  const dumps = await Promise.all(
    tables.map(({ name }) => script<{ row: string }>(`select t::text as row from password_grant."${name}" t`)),
  )
  return dumps.flatMap((rows) => rows.map(({ row }) => row)).join('\n')
}

function spellings(secret: string | Buffer): string[] {
  const bytes = Buffer.from(secret as string)
  const coded = [bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')]
  return typeof secret === 'string' ? [secret, ...coded] : coded
}
