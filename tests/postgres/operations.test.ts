import pg from 'pg'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Client } from '../../src/clients/client.ts'
import type { Database } from '../../src/database/database.ts'
import { createEvents, type Event } from '../../src/events.ts'
import { createClientCheck } from '../../src/grants/authenticate-client.ts'
import { addClient, disableClient, enableClient, removeClient, rotateClient } from '../../src/operations/clients.ts'
import { addDevice, disableDevice, enableDevice } from '../../src/operations/devices.ts'
import { rotateSigningKey } from '../../src/operations/keys.ts'
import { listClients, listDevices, listTokens, listUsers } from '../../src/operations/lists.ts'
import type { EncryptingOperator, HashingOperator } from '../../src/operations/operator.ts'
import { runTogether } from '../../src/operations/run-operation.ts'
import { revokeTokens } from '../../src/operations/tokens.ts'
import { addUser, disableUser, enableUser, removeUser, setPassword, setRole } from '../../src/operations/users.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { generateBytes } from '../../src/secrets.ts'
import { noThrottle } from '../../src/throttle/throttle.ts'
import { findToken } from '../../src/tokens/find-token.ts'
import { authenticateUser } from '../support/credentials.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, leakedLines } from '../support/kept-secrets.ts'
import { cheapPasswords, randomWord } from '../support/people.ts'
import { takeSeat } from '../support/seats.ts'
import { runOn } from '../support/test-cluster.ts'
import { eventually } from '../support/wire.ts'

const encryptionKey = generateBytes(32)
const passwords = await createPasswords(cheapPasswords)
const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

const { database, url } = await freshDatabase()
// before the first connection is opened: deadlocks are found at once
await runOn(url, [`alter database ${new URL(url).pathname.slice(1)} set deadlock_timeout = '20ms'`])
afterAll(() => database.close())

/** An operator, and what it has emitted. */
function newOperator(): { operator: HashingOperator & EncryptingOperator; heard: Event[] } {
  const { emit, subscribe } = createEvents()
  const heard: Event[] = []
  subscribe((event) => void heard.push(event))
  return { operator: { database, passwords, encryptionKey, emit }, heard }
}

const { operator: silent } = newOperator()

interface Person {
  readonly id: string
  readonly name: string
  readonly password: string
}

async function newUser(role = 'Editor'): Promise<Person> {
  const [name, password] = [`user-${randomWord()}`, keepSecret(`password-${randomWord()}`)]
  const { user } = await addUser(silent, name, { password, role })
  return { id: user.id, name, password }
}

async function newClient(): Promise<{ id: string; secret: string }> {
  const id = `client-${randomWord()}`
  const { secret } = await addClient(silent, id, { secret: 'generated' })
  return { id, secret: keepSecret(`${secret}`) }
}

async function newDevice(): Promise<{ deviceKey: string; userId: string }> {
  const deviceKey = `device-${randomWord()}`
  const { device } = await addDevice(silent, deviceKey, { customerKey: keepSecret(randomWord()), role: 'Sensor' })
  return { deviceKey, userId: device.userId }
}

const checkClient = (client: { id: string; secret: string }): Promise<Client> =>
  createClientCheck({ query: database.writes, passwords, throttle: noThrottle })([client], '')

const checkUser = ({ name, password }: { name: string; password: string }) =>
  authenticateUser(database.writes, passwords, name, password)

/** Gives a token to the user of that id, at a device label, without asking for a password. */
async function giveToken(userId: string, client: { id: string; secret: string }, device = ''): Promise<string> {
  const [row] = await database.script<{ version: string }>(
    'select credential_version as version from password_grant.users where id = $1',
    [userId],
  )
  const { id: clientId, credentialVersion: clientVersion } = await checkClient(client)
  const userVersion = `${row?.version}`
  const subject = { userId, userVersion, clientId, clientVersion, lifetimeSeconds: 3_600, device }
  const issue = await takeSeat(database.writes, subject)
  return issue.value ?? expect.fail('no token was given')
}

const isLive = async (value: string): Promise<boolean> => 'token' in (await findToken(database.lookups, value))

