// Any PostgreSQL: the tests bring their own and take it away
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bearer, type FindBearerToken, introspectAt } from '../../src/bearer/index.ts'
import type { Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createServer } from '../../src/server.ts'
import { createTokenCache } from '../../src/tokens/token-cache.ts'
import { leakedLines, logLines } from '../support/kept-secrets.ts'
import { makeCluster, type OwnCluster } from '../support/own-cluster.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, basic, bearer as bearing } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { plainOptions } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

/** The promise: every node refuses an ended token within this time. */
const boundMs = 250

describe('guarded routes', () => {
  let cluster: OwnCluster
  let database: Database
  let server: FastifyInstance
  let origin: string
  let client: { id: string; secret: string }
  let backend: { id: string; secret: string }
  const closing: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    cluster = await makeCluster()
    await cluster.start()
    database = await openDatabase(cluster.url)
    await migrate(database)
    client = await addClient(database)
    backend = await addClient(database)
    basic(backend.id, backend.secret) // notes how it stands in the header
    server = await createServer(database, pino({ level: 'trace' }, logLines), plainOptions)
    origin = await listen(server)
  })
  afterAll(async () => {
    for (const close of closing) await close()
    await server?.close()
    await database?.close()
    await cluster?.remove()
    expect(leakedLines(), 'log lines with a secret in them').toEqual([])
  })

  /** A backend in front of whose two routes a guard stands; one of them requires the role that every user here has. */
  async function openBackend(findToken: FindBearerToken): Promise<string> {
    const host = Fastify({ forceCloseConnections: true })
    closing.push(() => host.close())
    await host.register(bearer, { findToken })
    host.get('/mine', { onRequest: host.requireToken() }, async ({ token }) => token.userName)
    host.get('/ours', { onRequest: host.requireToken({ role: 'Editor' }) }, async ({ token }) => token.userName)
    return listen(host)
  }

  /** A database of a backend's own, whose look-ups are counted. */
  async function openNode(seconds: number) {
    const opened = await openDatabase(cluster.url)
    closing.push(() => opened.close())
    let statements = 0
    const { findToken } = createTokenCache(
      {
        ...opened,
        lookups: (...args) => {
          statements += 1
          return opened.lookups(...args)
        },
      },
      { seconds },
    )
    return { url: await openBackend(findToken), statements: () => statements }
  }

  const introspecting = (cacheSeconds: number) =>
    introspectAt({ url: origin, clientId: backend.id, clientSecret: backend.secret, cacheSeconds, timeoutMs: 10_000 })

  async function signIn(user: { name: string; password: string }): Promise<string> {
    return (await askForToken(server, { client, user })).json().access_token
  }

  async function statusOf(url: string, value: string): Promise<number> {
    const response = await fetch(url, { headers: bearing(value), signal: AbortSignal.timeout(30_000) })
    const status = response.status
    const said = { challenge: response.headers.get('www-authenticate'), retry: response.headers.get('retry-after') }
    if (status === 200) expect(said).toEqual({ challenge: null, retry: null })
    if (status === 503) expect(said).toEqual({ challenge: null, retry: expect.stringMatching(/^[1-9]\d*$/) })
    await response.text()
    return status
  }

  /** Asks on and on until it is told to stop; says then what was answered. */
  function askOn(url: string, value: string) {
    let recent = new Set<number>()
    const all = new Set<number>()
    let isOver = false
    const askInTurn = async (path: string) => {
      while (!isOver) {
        const status = await statusOf(`${url}${path}`, value)
        recent.add(status)
        all.add(status)
        await sleep(2)
      }
    }
    const asking = Promise.all(['/mine', '/ours', '/mine'].map(askInTurn))
    asking.catch(() => undefined) // reported by `stop`
    return {
      /** Resolves when for a while nothing but `status` was answered. */
      settle: async (status: number) => {
        await eventually(
          async () => {
            recent = new Set()
            await sleep(100)
            return [...recent]
          },
          (found) => found.length === 1 && found[0] === status,
        )
      },
      stop: async () => {
        isOver = true
        await asking
        return [...all].toSorted()
      },
    }
  }

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'answer only 200 or 503 while the database goes by %s and comes back, and then hear of ended tokens again',
    async (signal) => {
      const user = await addUser(database, { role: 'Editor' })
      const value = await signIn(user)
      const [asking, remembering] = [await openNode(0), await openNode(3600)]
      const urls = [
        asking.url,
        remembering.url,
        await openBackend(introspecting(0)),
        await openBackend(introspecting(1)),
      ]
      const loads = urls.map((url) => askOn(url, value))
      for (const load of loads) await load.settle(200)

      await cluster.stop(signal)
      for (const load of loads) await load.settle(503)
      await cluster.start()
      for (const load of loads) await load.settle(200)
      for (const load of loads) expect(await load.stop()).toEqual([200, 503])

      // it remembers again, for an hour, and all the same does not miss the end
      await eventually(async () => {
        const before = remembering.statements()
        expect(await statusOf(`${remembering.url}/mine`, value)).toBe(200)
        return remembering.statements() === before
      }, Boolean)
      const next = await signIn(user)
      await sleep(boundMs)
      expect(await statusOf(`${remembering.url}/mine`, value)).toBe(401)
      expect(await statusOf(`${asking.url}/mine`, value)).toBe(401)
      for (const url of urls) expect(await statusOf(`${url}/mine`, next)).toBe(200)
    },
  )

  test('answer only 200 or 503 while the token server goes and comes back', async () => {
    const value = await signIn(await addUser(database, { role: 'Editor' }))
    const urls = [await openBackend(introspecting(0)), await openBackend(introspecting(1))]
    const inProcess = await openNode(5)
    const loads = urls.map((url) => askOn(url, value))
    const unconcerned = askOn(inProcess.url, value)
    for (const load of [...loads, unconcerned]) await load.settle(200)

    const { port } = new URL(origin)
    server.server.closeAllConnections()
    await server.close()
    for (const load of loads) await load.settle(503)

    server = await createServer(database, pino({ level: 'trace' }, logLines), plainOptions)
    await server.listen({ host: '127.0.0.1', port: Number(port) })
    for (const load of loads) await load.settle(200)
    for (const load of loads) expect(await load.stop()).toEqual([200, 503])
    expect(await unconcerned.stop()).toEqual([200])
  })

  test('refuse a missing, malformed or impossible token as usual while the database is away', async () => {
    const node = await openNode(5)
    const introspected = await openBackend(introspecting(5))
    await cluster.stop('SIGINT')
    const ask = async (url: string, headers: Record<string, string>) => (await fetch(`${url}/mine`, { headers })).status
    for (const url of [node.url, introspected]) {
      expect(await ask(url, {})).toBe(401)
      expect(await ask(url, { authorization: 'Bearer a b' })).toBe(400)
    }
    expect(await ask(node.url, bearing('mistyped'))).toBe(401)
    expect(await ask(introspected, bearing('mistyped'))).toBe(503)
    await cluster.start()
  })
})
