import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { Listening } from '../../src/database/listening.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { endedTokenBoundMs } from '../../src/tokens/stall-watch.ts'
import { createTokenCache } from '../../src/tokens/token-cache.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { later } from '../support/later.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken } from '../support/requests.ts'
import { stallEventLoop } from '../support/stall-event-loop.ts'
import { runOn } from '../support/test-cluster.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

/** The promise: every node refuses an ended token within this time. */
const boundMs = endedTokenBoundMs

/** A node: a process would have one of these each. `statements` counts its look-ups. */
async function openNode(url: string, seconds = 3600) {
  const opened = await openDatabase(url, { timeouts: patience })
  onTestFinished(() => opened.close())
  let statements = 0
  const database: Database = {
    ...opened,
    lookups: (...args) => {
      statements += 1
      return opened.lookups(...args)
    },
  }
  const cache = createTokenCache(database, { seconds })
  return { ...cache, statements: () => statements }
}

type Node = Awaited<ReturnType<typeof openNode>>

/** Asks until the node remembers: until it answers without a statement. */
async function untilRemembered(node: Node, value: string): Promise<void> {
  await eventually(async () => {
    const before = node.statements()
    expect(await node.findToken(value)).toHaveProperty('token')
    return node.statements() === before
  }, Boolean)
}

const set = 'update password_grant.tokens set'

describe('a token that ended on any node', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)
  const setUp = async () => {
    const user = await addUser(database)
    const value: string = (await askForToken(app, { client, user })).json().access_token
    const nodes = [await openNode(url), await openNode(url)]
    for (const node of nodes) await untilRemembered(node, value)
    return { user, value, nodes }
  }
  const ends = async ({ value, nodes }: { value: string; nodes: Node[] }) => {
    await sleep(boundMs)
    return Promise.all(nodes.map(async (node) => await node.findToken(value)))
  }

  test('by a newer sign-in is superseded on every node within the bound, despite a cache of an hour', async () => {
    const { user, ...rest } = await setUp()
    const next = (await askForToken(app, { client, user })).json().access_token
    expect(await ends(rest)).toEqual([
      { ended: 'superseded', userId: user.id },
      { ended: 'superseded', userId: user.id },
    ])
    for (const node of rest.nodes) expect(await node.findToken(next)).toHaveProperty('token.userId', user.id)
  })

  test.each([
    ['revoked', `${set} revoked_at = now() where user_id = $1`],
    ['expired', `${set} issued_at = now() - interval '2 s', expires_at = now() - interval '1 s' where user_id = $1`],
    ['unknown', 'delete from password_grant.tokens where user_id = $1'],
    ['unknown', 'delete from password_grant.users where id = $1'],
    ['unknown', 'truncate password_grant.tokens'],
  ])('is %s within the bound after %s, by any program', async (ended, statement) => {
    const { user, ...rest } = await setUp()
    await runOn(url, [statement.replace('$1', `'${user.id}'`)])
    for (const found of await ends(rest)) expect(found).toMatchObject({ ended })
  })

  test('is refused within the bound, with many others, after the end of their client', async () => {
    const other = await addClient(database)
    const users = await Promise.all(Array.from({ length: 40 }, () => addUser(database)))
    const values: string[] = []
    for (const user of users) values.push((await askForToken(app, { client: other, user })).json().access_token)
    const node = await openNode(url)
    for (const value of values) await untilRemembered(node, value)
    await database.script(`delete from password_grant.clients where id = '${other.id}'`)
    await sleep(boundMs)
    for (const value of values) expect(await node.findToken(value)).toEqual({ ended: 'unknown' })
  })
})

