import { pino } from 'pino'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Client } from '../../src/clients/client.ts'
import { registerClient, setClientEnabled } from '../../src/clients/register-client.ts'
import type { Database, Script } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { createServer } from '../../src/server.ts'
import { revokeTokensOfClient, revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { renewPasswordHash } from '../../src/users/renew-password-hash.ts'
import { authenticateUser } from '../support/credentials.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, authenticateClient, cheapPasswords, randomWord } from '../support/people.ts'
import { type Taking, takeSeat } from '../support/seats.ts'
import { listen } from '../support/sockets.ts'
import { plainOptions } from '../support/test-server.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { eventually, signInAt, whoseAt } from '../support/wire.ts'

type Person = Awaited<ReturnType<typeof addUser>>
type Application = Awaited<ReturnType<typeof addClient>>

interface Change {
  /** After "while". */
  readonly what: string
  readonly command: (user: Person, client: Application) => string[]
  readonly input?: string
  /** Whose row the command changes, so that a lock on it stops both the command and the sign-in. */
  readonly of: 'users' | 'clients'
  /** What the sign-in under way is told. */
  readonly answer: { status: 200; role: string } | { status: number; error: string }
}

const changes: readonly Change[] = [
  {
    what: 'the password is set',
    command: ({ name }) => ['user', 'set-password', name, '--password-stdin'],
    input: 'another password',
    of: 'users',
    answer: { status: 400, error: 'invalid_grant' },
  },
  {
    what: 'the role is set',
    command: ({ name }) => ['user', 'set-role', name, 'Reader'],
    of: 'users',
    answer: { status: 200, role: 'Reader' },
  },
  {
    what: 'the user is disabled',
    command: ({ name }) => ['user', 'disable', name],
    of: 'users',
    answer: { status: 400, error: 'invalid_grant' },
  },
  {
    what: 'the user is removed',
    command: ({ name }) => ['user', 'remove', name],
    of: 'users',
    answer: { status: 400, error: 'invalid_grant' },
  },
  {
    what: 'the tokens are revoked',
    command: ({ name }) => ['token', 'revoke', '--user', name],
    of: 'users',
    answer: { status: 200, role: 'Editor' },
  },
  {
    what: 'the client is disabled',
    command: (_user, { id }) => ['client', 'disable', id],
    of: 'clients',
    answer: { status: 401, error: 'invalid_client' },
  },
  {
    what: 'the client is removed',
    command: (_user, { id }) => ['client', 'remove', id],
    of: 'clients',
    answer: { status: 401, error: 'invalid_client' },
  },
]

const runWarm = warmCommands()
const titled = changes.map((change) => [change.what, change] as const)

describe('a sign-in under way', async () => {
  const passwords = await createPasswords(cheapPasswords)
  let database: Database
  let environment: { DATABASE_URL: string }
  let url: string

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    environment = { DATABASE_URL: fresh.url }
    // in this process, on a database that is patient: how long a command takes to start is the machine's affair
    const app = await createServer(database, pino({ level: 'trace' }, logLines), plainOptions)
    url = await listen(app)
    return async () => {
      await app.close()
      await database.close()
    }
  })

  test.each(titled)(
    'whose password was right gets no token when meanwhile %s',
    async (_what, { command, input, of }) => {
      const [client, user] = [await addClient(database), await addUser(database)]
      const { writes: query } = database
      const authenticated = await authenticateUser(query, passwords, user.name, user.password)
      const asking = await authenticateClient(query, passwords, client)
      await run(command(user, client), input)
      const issue = await takeSeat(query, subjectOf(authenticated, asking))
      expect(issue).toEqual({ changed: of === 'users' ? 'user' : 'client' })
      expect(await countLive(user.id)).toBe(0)
    },
  )

  test.each(titled)('that waits to take its seat while %s gets a true answer', async (_what, change) => {
    const [client, user] = [await addClient(database), await addUser(database)]
    const earlier = (await signInAt(url, { client, user })).body.access_token
    const { commanded, signingIn } = await database.transaction(async (_query, script) => {
      await lock(script, change.of, change.of === 'users' ? user.id : client.id)
      const commanded = run(change.command(user, client), change.input)
      await waitingSessions(1)
      const signingIn = signInAt(url, { client, user })
      await waitingSessions(2)
      return { commanded, signingIn }
    })
    await commanded
    const { status, body } = await signingIn
    const { status: expectedStatus, ...expectedBody } = change.answer
    expect({ status, body }).toMatchObject({ status: expectedStatus, body: expectedBody })
    expect((await whoseAt(url, earlier)).status).toBe(401)
    expect(await countLive(user.id)).toBe(status === 200 ? 1 : 0)
    if (status === 200) expect((await whoseAt(url, body.access_token)).body).toMatchObject(expectedBody)
  })

  test.each(titled)('that takes its seat just before %s keeps no token', async (_what, { command, input, of }) => {
    const [client, user] = [await addClient(database), await addUser(database)]
    await signInAt(url, { client, user }) // from a network that is known, the seat is all a sign-in has to lock
    const { commanded, signingIn } = await database.transaction(async (_query, script) => {
      await lock(script, of, of === 'users' ? user.id : client.id)
      const signingIn = signInAt(url, { client, user })
      await waitingSessions(1)
      const commanded = run(command(user, client), input)
      await waitingSessions(2)
      return { commanded, signingIn }
    })
    const { status, body } = await signingIn
    await commanded
    expect({ status, body }).toMatchObject({ status: 200, body: { role: 'Editor' } })
    expect((await whoseAt(url, body.access_token)).status).toBe(401)
    expect(await countLive(user.id)).toBe(0)
  })

  test.each([
    ['the user is removed and added again under the same id', 'user'],
    ['the client is disabled and enabled again', 'client'],
    ['the client is removed and added again', 'client'],
    ['the client is given a new secret without overlap', 'client'],
  ] as const)('whose password was right gets no token when meanwhile %s', async (what, changed) => {
    const [client, user] = [await addClient(database), await addUser(database)]
    const { writes: query } = database
    const authenticated = await authenticateUser(query, passwords, user.name, user.password)
    const asking = await authenticateClient(query, passwords, client)
    if (what.startsWith('the user')) {
      await run(['user', 'remove', user.name])
      await run(['user', 'add', user.name, '--id', user.id, '--password-stdin'], 'another password')
    } else if (what.includes('disabled')) {
      await run(['client', 'disable', client.id])
      await run(['client', 'enable', client.id])
    } else if (what.includes('removed')) {
      await run(['client', 'remove', client.id])
      await run(['client', 'add', client.id])
    } else {
      await run(['client', 'rotate', client.id])
    }
    expect(await takeSeat(query, subjectOf(authenticated, asking))).toEqual({ changed })
    expect(await countLive(user.id)).toBe(0)
  })

  test('is accepted when its client gets a new secret during the overlap', async () => {
    const [client, user] = [await addClient(database), await addUser(database)]
    const authenticated = await authenticateUser(database.writes, passwords, user.name, user.password)
    const asking = await authenticateClient(database.writes, passwords, client)
    await run(['client', 'rotate', client.id, '--overlap', '60'])
    expect(await takeSeat(database.writes, subjectOf(authenticated, asking))).toHaveProperty('seat')
  })

  test('is accepted when a parallel sign-in renews an old hash', async () => {
    const [client, user] = [await addClient(database), await addUser(database)]
    const dearer = await createPasswords({ ...cheapPasswords, memoryKib: 2048 })
    const { writes: query } = database
    const asking = await authenticateClient(query, dearer, client)
    const [first, second] = [
      await authenticateUser(query, dearer, user.name, user.password),
      await authenticateUser(query, dearer, user.name, user.password),
    ]
    expect(first.checked).toMatch(/m=1024/)
    for (const { userId, checked } of [first, second]) {
      const renewed = await dearer.hash(user.password) // the second comes too late and changes nothing
      await renewPasswordHash(query, userId, { checked, renewed })
    }
    for (const authenticated of [first, second]) {
      const issue = await takeSeat(query, subjectOf(authenticated, asking))
      expect(issue).toHaveProperty('seat')
    }
    const renewed = await authenticateUser(query, dearer, user.name, user.password)
    expect(dearer.needsRenewal(renewed.checked)).toBe(false)
  })

  test('is accepted among many at once with an old hash, which is renewed', async () => {
    const [client, user] = [await addClient(database), await addUser(database)]
    const old = await createPasswords({ ...cheapPasswords, memoryKib: 512 })
    await changeUser(database.writes, user.name, { passwordHash: await old.hash(user.password) })
    const answers = await Promise.all(Array.from({ length: 40 }, () => signInAt(url, { client, user })))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await eventually(
      async () => (await database.script<{ hash: string }>(readHash, [user.id]))[0]?.hash,
      (hash) => hash?.includes('m=1024,') === true,
    )
    expect((await signInAt(url, { client, user })).status).toBe(200)
  })

  async function run(args: string[], input = ''): Promise<void> {
    const { code, stderr } = await runWarm(args, { environment, input })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  }

  /** Waits until so many sessions wait for a lock. */
  async function waitingSessions(count: number): Promise<void> {
    await eventually(
      async () => (await database.script<{ count: number }>(countWaiting))[0]?.count,
      (found) => found === count,
    )
  }

  async function countLive(userId: string): Promise<number> {
    const [row] = await database.script<{ count: number }>(
      `select count(*)::integer as count from password_grant.tokens
      where user_id = $1 and revoked_at is null and expires_at > now()`,
      [userId],
    )
    return row?.count ?? -1
  }
})

