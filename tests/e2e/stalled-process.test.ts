import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { endedTokenBoundMs } from '../../src/tokens/stall-watch.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, type ServerProcess } from '../support/processes.ts'
import { runOn } from '../support/test-cluster.ts'
import { eventually, signInAt, whoseAt } from '../support/wire.ts'

describe('a server whose process was suspended', () => {
  let database: Database
  let databaseUrl: string
  let server: ServerProcess
  let client: { id: string; secret: string }

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    databaseUrl = fresh.url
    client = await addClient(database)
    server = await readyServer({ environment: { DATABASE_URL: fresh.url, TOKEN_CACHE_SECONDS: '3600' } })
    return () => database.close()
  })

  /** Connects, and sends a request for `/userinfo` when told to; resolves with the status line. */
  async function openConnection(value: string) {
    const { port, hostname, host } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    const lines = ['GET /userinfo HTTP/1.1', `Host: ${host}`, `Authorization: Bearer ${value}`, 'Connection: close']
    return {
      send: () => void socket.write(`${lines.join('\r\n')}\r\n\r\n`),
      status: once(socket, 'data').then(([bytes]) => Number(/^HTTP\/1\.1 (\d+)/.exec(String(bytes))?.[1])),
    }
  }

  async function untilRemembered(value: string): Promise<void> {
    const lastLookUp = () =>
      runOn(databaseUrl, [
        `select max(query_start)::text as last from pg_stat_activity
         where datname = current_database() and query like '%"secondsLeft"%' and pid <> pg_backend_pid()`,
      ])
    await eventually(async () => {
      const [before] = await lastLookUp()
      expect((await whoseAt(server.url, value)).status).toBe(200)
      const [after] = await lastLookUp()
      return before?.['last'] === after?.['last']
    }, Boolean)
  }

  test('refuses a token that ended meanwhile from the first request on', async () => {
    const user = await addUser(database)
    const value: string = (await signInAt(server.url, { client, user })).body.access_token
    const connections = await Promise.all(Array.from({ length: 5 }, () => openConnection(value)))
    await untilRemembered(value)
    server.signal('SIGSTOP')
    for (const { send } of connections) send() // read before the announcement, which comes later
    await runOn(databaseUrl, [`update password_grant.tokens set revoked_at = now() where user_id = '${user.id}'`])
    await sleep(3 * endedTokenBoundMs)
    server.signal('SIGCONT')
    expect(await Promise.all(connections.map(({ status }) => status))).toEqual(connections.map(() => 401))
  })

  test('still accepts a live token and caches it again', async () => {
    const user = await addUser(database)
    const value: string = (await signInAt(server.url, { client, user })).body.access_token
    await untilRemembered(value)
    server.signal('SIGSTOP')
    await sleep(2 * endedTokenBoundMs)
    server.signal('SIGCONT')
    await untilRemembered(value)
  })
})