describe('the token cache of a node', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)
  const signIn = async (user = addUser(database)) =>
    (await askForToken(app, { client, user: await user })).json().access_token as string

  test('looks a token up once', async () => {
    const node = await openNode(url)
    const value = await signIn()
    await untilRemembered(node, value)
    const before = node.statements()
    for (let time = 0; time < 100; time += 1) await node.findToken(value)
    expect(node.statements()).toBe(before)
  })

  test('stays empty with 0 seconds', async () => {
    const node = await openNode(url, 0)
    const value = await signIn()
    for (let time = 1; time <= 10; time += 1) {
      await node.findToken(value)
      expect(node.statements()).toBe(time)
    }
  })

  test('never holds a refusal', async () => {
    const node = await openNode(url)
    const user = await addUser(database)
    const old = await signIn(Promise.resolve(user))
    const value = await signIn(Promise.resolve(user))
    await untilRemembered(node, value)
    for (let time = 0; time < 3; time += 1) {
      const before = node.statements()
      expect(await node.findToken(old)).toEqual({ ended: 'superseded', userId: user.id })
      expect(node.statements()).toBe(before + 1)
    }
  })

  test('does not outlive a token’s expiry', async () => {
    const short = await addClient(database, { lifetimeSeconds: 60 })
    const user = await addUser(database)
    const value = (await askForToken(app, { client: short, user })).json().access_token
    const node = await openNode(url)
    await untilRemembered(node, value)
    const back = `${set} issued_at = issued_at - interval '60 s', expires_at = expires_at - interval '60 s'`
    await runOn(url, [
      'alter table password_grant.tokens disable trigger tokens_ended', // time is announced by none
      `${back} where user_id = '${user.id}'`,
      'alter table password_grant.tokens enable trigger tokens_ended',
    ])
    expect(await node.findToken(value)).toHaveProperty('token')
    expect(await later(60_000, () => node.findToken(value))).toEqual({ ended: 'expired', userId: user.id })
  })

  test('expires after `seconds` even without a notification', async () => {
    await runOn(url, ['alter table password_grant.tokens disable trigger tokens_ended'])
    onTestFinished(async () => {
      await runOn(url, ['alter table password_grant.tokens enable trigger tokens_ended'])
    })
    const node = await openNode(url, 1)
    const user = await addUser(database)
    const value = await signIn(Promise.resolve(user))
    await untilRemembered(node, value)
    await signIn(Promise.resolve(user))
    await sleep(1_000)
    expect(await node.findToken(value)).toEqual({ ended: 'superseded', userId: user.id })
  })

  test('is bypassed after a stall of the event loop, which leaves notifications unread', async () => {
    const node = await openNode(url)
    const revokeUnheard = async () => {
      const user = await addUser(database)
      const value = await signIn(Promise.resolve(user))
      await untilRemembered(node, value)
      await runOn(url, [
        'alter table password_grant.tokens disable trigger tokens_ended', // as if its announcement were unread
        `update password_grant.tokens set revoked_at = now() where user_id = '${user.id}'`,
        'alter table password_grant.tokens enable trigger tokens_ended',
      ])
      return { user, value, found: await node.findToken(value) }
    }
    // a busy machine may stall it by itself, and then it has looked the token up already
    const { user, value } = await eventually(revokeUnheard, ({ found }) => 'token' in found)
    stallEventLoop(boundMs + 50)
    expect(await node.findToken(value)).toEqual({ ended: 'revoked', userId: user.id })
  })

  test('cannot be changed through a returned token', async () => {
    const node = await openNode(url)
    const value = await signIn()
    await untilRemembered(node, value)
    const found = await node.findToken(value)
    if (!('token' in found)) throw new Error('no token')
    expect(() => Object.assign(found.token, { role: 'Administrator' })).toThrow(TypeError)
  })

  test('is dropped when the listening connection is cut, and fills again once it is back', async () => {
    const node = await openNode(url)
    const user = await addUser(database)
    const value = await signIn(Promise.resolve(user))
    await untilRemembered(node, value)
    const before = node.statements()
    await runOn(url, [
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and query like 'listen %'`,
    ])
    await eventually(async () => {
      await node.findToken(value)
      return node.statements() > before
    }, Boolean)
    await untilRemembered(node, value)
    await signIn(Promise.resolve(user))
    await sleep(boundMs)
    expect(await node.findToken(value)).toEqual({ ended: 'superseded', userId: user.id })
  })
})

describe('a node without notifications caches nothing and logs it once', () => {
  /** The log of a database's listening, over a connection to `url` and notifications at `announcedAt`. */
  async function listenTo(url: string, announcedAt: string) {
    const announcer = await openDatabase(announcedAt, { timeouts: patience })
    onTestFinished(() => announcer.close())
    const told: string[] = []
    const listening = new Listening({ connectionString: url }, announcer.writes, {
      onDeaf: ({ message }) => void told.push(message),
      onHearing: () => void told.push('hears'),
    })
    onTestFinished(() => listening.close())
    const states: boolean[] = []
    listening.add({ onNotice: () => {}, onListening: (isListening) => void states.push(isListening) })
    return { told, states }
  }

  test('where LISTEN is accepted but delivers nothing, as behind a pooler', async () => {
    const [here, elsewhere] = [await freshDatabase(), await freshDatabase()]
    onTestFinished(() => here.database.close())
    onTestFinished(() => elsewhere.database.close())
    const { told, states } = await listenTo(here.url, elsewhere.url)
    await eventually(async () => told.length, Boolean)
    await sleep(3_000) // it tries again
    expect(told).toEqual(['notifications are not delivered (a pooler between?)'])
    expect(states).toEqual([])
  })

  test('on a schema without notifications, until it is migrated', async () => {
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const trigger = await readFile(new URL('../../sql/002.do.announce-ended-tokens.sql', import.meta.url), 'utf8')
    await runOn(url, ['drop function password_grant.announce_ended_tokens() cascade'])
    const { told, states } = await listenTo(url, url)
    await eventually(async () => told.length, Boolean)
    expect(states).toEqual([])
    await runOn(url, [trigger])
    await eventually(
      async () => states,
      (seen) => seen.includes(true),
    )
    expect(told).toEqual([expect.stringMatching(/migration 2/), 'hears'])
  })
})

test('an end announced during a look-up is not missed', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)
  const user = await addUser(database)
  const value = (await askForToken(app, { client, user })).json().access_token
  const opened = await openDatabase(url, { timeouts: patience })
  onTestFinished(() => opened.close())
  let hold: Promise<unknown> = Promise.resolve()
  const slow: Database = {
    ...opened,
    lookups: async (...args) => {
      const rows = await opened.lookups(...args)
      await hold // read, but not yet handed over
      return rows as never
    },
  }
  const { findToken } = createTokenCache(slow, { seconds: 3600 })
  await sleep(boundMs) // it listens
  hold = (async () => {
    await askForToken(app, { client, user })
    await sleep(boundMs)
  })()
  const ended = { ended: 'superseded', userId: user.id }
  expect(await findToken(value)).toEqual(ended) // the row says otherwise
  hold = Promise.resolve()
  expect(await findToken(value)).toEqual(ended)
})
