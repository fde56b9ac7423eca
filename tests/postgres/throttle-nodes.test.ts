// Guesses sent at once to several servers get the same answers as guesses sent one by one.
import type { FastifyInstance } from 'fastify'
import { describe, expect, test } from 'vitest'
import {
  behindProxy,
  expectSlowDown,
  guess,
  guessTimes,
  lengthenWaits,
  newNetwork,
  signInFrom,
  tally,
} from '../support/guesses.ts'
import { addClient, addUser } from '../support/people.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const { app, database, url } = await testServer(behindProxy)
await lengthenWaits(database)
const client = await addClient(database)
const other = await serverBeside(url, behindProxy)
const servers = [app, other]

const addAsking = async () => ({ client, user: await addUser(database) })

/** To each server in turn, all at once. */
function atOnce<T>(count: number, send: (target: FastifyInstance, place: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, place) => send(servers[place % 2] ?? app, place)))
}

describe('fifty wrong guesses at once, at two servers', () => {
  test.each([0, 1, 4])('are answered five times in all, counting the %i before', async (before) => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await guessTimes(before, app, asking, from)
    const answers = await atOnce(50, (target) => guess(target, asking, from))
    expect(tally(answers)).toEqual({ 400: 5 - before, 429: 45 + before })
    for (const answer of answers.filter(({ statusCode }) => statusCode === 429)) expectSlowDown(answer)
    for (const target of servers) expectSlowDown(await signInFrom(target, asking, from))
    expect((await signInFrom(other, asking, newNetwork())).statusCode).toBe(200)
  })

  // the right one is found only if it is one of those that may be looked at; then what was before it is forgotten
  test.each([0, 2, 7, 20, 33, 49])('follow the rule with the right password as number %i', async (right) => {
    const [asking, from] = [await addAsking(), newNetwork()]
    const answers = await atOnce(50, (target, place) => (place === right ? signInFrom : guess)(target, asking, from))
    const isIn = answers[right]?.statusCode === 200
    const told = tally(answers)
    if (!isIn) expect(told).toEqual({ 400: 5, 429: 45 })
    else expect(told[400]).toBeLessThanOrEqual(10)
  })

  test('make the right password wait too, even at a server started since', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    await atOnce(12, (target) => guess(target, asking, from))
    expectSlowDown(await signInFrom(await serverBeside(url, behindProxy), asking, from))
  })
})

describe('strangers at two servers at once', async () => {
  const strict = { ...behindProxy, throttle: { strangersLimit: 7 } }
  const servers = [await serverBeside(url, strict), await serverBeside(url, strict)]

  test('share one limit for all strangers', async () => {
    const [asking, home] = [await addAsking(), newNetwork()]
    expect((await signInFrom(servers[0] ?? app, asking, home)).statusCode).toBe(200)
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, place) => guess(servers[place % 2] ?? app, asking, newNetwork())),
    )
    expect(tally(answers)).toEqual({ 400: 7, 429: 33 })
    for (const target of servers) {
      expectSlowDown(await signInFrom(target, asking, newNetwork()))
      expect((await signInFrom(target, asking, home)).statusCode).toBe(200)
    }
  })
})

describe('a count of one server', () => {
  test('is continued by the others', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    const told = []
    for (let turn = 0; turn < 6; turn += 1) told.push((await guess(servers[turn % 2] ?? app, asking, from)).statusCode)
    expect(told).toEqual([400, 400, 400, 400, 400, 429])
  })

  test('is cleared on all when the right password reaches any', async () => {
    const [asking, from] = [await addAsking(), newNetwork()]
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await guessTimes(4, servers[turn % 2] ?? app, asking, from)).toEqual([400, 400, 400, 400])
      expect((await signInFrom(servers[(turn + 1) % 2] ?? app, asking, from)).statusCode).toBe(200)
    }
  })

  test('of known networks is shared by all', async () => {
    const [asking, home] = [await addAsking(), newNetwork()]
    await signInFrom(app, asking, home)
    const strict = await serverBeside(url, { ...behindProxy, throttle: { strangersLimit: 1 } })
    await guess(strict, asking, newNetwork())
    expectSlowDown(await signInFrom(strict, asking, newNetwork()))
    expect((await signInFrom(strict, asking, home)).statusCode).toBe(200)
  })
})
