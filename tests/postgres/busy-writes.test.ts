import { describe, expect, test } from 'vitest'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { countSessions } from '../support/test-cluster.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

/** As many as a lane has connections. */
const connections = 4

describe('a server without a free connection for sign-ins', async () => {
  const { app, database, url } = await testServer()
  const client = await addClient(database)
  const user = await addUser(database)

  test('still answers token checks', async () => {
    const token = (await askForToken(app, { client, user })).json().access_token
    const locked = await Promise.all(Array.from({ length: connections }, () => addUser(database)))
    // the two transactions take two of the connections, and two sign-ins that wait for a lock the others
    const asked = await database.transaction(async (_query, script) => {
      await script('select from password_grant.users where id <> $1 for update', [user.id])
      return database.transaction(async () => {
        const waiting = locked.map((one) => askForToken(app, { client, user: one }))
        await eventually(
          () => countSessions(url, "wait_event_type = 'Lock'"),
          (count) => count === connections - 2,
        )
        const late = askForToken(app, { client, user }) // finds no connection to sign in with
        const settled: string[] = []
        const watched = [...waiting, late].map((answer) => answer.finally(() => settled.push('a sign-in')))
        for (let turn = 0; turn < 20; turn += 1) {
          const answered = await askWhose(app, token)
          expect(answered.json()).toMatchObject({ userName: user.name })
        }
        expect(settled).toEqual([])
        return watched
      })
    })
    const statuses = (await Promise.all(asked)).map(({ statusCode }) => statusCode)
    expect(statuses).toEqual(asked.map(() => 200))
  })
})

describe('a server that hashes more passwords than it has connections', async () => {
  const cost = { memoryKib: 32_768, passes: 40, concurrency: 2 * connections }
  const { app, database, url } = await testServer({ passwords: { ...cheapPasswords, ...cost }, throttle: false })
  const client = await addClient(database)

  test('holds no connection while it hashes', async () => {
    const settled: number[] = []
    const signIns = Array.from({ length: 2 * connections }, async () => {
      // an unknown name costs a hash at today's price, which is the most expensive one here
      const answered = await askForToken(app, { client, user: { name: randomWord(), password: randomWord() } })
      settled.push(answered.statusCode)
    })
    const statuses: number[] = []
    // connections are given out in turn: after two rounds every sign-in has asked all it asks before it hashes
    for (let round = 0; round < 3; round += 1) {
      const unknown = { client: { id: randomWord(), secret: '' }, user: { name: 'anyone', password: 'anything' } }
      const refusals = await Promise.all(Array.from({ length: 2 * connections }, () => askForToken(app, unknown)))
      statuses.push(...refusals.map(({ statusCode }) => statusCode))
    }
    const busy = await countSessions(url, "state <> 'idle'")
    expect(settled).toEqual([])
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(busy).toBe(0)
    await Promise.all(signIns)
    expect(settled).toEqual(signIns.map(() => 400))
  })
})