/** The transactions that last wrote the row of a user or a client, and the user's or client's tokens. */
async function findWriters(table: 'users' | 'clients', id: string): Promise<{ row: string[]; tokens: string[] }> {
  const column = table === 'users' ? 'user_id' : 'client_id'
  const [found] = await database.script<{ row: string[]; tokens: string[] }>(
    `select array(select xmin::text from password_grant.${table} where id::text = $1) as row,
      array(select distinct xmin::text from password_grant.tokens where ${column}::text = $1) as tokens`,
    [id],
  )
  return found ?? expect.fail('no row')
}

/** Makes the database refuse every end of a token of that user, until the test is over. */
async function refuseEnds(userId: string): Promise<void> {
  const name = `refuse_${randomWord()}`
  await runOn(url, [
    `create function public.${name}() returns trigger language plpgsql as
      $$ begin raise exception 'the tokens cannot be ended'; end $$`,
    `create trigger ${name} before update on password_grant.tokens
      for each row when (new.user_id = '${userId}') execute function public.${name}()`,
  ])
  onTestFinished(() =>
    runOn(url, [`drop trigger ${name} on password_grant.tokens`, `drop function public.${name}()`]).then(
      () => undefined,
    ),
  )
}

describe('a change that ends tokens', () => {
  interface Change {
    readonly act: (operator: HashingOperator, user: Person) => Promise<unknown>
    readonly event: Partial<Event>
  }

  const ofUser: [string, Change][] = [
    [
      'setPassword',
      {
        act: (operator, { name }) => setPassword(operator, name, { password: keepSecret(`next-${randomWord()}`) }),
        event: { type: 'user.password_changed' },
      },
    ],
    [
      'setRole',
      {
        act: (operator, { name }) => setRole(operator, name, { role: 'Reader' }),
        event: { type: 'user.role_changed', role: 'Reader' },
      },
    ],
    ['disableUser', { act: (operator, { name }) => disableUser(operator, name), event: { type: 'user.disabled' } }],
    [
      'revokeTokens',
      {
        act: (operator, { name }) => revokeTokens(operator, name),
        event: { type: 'token.revoked', by: 'operator', device: null },
      },
    ],
  ]

  test.each(ofUser)(
    '%s ends them in the transaction that changes the user and returns their number',
    async (_name, change) => {
      const [user, client, other] = [await newUser(), await newClient(), await newUser()]
      const ended = await Promise.all(['', 'phone'].map((label) => giveToken(user.id, client, label)))
      const kept = await giveToken(other.id, client)
      const { operator, heard } = newOperator()
      await change.act(operator, user)
      expect(await Promise.all([...ended, kept].map(isLive))).toEqual([false, false, true])
      const { row, tokens } = await findWriters('users', user.id)
      expect(tokens).toEqual(row)
      expect(heard).toEqual([{ ...change.event, userId: user.id, endedTokens: 2 }])
    },
  )

  test.each(ofUser)('%s that fails midway changes nothing and emits nothing', async (_name, change) => {
    const [user, client] = [await newUser(), await newClient()]
    const value = await giveToken(user.id, client)
    const before = await findWriters('users', user.id)
    await refuseEnds(user.id)
    const { operator, heard } = newOperator()
    await expect(change.act(operator, user)).rejects.toThrow('the tokens cannot be ended')
    expect(heard).toEqual([])
    expect(await findWriters('users', user.id)).toEqual(before)
    expect(await isLive(value)).toBe(true)
    await checkUser(user)
  })

  test.each(ofUser)('%s that conflicts with another session is retried and emits once', async (_name, change) => {
    const [user, client] = [await newUser(), await newClient()]
    const value = await giveToken(user.id, client)
    const [keeper, rival] = [await openSession(), await openSession()]
    await keeper.query(lockText('users', 'id'), [user.id])
    await rival.query(lockText('tokens', 'user_id'), [user.id])
    const { operator, heard } = newOperator()
    let runs = 0
    const transaction: Database['transaction'] = (work) =>
      database.transaction((query, script) => {
        runs += 1
        return work(query, script)
      })
    const acting = change.act({ ...operator, database: { ...database, transaction } }, user)
    await waitingSessions(1)
    const locking = rival.query(lockText('users', 'id'), [user.id])
    await waitingSessions(2)
    await keeper.query('commit') // the operation has the user now, and wants the token, whose holder wants the user
    await locking
    await rival.query('commit')
    await acting
    expect(await isLive(value)).toBe(false)
    expect(heard).toEqual([{ ...change.event, userId: user.id, endedTokens: 1 }])
    expect(runs).toBe(2)
  })

  /** Another session, in a transaction that PostgreSQL does not choose to end a deadlock. */
  async function openSession(): Promise<pg.Client> {
    const session = new pg.Client({ connectionString: url })
    await session.connect()
    onTestFinished(() => session.end())
    await session.query("set deadlock_timeout = '1h'; begin")
    return session
  }

  const lockText = (table: string, column: string) =>
    `select from password_grant.${table} where ${column} = $1 for update`

  const waitingSessions = (count: number) =>
    eventually(
      () =>
        runOn(url, ["select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"]),
      (waiting) => waiting.length === count,
    )

  test('disableClient ends the tokens of all its users in the transaction that disables it', async () => {
    const [client, other] = [await newClient(), await newClient()]
    const users = await Promise.all([newUser(), newUser()])
    const ended = await Promise.all(users.map(({ id }) => giveToken(id, client)))
    const kept = await giveToken(users[0].id, other, 'phone')
    const { operator, heard } = newOperator()
    expect(await disableClient(operator, client.id)).toMatchObject({ id: client.id, isEnabled: false })
    expect(await Promise.all([...ended, kept].map(isLive))).toEqual([false, false, true])
    const { row, tokens } = await findWriters('clients', client.id)
    expect(tokens).toEqual(row)
    expect(heard).toEqual([{ type: 'client.disabled', clientId: client.id, endedTokens: 2 }])
  })

  test('disableClient that fails midway leaves the client enabled and emits nothing', async () => {
    const [client, user] = [await newClient(), await newUser()]
    const value = await giveToken(user.id, client)
    await refuseEnds(user.id)
    const { operator, heard } = newOperator()
    await expect(disableClient(operator, client.id)).rejects.toThrow('the tokens cannot be ended')
    expect([heard, await isLive(value)]).toEqual([[], true])
    await checkClient(client)
  })

  test('disableDevice ends the token of the device in the transaction that disables it', async () => {
    const [client, { deviceKey, userId }] = [await newClient(), await newDevice()]
    const value = await giveToken(userId, client, deviceKey)
    const { operator, heard } = newOperator()
    expect(await disableDevice(operator, deviceKey)).toMatchObject({ deviceKey, userId, isEnabled: false })
    expect(await isLive(value)).toBe(false)
    const { row, tokens } = await findWriters('users', userId)
    expect(tokens).toEqual(row)
    expect(heard).toEqual([{ type: 'device.disabled', userId, deviceKey, endedTokens: 1 }])
  })

  test('removeUser and removeClient remove the tokens too', async () => {
    const [client, other, user] = [await newClient(), await newClient(), await newUser()]
    const [first, second] = [await giveToken(user.id, client), await giveToken(user.id, other, 'phone')]
    const { operator, heard } = newOperator()
    expect(await removeClient(operator, client.id)).toMatchObject({ id: client.id })
    expect([await isLive(first), await isLive(second)]).toEqual([false, true])
    expect(await removeUser(operator, user.name)).toMatchObject({ id: user.id, role: 'Editor' })
    expect(await isLive(second)).toBe(false)
    await expect(checkUser(user)).rejects.toThrow('incorrect')
    expect(heard).toEqual([
      { type: 'client.removed', clientId: client.id },
      { type: 'user.removed', userId: user.id },
    ])
  })

  test('revokeTokens of one device ends the token in that seat alone; the empty label is a seat like any other', async () => {
    const [client, user] = [await newClient(), await newUser()]
    const values = [
      await giveToken(user.id, client),
      await giveToken(user.id, client, 'phone'),
      await giveToken(user.id, client, 'till'),
    ]
    const { operator, heard } = newOperator()
    expect(await revokeTokens(operator, user.name.toUpperCase(), { device: 'phone' })).toBe(1)
    expect(await Promise.all(values.map(isLive))).toEqual([true, false, true])
    expect(await revokeTokens(operator, user.name, { device: '' })).toBe(1)
    expect(await Promise.all(values.map(isLive))).toEqual([false, false, true])
    expect(await revokeTokens(operator, user.name, { device: 'phone' })).toBe(0)
    const revoked = { type: 'token.revoked', by: 'operator', userId: user.id }
    expect(heard).toEqual([
      { ...revoked, device: 'phone', endedTokens: 1 },
      { ...revoked, device: '', endedTokens: 1 },
      { ...revoked, device: 'phone', endedTokens: 0 },
    ])
    await checkUser(user)
  })
})

