import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, type ServerProcess } from '../support/processes.ts'
import { type Answered, signInAt, whoseAt } from '../support/wire.ts'

describe('two servers on one database', () => {
  let database: Database
  let servers: [ServerProcess, ServerProcess]
  let client: { id: string; secret: string }

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    client = await addClient(database)
    const environment = { DATABASE_URL: fresh.url }
    servers = await Promise.all([readyServer({ environment }), readyServer({ environment })])
    return () => database.close()
  })

  const serverFor = (turn: number) => servers[turn % 2 === 0 ? 0 : 1].url

  test('answer two hundred parallel sign-ins of one user and leave exactly one live token', async () => {
    const user = await addUser(database)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, turn) => signInAt(serverFor(turn), { client, user })),
    )
    expect(statuses(answers)).toEqual({ 200: 200 })
    const values = answers.map(({ body }) => body.access_token)
    expect(new Set(values).size).toBe(200)

    const found = await Promise.all(servers.map(({ url }) => Promise.all(values.map((value) => whoseAt(url, value)))))
    const live = found.map((answered) => values.filter((_, turn) => answered[turn]?.status === 200))
    for (const answered of found) expect(statuses(answered)).toEqual({ 200: 1, 401: 199 })
    expect(live[0]).toEqual(live[1])
    expect(await countTokens(user.id)).toBe(1)
  })

  test('report the last replaced token as superseded and every older one as unknown', async () => {
    const user = await addUser(database)
    const values: string[] = []
    for (let turn = 0; turn < 3; turn += 1) {
      values.push((await signInAt(serverFor(turn), { client, user })).body.access_token)
    }
    const descriptions = await Promise.all(
      values.map(async (value, turn) => (await whoseAt(serverFor(turn), value)).body.error_description),
    )
    expect(descriptions).toEqual([
      'The token is unknown.',
      'The token was replaced by a newer sign-in of the same user.',
      undefined,
    ])
  })

  test('never keep more rows than seats after any number of sign-ins', async () => {
    const users = await Promise.all(Array.from({ length: 10 }, () => addUser(database)))
    const before = await countTokens(null)
    const turns = users.flatMap((user) => Array.from({ length: 12 }, () => user))
    const answers = await Promise.all(turns.map((user, turn) => signInAt(serverFor(turn), { client, user })))
    expect(statuses(answers)).toEqual({ 200: 120 })
    expect(await countTokens(null)).toBe(before + 10)
    const found = await Promise.all(answers.map(({ body }, turn) => whoseAt(serverFor(turn), body.access_token)))
    expect(statuses(found)).toEqual({ 200: 10, 401: 110 })
    const live = found.filter(({ status }) => status === 200).map(({ body }) => body.userId)
    expect(live.toSorted()).toEqual(users.map(({ id }) => id).toSorted())
  })

  async function countTokens(userId: string | null): Promise<number> {
    const [row] = await database.script<{ count: number }>(
      'select count(*)::integer as count from password_grant.tokens where $1::uuid is null or user_id = $1',
      [userId],
    )
    return row?.count ?? -1
  }
})

function statuses(answers: readonly Answered[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}
