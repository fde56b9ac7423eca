import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { connectLanes, openDatabase } from '../../src/database/postgres.ts'
import { createTokenCache } from '../../src/tokens/token-cache.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { addClient, addUser } from '../support/people.ts'
import { startServer } from '../support/processes.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { makeRole } from '../support/roles.ts'
import { runOn } from '../support/test-cluster.ts'
import { serverBeside } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

describe('a database that admits no connection for a while', () => {
  let url: string
  let database: Database

  beforeAll(async () => {
    const fresh = await freshDatabase()
    url = fresh.url
    database = fresh.database
  })
  afterAll(async () => {
    await admit(true)
    await database.close()
  })

  const name = () => new URL(url).pathname.slice(1)

  async function admit(isAdmitting: boolean): Promise<void> {
    await runOn(inject('clusterUrl'), [
      `alter database ${name()} allow_connections ${isAdmitting}`,
      ...(isAdmitting
        ? []
        : [`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name()}'`]),
    ])
  }

  test('is an outage: 503 with the reason in the log, leased tokens stay valid, and service resumes afterwards', async () => {
    const app = await serverBeside(url, {})
    const leasing = createTokenCache(await openFor(url), { seconds: 0, outageLeaseSeconds: 3600 })
    const asking = { client: await addClient(database), user: await addUser(database) }
    const token = (await askForToken(app, asking)).json().access_token
    await eventually(async () => 'token' in (await leasing.findToken(token).catch(() => ({}))), Boolean)
    await new Promise((resolve) => setTimeout(resolve, 500)) // a lease does not outlive its beginning
    expect(await leasing.findToken(token)).toHaveProperty('token')
    await admit(false)
    for (let turn = 0; turn < 6; turn += 1) {
      expect((await askForToken(app, asking)).statusCode).toBe(503)
      expect((await askWhose(app, token)).statusCode).toBe(503)
    }
    expect(await leasing.findToken(token)).toHaveProperty('token')
    await admit(true)
    await eventually(
      async () => (await askForToken(app, asking)).statusCode,
      (status) => status === 200,
    )
  })

  test('makes a starting server wait', async () => {
    await admit(false)
    const starting = startServer({ environment: { DATABASE_URL: url } })
    await starting.until((line) => /not currently accepting connections; trying again/.test(line))
    await admit(true)
    await starting.ready
    await starting.end()
  })
})

describe('a fault that only an operator can fix', () => {
  test.each([
    [
      'a database that does not exist',
      async (url: string) => url.replace(/\/[^/?]+(\?|$)/, '/missing$1'),
      /^The database that DATABASE_URL names does not exist\. .*\n {2}database away: database "missing" does not exist/,
    ],
    [
      'a role that does not exist',
      async (url: string) => Object.assign(new URL(url), { username: 'nobody_here' }).href,
      /^PostgreSQL refuses the user name or the password in DATABASE_URL\. .*\n {2}database away: /,
    ],
    [
      'a role that may not connect',
      async (url: string) => {
        await runOn(url, [`revoke connect on database ${new URL(url).pathname.slice(1)} from public`])
        return (await makeRole(url, 'kept_out')).urlOf(url)
      },
      /^The role in DATABASE_URL lacks a right\. .*\n {2}database without rights: permission denied for database/,
    ],
  ])('%s stops the server at start with a message that says what to do', async (_, change, sentence) => {
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const starting = startServer({ environment: { DATABASE_URL: await change(url) } })
    expect(await starting.exited).toBe(1)
    expect(starting.stderr()).toMatch(sentence)
    expect(starting.lines.filter((line) => line.includes('trying again'))).toEqual([])
  })
})

describe('an error thrown while a connection is made', () => {
  test('reaches the caller that needs the connection and stops nothing else', async () => {
    const told: Error[] = []
    const connectionString = 'postgres://localhost/tokens?sslmode=verify-full&sslrootcert=/does/not/exist.pem'
    const database = connectLanes({ connectionString }, { onDeaf: (cause) => told.push(cause) })
    onTestFinished(() => database.close())
    await expect(database.writes('one', 'select 1')).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    database.listen({ onNotice: () => {}, onListening: () => {} })
    await eventually(
      async () => told.length,
      (count) => count > 0,
    )
    expect(told[0]?.message).toMatch(/ENOENT/)
  })
})

async function openFor(url: string): Promise<Database> {
  const database = await openDatabase(url, { timeouts: { connectionMs: 2_000 } })
  afterAll(() => database.close())
  return database
}