describe('a change that ends no tokens', () => {
  test('enableUser lets the user in again, and brings no token back', async () => {
    const [client, user] = [await newClient(), await newUser()]
    const value = await giveToken(user.id, client)
    await disableUser(silent, user.name)
    await expect(checkUser(user)).rejects.toThrow('incorrect')
    const { operator, heard } = newOperator()
    expect(await enableUser(operator, user.name)).toMatchObject({ id: user.id, isEnabled: true })
    await checkUser(user)
    expect(await isLive(value)).toBe(false)
    expect(heard).toEqual([{ type: 'user.enabled', userId: user.id }])
  })

  test('enableClient and enableDevice bring no token back either', async () => {
    const [client, { deviceKey, userId }] = [await newClient(), await newDevice()]
    await disableClient(silent, client.id)
    await disableDevice(silent, deviceKey)
    const { operator, heard } = newOperator()
    expect(await enableClient(operator, client.id)).toMatchObject({ id: client.id, isEnabled: true })
    expect(await enableDevice(operator, deviceKey)).toMatchObject({ deviceKey, isEnabled: true })
    await checkClient(client)
    expect(heard).toEqual([
      { type: 'client.enabled', clientId: client.id },
      { type: 'device.enabled', userId, deviceKey },
    ])
  })

  test('rotateClient keeps the tokens, and the old secret during the overlap', async () => {
    const [client, user] = [await newClient(), await newUser()]
    const value = await giveToken(user.id, client)
    const { operator, heard } = newOperator()
    const second = {
      id: client.id,
      secret: keepSecret(await rotateClient(operator, client.id, { overlapSeconds: 60 })),
    }
    await checkClient(client)
    await checkClient(second)
    const third = { id: client.id, secret: keepSecret(await rotateClient(operator, client.id)) }
    await checkClient(third)
    await expect(checkClient(second)).rejects.toMatchObject({ code: 'invalid_client' })
    expect(await isLive(value)).toBe(true)
    const rotated = { type: 'client.rotated', clientId: client.id }
    expect(heard).toEqual([
      { ...rotated, overlapSeconds: 60 },
      { ...rotated, overlapSeconds: 0 },
    ])
  })

  test.each([-1, 0.5, Number.NaN, 1e9])('rotateClient refuses an overlap of %s seconds', async (overlapSeconds) => {
    const client = await newClient()
    const { operator, heard } = newOperator()
    await expect(rotateClient(operator, client.id, { overlapSeconds })).rejects.toThrow('An overlap is a whole number')
    await checkClient(client)
    expect(heard).toEqual([])
  })

  test('rotateSigningKey resolves with the id of the new signing key', async () => {
    const { operator, heard } = newOperator()
    const keyId = await rotateSigningKey(operator)
    const [row] = await database.script('select id from password_grant.signing_keys where replaced_at is null')
    expect(row).toEqual({ id: keyId })
    expect(heard).toEqual([{ type: 'key.rotated', keyId }])
    const other = { ...operator, encryptionKey: generateBytes(32) }
    await expect(rotateSigningKey(other)).rejects.toThrow('ENCRYPTION_KEY is not the one')
    expect(heard).toHaveLength(1)
  })
})

