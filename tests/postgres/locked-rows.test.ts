// A row that another session has locked keeps its own user waiting, and no other.
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/database/postgres.ts'
import { createServer } from '../../src/server.ts'
import { behindProxy, guess, newNetwork, signInFrom } from '../support/guesses.ts'
import { logLines } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { countSessions } from '../support/test-cluster.ts'
import { plainOptions, testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const { app, database, url } = await testServer(behindProxy)
const client = await addClient(database)

const rows = [
  ['the user', 'select from password_grant.users where id = $1 for update'],
  ['the seat', 'select from password_grant.tokens where user_id = $1 for update'],
  [
    'the failures',
    `select from password_grant.failures where key = (
      select key from password_grant.failures order by failed_at desc limit 1
    ) and $1::uuid is not null for update`,
  ],
] as const

describe.each(rows)('while the row of %s is locked', (row, hold) => {
  test('other users sign in at once, and the locked one once the row is free', async () => {
    const [held, free] = [await addUser(database), await addUser(database)]
    const [from, elsewhere] = [newNetwork(), newNetwork()]
    for (const user of [held, free]) expect((await signInFrom(app, { client, user }, from)).statusCode).toBe(200)
    if (row === 'the failures') await guess(app, { client, user: held }, from) // which alone keeps it out of the batch
    const { waiting } = await database.transaction(async (_query, script) => {
      await script(hold, [held.id])
      const waiting = signInFrom(app, { client, user: held }, from)
      const others = await Promise.all([from, elsewhere].map((at) => signInFrom(app, { client, user: free }, at)))
      expect(others.map(({ statusCode }) => statusCode)).toEqual([200, 200])
      await eventually(
        () => countSessions(url, "wait_event_type = 'Lock'"),
        (count) => count === 1,
      )
      expect((await signInFrom(app, { client, user: free }, from)).statusCode).toBe(200)
      return { waiting }
    })
    expect((await waiting).statusCode).toBe(200)
  })
})

test('parallel sign-ins of one user behind a lock are all answered within a few seconds', async () => {
  const usual = await openDatabase(url) // with the time limits of a server
  const server = await createServer(usual, pino({ level: 'trace' }, logLines), { ...plainOptions, ...behindProxy })
  onTestFinished(async () => {
    await server.close()
    await usual.close()
  })
  const user = await addUser(database)
  const from = newNetwork()
  await signInFrom(server, { client, user }, from)
  const answers = await database.transaction(async (_query, script) => {
    await script('select from password_grant.users where id = $1 for update', [user.id])
    return Promise.all(Array.from({ length: 30 }, () => signInFrom(server, { client, user }, from)))
  })
  expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([503]))
}, 20_000) // one after the other they would take a minute