const readHash = 'select password_hash as hash from password_grant.users where id = $1'

const countWaiting = `
select count(*)::integer as count from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'`

async function lock(script: Script, table: 'users' | 'clients', id: string): Promise<void> {
  await script(`select from password_grant.${table} where id = $1 for update`, [id])
}

type Authenticated = Awaited<ReturnType<typeof authenticateUser>>

function subjectOf({ userId, userVersion }: Authenticated, client: Client): Taking {
  return {
    userId,
    userVersion,
    clientId: client.id,
    clientVersion: client.credentialVersion,
    lifetimeSeconds: 3600,
  }
}

describe('a storm of sign-ins, disablings, enablings and revocations', async () => {
  const passwords = await createPasswords(cheapPasswords)

  test('never deadlocks and leaves no live token of a disabled user', async () => {
    const { database: first, url } = await freshDatabase()
    const databases = [
      first,
      await openDatabase(url, { timeouts: patience }),
      await openDatabase(url, { timeouts: patience }),
    ]
    onTestFinished(async () => {
      await Promise.all(databases.map((database) => database.close()))
    })
    const clients = ['a', 'b', 'c'].map((id) => `${id}-${randomWord()}`)
    for (const id of clients) await registerClient(first.writes, passwords, { id, secret: 'public' })
    const users = await Promise.all(Array.from({ length: 4 }, () => addUser(first)))
    const devices = ['', 'phone', 'desk', 'lounge', 'car', 'attic']

    const works: ((database: Database, turn: number) => Promise<unknown>)[] = [
      ...Array.from({ length: 6 }, () => async ({ writes: query }: Database, turn: number) => {
        const user = pick(users, turn)
        const authenticated = await authenticateUser(query, passwords, user.name, user.password).catch(() => null)
        const asking = await authenticateClient(query, passwords, { id: pick(clients, random()), secret: null }).catch(
          () => null,
        )
        if (!authenticated || !asking) return
        await takeSeat(query, { ...subjectOf(authenticated, asking), device: pick(devices, random()) })
      }),
      (database, turn) => changeAndRevoke(database, pick(users, turn), { isEnabled: false }),
      (database, turn) => changeAndRevoke(database, pick(users, turn), {}),
      ({ writes: query }, turn) => changeUser(query, pick(users, turn).name, { isEnabled: true }),
      ({ writes: query }, turn) => setClientEnabled(query, pick(clients, turn), true),
      (database, turn) => disableClient(database, pick(clients, turn)),
    ]
    for (let storm = 0; storm < 10; storm += 1) {
      const turns = Array.from({ length: 100 }, () => pick(works, random())(pick(databases, random()), random()))
      const failed = (await Promise.allSettled(turns)).filter((outcome) => outcome.status === 'rejected')
      expect(failed.map(({ reason }) => String(reason))).toEqual([])
      expect(await first.script(liveTokensOfDisabled)).toEqual([])
    }
    const [{ count } = { count: 0 }] = await first.script<{ count: number }>(countTokens)
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThanOrEqual(users.length * devices.length)
  })
})

async function changeAndRevoke(database: Database, user: Person, change: { isEnabled?: boolean }): Promise<void> {
  await database.transaction(async (query) => {
    const { id } = await changeUser(query, user.name, change)
    await revokeTokensOfUser(query, id)
  })
}

async function disableClient(database: Database, id: string): Promise<void> {
  await database.transaction(async (query) => {
    await setClientEnabled(query, id, false)
    await revokeTokensOfClient(query, id)
  })
}

const liveTokensOfDisabled = `
select t.id from password_grant.tokens t
join password_grant.users u on u.id = t.user_id
join password_grant.clients c on c.id = t.client_id
where t.revoked_at is null and t.expires_at > now() and not (u.is_enabled and c.is_enabled)`

const countTokens = 'select count(*)::integer as count from password_grant.tokens'

function random(): number {
  return Math.floor(Math.random() * 1_000_000)
}

function pick<T>(from: readonly T[], turn: number): T {
  return from[turn % from.length] as T
}