describe('an addition', () => {
  test('by addUser resolves with the user, stores only a hash and advises a longer password', async () => {
    const { operator, heard } = newOperator()
    const [name, password] = [`user-${randomWord()}`, keepSecret(randomWord().slice(0, 12))]
    const { user, advice } = await addUser(operator, name, { password, role: 'Editor' })
    expect(user).toMatchObject({ id: uuid, name, role: 'Editor', isEnabled: true })
    expect(advice).toBe('A password of at least 15 characters is recommended.')
    await checkUser({ name, password })
    const rows = await database.script('select u::text as text from password_grant.users u where name = $1', [name])
    expect(leakedLines([JSON.stringify(rows), JSON.stringify(heard)])).toEqual([])
    expect(heard).toEqual([{ type: 'user.created', userId: user.id, role: 'Editor' }])
    const { user: plain, advice: none } = await addUser(silent, `user-${randomWord()}`, {
      password: keepSecret(`a longer password ${randomWord()}`),
    })
    expect([plain.role, none]).toEqual(['', null])
  })

  test('by setPassword advises likewise and refuses the same passwords as addUser', async () => {
    const { operator, heard } = newOperator()
    const user = await newUser()
    const { advice } = await setPassword(operator, user.name, { password: keepSecret(randomWord().slice(0, 8)) })
    expect(advice).toBe('A password of at least 15 characters is recommended.')
    for (const password of ['sesame!', 'Password1', user.name.toUpperCase()]) {
      await expect(setPassword(operator, user.name, { password })).rejects.toMatchObject({ code: 'invalid_request' })
      await expect(addUser(operator, user.name, { password })).rejects.toMatchObject({ code: 'invalid_request' })
    }
    expect(heard).toHaveLength(1)
  })

  test('by addClient resolves with the generated secret once and stores only its hash', async () => {
    const { operator, heard } = newOperator()
    const id = `client-${randomWord()}`
    const { client, secret, hasShortSecret } = await addClient(operator, id, {
      secret: 'generated',
      lifetimeSeconds: 60,
    })
    expect(client).toMatchObject({ id, isPublic: false, isEnabled: true, lifetimeSeconds: 60 })
    expect(client).not.toHaveProperty('secret')
    expect([secret, hasShortSecret]).toEqual([expect.stringMatching(/^[A-Za-z0-9]{43}$/), false])
    await checkClient({ id, secret: keepSecret(`${secret}`) })
    const rows = await database.script('select c::text as text from password_grant.clients c where id = $1', [id])
    expect(leakedLines([JSON.stringify(rows), JSON.stringify(heard)])).toEqual([])
    expect(heard).toEqual([{ type: 'client.created', clientId: id }])
  })

  test('by addClient repeats no chosen secret and warns of a short one', async () => {
    const chosen = keepSecret(randomWord().slice(0, 12))
    const id = `client-${randomWord()}`
    await expect(addClient(silent, id, { secret: { chosen } })).rejects.toThrow('at least 16 characters')
    const added = await addClient(silent, id, { secret: { chosen, allowShort: true } })
    expect(added).toMatchObject({ secret: null, hasShortSecret: true })
    await checkClient({ id, secret: chosen })
    const open = await addClient(silent, `client-${randomWord()}`, { secret: 'public' })
    expect(open).toMatchObject({ client: { isPublic: true }, secret: null, hasShortSecret: false })
  })

  test('by addDevice stores the customer key encrypted and leaves no trace of a refused device', async () => {
    const { operator, heard } = newOperator()
    const [deviceKey, customerKey] = [`device-${randomWord()}`, keepSecret(randomWord())]
    const { device, hasShortKey } = await addDevice(operator, deviceKey, { customerKey, role: 'Sensor' })
    expect([device, hasShortKey]).toEqual([expect.objectContaining({ deviceKey, role: 'Sensor', userId: uuid }), false])
    const [row] = await database.script<{ key: Buffer }>(
      'select customer_key as key from password_grant.devices where device_key = $1',
      [deviceKey],
    )
    expect(row?.key.includes(customerKey)).toBe(false)
    expect(heard).toEqual([{ type: 'device.created', userId: device.userId, deviceKey, role: 'Sensor' }])
    const short = { customerKey: keepSecret('only ten c'), allowShort: true }
    expect(await addDevice(silent, `device-${randomWord()}`, short)).toMatchObject({ hasShortKey: true })
    await rotateSigningKey(silent)
    const wrong = { ...operator, encryptionKey: generateBytes(32) }
    const refused = `device-${randomWord()}`
    await expect(addDevice(wrong, refused, { customerKey })).rejects.toThrow('ENCRYPTION_KEY is not the one')
    await expect(setRole(silent, refused, { role: '' })).rejects.toMatchObject({ status: 404 })
    expect(heard).toHaveLength(1)
  })
})

