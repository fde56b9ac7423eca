import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, type ServerProcess } from '../support/processes.ts'
import { basic } from '../support/requests.ts'
import { runOn } from '../support/test-cluster.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { ask, eventually, signInAt, whoseAt } from '../support/wire.ts'

const runWarm = warmCommands()

/** The promise: every server refuses an ended token within this time. */
const boundMs = 250

const sentences = {
  superseded: 'The token was replaced by a newer sign-in of the same user.',
  revoked: 'The token was revoked. Sign in again.',
  unknown: 'The token is unknown.',
}

describe('two servers on one database with default settings', () => {
  let database: Database
  let databaseUrl: string
  let environment: { DATABASE_URL: string }
  let one: ServerProcess
  let other: ServerProcess
  let client: { id: string; secret: string }
  let backend: { id: string; secret: string }

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    databaseUrl = fresh.url
    environment = { DATABASE_URL: fresh.url }
    client = await addClient(database)
    backend = await addClient(database)
    const servers = await Promise.all([readyServer({ environment }), readyServer({ environment })])
    ;[one, other] = servers as [ServerProcess, ServerProcess]
    return () => database.close()
  })

  /** A token from one server that both remember. */
  async function setUp(asking = client) {
    const user = await addUser(database, { role: 'Editor' })
    const value: string = (await signInAt(one.url, { client: asking, user })).body.access_token
    for (const server of [one, other]) await untilRemembered(server, value)
    expect(await introspect(other, value)).toMatchObject({ active: true, sub: user.id, role: 'Editor' })
    return { user, value }
  }

  async function introspect({ url }: ServerProcess, value: string): Promise<object> {
    const headers = basic(backend.id, backend.secret)
    return (await ask(`${url}/introspect`, { method: 'POST', headers, body: new URLSearchParams({ token: value }) }))
      .body
  }

  /** Asks until the answer comes from memory: until no connection has looked a token up for it. */
  async function untilRemembered({ url }: ServerProcess, value: string): Promise<void> {
    const lastLookUp = async () => {
      const [row] = await runOn(databaseUrl, [
        `select max(query_start)::text as last from pg_stat_activity
         where datname = current_database() and query like '%"secondsLeft"%' and pid <> pg_backend_pid()`,
      ])
      return row?.['last']
    }
    await eventually(async () => {
      const before = await lastLookUp()
      expect((await whoseAt(url, value)).status).toBe(200)
      return (await lastLookUp()) === before
    }, Boolean)
  }

  async function expectEnded(servers: ServerProcess[], value: string, ended: keyof typeof sentences): Promise<void> {
    await sleep(boundMs)
    const answers = await Promise.all(servers.map((server) => whoseAt(server.url, value)))
    const introspected = await Promise.all(servers.map((server) => introspect(server, value)))
    for (const { status, body, headers } of answers) {
      expect([status, body]).toEqual([401, { error: 'invalid_token', error_description: sentences[ended] }])
      expect(headers.get('www-authenticate')).toContain(`error_description="${sentences[ended]}"`)
    }
    for (const said of introspected) expect(said).toEqual({ active: false })
  }

  test('share sign-ins: a newer one at the first server supersedes a cached token at the second', async () => {
    const { user, value } = await setUp()
    const next = (await signInAt(one.url, { client, user })).body.access_token
    await expectEnded([other, one], value, 'superseded')
    for (const { url } of [one, other]) expect((await whoseAt(url, next)).body.userId).toBe(user.id)
  })

  test('share sign-ins in both directions', async () => {
    const { user, value } = await setUp()
    await signInAt(other.url, { client, user })
    await expectEnded([one, other], value, 'superseded')
  })

  test('share revocations: a token revoked at one is refused by the other', async () => {
    const { value } = await setUp()
    const headers = basic(client.id, client.secret)
    const body = new URLSearchParams({ token: value })
    expect((await ask(`${one.url}/revoke`, { method: 'POST', headers, body })).status).toBe(200)
    await expectEnded([other, one], value, 'revoked')
  })

  test.each<[string, (named: { user: string; client: string }) => string[], keyof typeof sentences]>([
    ['token revoke', ({ user }) => ['token', 'revoke', '--user', user], 'revoked'],
    ['user disable', ({ user }) => ['user', 'disable', user], 'revoked'],
    ['user set-role', ({ user }) => ['user', 'set-role', user, 'Administrator'], 'revoked'],
    ['user remove', ({ user }) => ['user', 'remove', user], 'unknown'],
    ['client disable', ({ client: id }) => ['client', 'disable', id], 'revoked'],
    ['client remove', ({ client: id }) => ['client', 'remove', id], 'unknown'],
  ])('`%s` on the command line ends it at both', async (_name, command, ended) => {
    const asking = await addClient(database)
    const { user, value } = await setUp(asking)
    const bystander = await setUp()
    const { code, stderr } = await runWarm(command({ user: user.name, client: asking.id }), { environment })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    await expectEnded([one, other], value, ended)
    for (const { url } of [one, other]) expect((await whoseAt(url, bystander.value)).status).toBe(200)
  })

  test('`user set-password` on the command line ends it at both', async () => {
    const { user, value } = await setUp()
    const args = ['user', 'set-password', user.name, '--password-stdin']
    expect((await runWarm(args, { environment, input: user.password })).code).toBe(0)
    await expectEnded([one, other], value, 'revoked')
  })

  test('hear of a hundred ended tokens at once', async () => {
    const asking = await addClient(database)
    const users = await Promise.all(Array.from({ length: 100 }, () => addUser(database)))
    const values = await Promise.all(
      users.map(async (user): Promise<string> => (await signInAt(one.url, { client: asking, user })).body.access_token),
    )
    for (const { url } of [one, other]) {
      for (const { status } of await Promise.all(values.map((value) => whoseAt(url, value)))) expect(status).toBe(200)
    }
    expect((await runWarm(['client', 'disable', asking.id], { environment })).code).toBe(0)
    await sleep(boundMs)
    for (const { url } of [one, other]) {
      for (const { status } of await Promise.all(values.map((value) => whoseAt(url, value)))) expect(status).toBe(401)
    }
  })

  // the last one: it ends them
  test('SIGTERM closes one that listens, cleanly, and leaves the other listening', async () => {
    const { user, value } = await setUp()
    const sessions = () =>
      runOn(databaseUrl, [
        `select query from pg_stat_activity
         where datname = current_database() and application_name = 'password-grant' and (query like 'listen %' or query = 'select')`, // the last statement of a listening connection: its start or its heartbeat
      ])
    expect(await sessions()).toHaveLength(2)
    one.signal('SIGTERM')
    expect(await one.exited).toBe(0)
    expect(one.lines.map((line) => JSON.parse(line).msg)).toContain('closed')
    await signInAt(other.url, { client, user })
    await expectEnded([other], value, 'superseded')
    other.signal('SIGTERM')
    expect(await other.exited).toBe(0)
    expect(other.lines.map((line) => JSON.parse(line).msg)).toContain('closed')
    await eventually(sessions, (rows) => rows.length === 0)
  })
})
