// Any PostgreSQL: the tests bring their own and take it away
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createServer } from '../../src/server.ts'
import { endedTokenBoundMs } from '../../src/tokens/stall-watch.ts'
import { createTokenCache, type TokenCacheOptions } from '../../src/tokens/token-cache.ts'
import { type DatabaseProxy, openDatabaseProxy } from '../support/database-proxy.ts'
import { patience } from '../support/fresh-database.ts'
import { leakedLines, logLines } from '../support/kept-secrets.ts'
import { later } from '../support/later.ts'
import { makeCluster, type OwnCluster } from '../support/own-cluster.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken } from '../support/requests.ts'
import { stallEventLoop } from '../support/stall-event-loop.ts'
import { runOn } from '../support/test-cluster.ts'
import { plainOptions } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

/** Short, so that a database that says nothing does not hold the test up. */
const timeouts = { connectionMs: 500, lockMs: 300, statementMs: 400, answerMs: 500 }

describe('a token that the database has confirmed', () => {
  let cluster: OwnCluster
  let proxy: DatabaseProxy
  let direct: Database
  let app: FastifyInstance
  let client: { id: string; secret: string }

  beforeAll(async () => {
    cluster = await makeCluster()
    await cluster.start()
    proxy = await openDatabaseProxy(cluster.socketPath)
    direct = await openDatabase(cluster.url, { timeouts: patience })
    await migrate(direct)
    app = await createServer(direct, pino({ level: 'trace' }, logLines), plainOptions)
    client = await addClient(direct)
  })
  afterAll(async () => {
    await app?.close()
    await direct?.close()
    await proxy?.close()
    await cluster?.remove()
    expect(leakedLines(), 'log lines with a secret in them').toEqual([])
  })

  const run = (...statements: string[]) => runOn(cluster.url, statements)
  const away = { code: 'temporarily_unavailable' }

  async function signIn(by = client) {
    const user = await addUser(direct)
    const value: string = (await askForToken(app, { client: by, user })).json().access_token
    const revoke = `update password_grant.tokens set revoked_at = now() where user_id = '${user.id}'`
    return { user, value, revoke }
  }

  /** A node behind the proxy that hears notifications, counts its look-ups and has confirmed the given token. */
  async function openNode(options: TokenCacheOptions, value: string) {
    let hears = false
    const noteHearing = (isListening: boolean) => {
      hears = isListening
    }
    const opened = await openDatabase(proxy.url, { timeouts })
    onTestFinished(async () => {
      proxy.become('clear')
      await opened.close()
    })
    let statements = 0
    const { findToken } = createTokenCache(
      {
        lookups: (...args) => {
          statements += 1
          return opened.lookups(...args)
        },
        listen: (listener) => opened.listen(listener),
      },
      options,
    )
    opened.listen({ onNotice: () => {}, onListening: noteHearing })
    const untilHearing = () => eventually(async () => hears, Boolean)
    await untilHearing()
    expect(await findToken(value)).toHaveProperty('token')
    return { findToken, untilHearing, hears: () => hears, statements: () => statements }
  }

  const findsOut = (look: () => Promise<unknown>) =>
    eventually(
      () => look().catch(({ code }) => ({ code })),
      (found) => typeof found === 'object' && found !== null && !('token' in found),
    )

  test('is refused during an outage by default', async () => {
    const { value } = await signIn()
    const { findToken } = await openNode({ seconds: 0 }, value)
    proxy.become('gone')
    await expect(findToken(value)).rejects.toMatchObject(away)
  })

  test.each([0, 3600])('is accepted during an outage under a lease, with a cache of %i seconds', async (seconds) => {
    const [{ user, value }, stranger] = [await signIn(), await signIn()]
    const { findToken, untilHearing, hears } = await openNode({ seconds, outageLeaseSeconds: 3600 }, value)
    proxy.become('gone')
    await eventually(
      async () => hears(),
      (heard) => !heard,
    )
    for (let time = 0; time < 3; time += 1) {
      expect(await findToken(value)).toMatchObject({ token: { userId: user.id } })
      await expect(findToken(stranger.value)).rejects.toMatchObject(away)
    }
    expect(await findToken('mistyped')).toEqual({ ended: 'unknown' })
    proxy.become('clear')
    await untilHearing()
    expect(await findToken(stranger.value)).toHaveProperty('token')
  })

  test('is refused once the lease is over', async () => {
    const { value } = await signIn()
    const { findToken } = await openNode({ seconds: 0, outageLeaseSeconds: 60 }, value)
    proxy.become('gone')
    expect(await later(30_000, () => findToken(value))).toHaveProperty('token')
    await expect(later(61_000, () => findToken(value))).rejects.toMatchObject(away)
  })

  test('is refused after its own expiry', async () => {
    const { findToken } = await openNode({ seconds: 0, outageLeaseSeconds: 3600 }, (await signIn()).value)
    const { value } = await signIn(await addClient(direct, { lifetimeSeconds: 60 }))
    expect(await findToken(value)).toHaveProperty('token')
    proxy.become('gone')
    expect(await later(30_000, () => findToken(value))).toHaveProperty('token')
    await expect(later(61_000, () => findToken(value))).rejects.toMatchObject(away)
  })

  test('is accepted without notifications, as behind some poolers', async () => {
    const { value } = await signIn()
    await run('alter trigger tokens_ended on password_grant.tokens rename to something_else')
    onTestFinished(async () => {
      await run('alter trigger something_else on password_grant.tokens rename to tokens_ended')
    })
    const opened = await openDatabase(proxy.url, { timeouts })
    onTestFinished(() => opened.close())
    const { findToken } = createTokenCache(opened, { seconds: 0, outageLeaseSeconds: 3600 })
    expect(await findToken(value)).toHaveProperty('token')
    proxy.become('gone')
    expect(await findToken(value)).toHaveProperty('token')
    proxy.become('clear')
  })

  test('is refused as soon as the notification of its end arrives, even when a look-up is impossible', async () => {
    const { value, revoke } = await signIn()
    const { findToken } = await openNode({ seconds: 0, outageLeaseSeconds: 3600 }, value)
    await run('alter table password_grant.tokens rename to tokens_elsewhere')
    try {
      expect(await findToken(value)).toHaveProperty('token')
      await run(revoke.replace('tokens', 'tokens_elsewhere'))
      expect(await findsOut(() => findToken(value))).toEqual(away)
    } finally {
      await run('alter table password_grant.tokens_elsewhere rename to tokens')
    }
    expect(await findToken(value)).toMatchObject({ ended: 'revoked' })
  })

  test('is looked up first after a stall of the event loop, even in an outage', async () => {
    const { value, revoke } = await signIn()
    const { findToken } = await openNode({ seconds: 0, outageLeaseSeconds: 3600 }, value)
    await run('alter table password_grant.tokens rename to tokens_elsewhere')
    try {
      expect(await findToken(value)).toHaveProperty('token')
    } finally {
      await run('alter table password_grant.tokens_elsewhere rename to tokens')
    }
    await run(
      'alter table password_grant.tokens disable trigger tokens_ended', // as if its announcement were unread
      revoke,
      'alter table password_grant.tokens enable trigger tokens_ended',
    )
    stallEventLoop(endedTokenBoundMs + 50)
    expect(await findToken(value)).toMatchObject({ ended: 'revoked' })
  })

  test('is refused in the next outage once a look-up found it ended', async () => {
    const { value, revoke } = await signIn()
    const { findToken } = await openNode({ seconds: 0, outageLeaseSeconds: 3600 }, value)
    await run('alter table password_grant.tokens disable trigger tokens_ended', revoke)
    onTestFinished(async () => {
      await run('alter table password_grant.tokens enable trigger tokens_ended')
    })
    expect(await findToken(value)).toMatchObject({ ended: 'revoked' })
    proxy.become('gone')
    await expect(findToken(value)).rejects.toMatchObject(away)
  })

  test('is looked up again when notifications could have been missed', async () => {
    const { value, revoke } = await signIn()
    const { findToken, untilHearing, hears } = await openNode({ seconds: 0, outageLeaseSeconds: 3600 }, value)
    proxy.become('gone')
    await eventually(
      async () => hears(),
      (heard) => !heard,
    )
    await run(revoke)
    expect(await findToken(value)).toHaveProperty('token') // its end cannot be known yet
    let unlock = () => {}
    const locked = direct.transaction(async (_query, script) => {
      await script('lock table password_grant.tokens in access exclusive mode') // look-ups fail, hearing does not
      await new Promise<void>((resolve) => {
        unlock = resolve
      })
    })
    proxy.become('clear')
    try {
      await untilHearing()
      await expect(findToken(value)).rejects.toMatchObject(away)
    } finally {
      unlock()
      await locked
    }
    expect(await findToken(value)).toMatchObject({ ended: 'revoked' })
  })

  test('leaves the cache when the listening connection has died silently', async () => {
    const { value } = await signIn()
    const { findToken, hears } = await openNode({ seconds: 3600 }, value)
    proxy.become('silent')
    await eventually(
      async () => hears(),
      (heard) => !heard,
    )
    await expect(findToken(value)).rejects.toMatchObject(away)
  })

  test('is accepted at once while the database hangs, with one look-up under way at a time', async () => {
    const [{ value }, stranger] = [await signIn(), await signIn()]
    const node = await openNode({ seconds: 0, outageLeaseSeconds: 3600 }, value)
    proxy.become('silent')
    expect(await node.findToken(value)).toHaveProperty('token') // the look-up that finds out has to wait
    const before = node.statements()
    let isAnswered = false
    const waiting = node
      .findToken(stranger.value)
      .catch(({ code }) => ({ code }))
      .finally(() => {
        isAnswered = true
      })
    for (let time = 0; time < 50; time += 1) {
      expect(await node.findToken(value)).toHaveProperty('token')
      await nextTurn()
    }
    expect(isAnswered).toBe(false)
    expect(node.statements()).toBe(before + 1) // both tokens were asked for in one statement
    expect(await waiting).toEqual(away)
    proxy.become('clear')
    await eventually(
      () => node.findToken(stranger.value).catch(() => null),
      (found) => found !== null,
    )
  })
})