describe('a refusal', () => {
  test('has the status 409 for a taken name and 404 for an unknown one, and emits nothing', async () => {
    const [user, client, device] = [await newUser(), await newClient(), await newDevice()]
    const { operator, heard } = newOperator()
    const password = keepSecret(`password-${randomWord()}`)
    const customerKey = keepSecret(randomWord())
    const taken = { code: 'invalid_request', status: 409 }
    const unknown = { code: 'invalid_request', status: 404 }
    await expect(addUser(operator, user.name.toUpperCase(), { password })).rejects.toMatchObject(taken)
    await expect(addUser(operator, randomWord(), { password, id: user.id })).rejects.toMatchObject(taken)
    await expect(addClient(operator, client.id, { secret: 'public' })).rejects.toMatchObject(taken)
    await expect(addDevice(operator, device.deviceKey, { customerKey })).rejects.toMatchObject(taken)
    const unknowns: (() => Promise<unknown>)[] = [
      () => setPassword(operator, 'nobody', { password }),
      () => setRole(operator, 'nobody', { role: '' }),
      ...[disableUser, enableUser, removeUser, revokeTokens].map((act) => () => act(operator, 'nobody')),
      ...[disableDevice, enableDevice].map((act) => () => act(operator, 'nobody')),
      ...[disableClient, enableClient, removeClient, rotateClient].map((act) => () => act(operator, 'nobody')),
    ]
    for (const act of unknowns) await expect(act()).rejects.toMatchObject(unknown)
    expect(heard).toEqual([])
  })

  test('does not follow from a failing event listener: the commit stands', async () => {
    const name = `user-${randomWord()}`
    const emit = () => {
      throw new Error('a reader failed')
    }
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    const { user } = await addUser({ ...silent, emit }, name, { password: keepSecret(`password-${randomWord()}`) })
    expect(user.name).toBe(name)
    expect((await warned).message).toBe('a reader failed')
  })
})

describe('operations in one transaction', () => {
  const add = (operator: HashingOperator, name: string) =>
    addUser(operator, name, { password: keepSecret(`password-${randomWord()}`) })

  test('commit together and then emit in order', async () => {
    const names = [`user-${randomWord()}`, `user-${randomWord()}`]
    const { operator, heard } = newOperator()
    const added = await runTogether(operator, async (within) => {
      const added = [await add(within, `${names[0]}`), await add(within, `${names[1]}`)]
      await expect(setRole(silent, `${names[0]}`, { role: 'x' })).rejects.toMatchObject({ status: 404 })
      expect(heard).toEqual([])
      return added
    })
    expect(heard).toEqual(added.map(({ user }) => ({ type: 'user.created', userId: user.id, role: '' })))
    expect(
      new Set((await Promise.all(added.map(({ user }) => findWriters('users', user.id)))).map(({ row }) => row[0]))
        .size,
    ).toBe(1)
  })

  test.each([
    ['the work rejects', false],
    ['one of them failed, even where the work goes on', true],
  ])('leave nothing and emit nothing when %s', async (_when, isCaught) => {
    const user = await newUser()
    const name = `user-${randomWord()}`
    const { operator, heard } = newOperator()
    const acting = runTogether(operator, async (within) => {
      await add(within, name)
      if (isCaught) await add(within, user.name).catch(() => undefined)
      else throw new Error('the work has failed')
    })
    await expect(acting).rejects.toThrow(isCaught ? 'already exists' : 'the work has failed')
    expect(heard).toEqual([])
    await expect(disableUser(silent, name)).rejects.toMatchObject({ status: 404 })
  })
})

describe('a list', () => {
  test('has every added row, and refuses an unknown user before the first page', async () => {
    const [user, client, device] = [await newUser(), await newClient(), await newDevice()]
    await giveToken(user.id, client, 'phone')
    const pages = await Promise.all([
      collect(listUsers(silent)),
      collect(listClients(silent)),
      collect(listDevices(silent)),
    ])
    const [users, clients, devices] = pages
    expect(users).toContainEqual(expect.objectContaining({ name: user.name, id: user.id }))
    expect(clients).toContainEqual(expect.objectContaining({ id: client.id, isPublic: false }))
    expect(devices).toContainEqual(expect.objectContaining({ deviceKey: device.deviceKey, userId: device.userId }))
    const tokens = await collect(listTokens(silent, { userName: user.name.toUpperCase() }))
    expect(tokens).toEqual([expect.objectContaining({ userId: user.id, device: 'phone', state: 'live' })])
    expect((await collect(listTokens(silent))).length).toBeGreaterThan(0)
    await expect(listTokens(silent, { userName: 'nobody' }).next()).rejects.toMatchObject({ status: 404 })
  })

  async function collect<Row>(pages: AsyncIterable<readonly Row[]>): Promise<Row[]> {
    const rows: Row[] = []
    for await (const page of pages) rows.push(...page)
    return rows
  }
})
