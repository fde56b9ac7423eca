import Fastify, { type FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createBoundedLog, maxFullLines } from '../../src/http/bounded-log.ts'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, cheapPasswords, randomWord } from '../support/people.ts'
import { basic, bearer, passwordForm, sendToken } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const passwords = { ...cheapPasswords, memoryKib: 65_536, passes: 4, concurrency: 1, queueLimit: 0 }
const { app, database } = await testServer({ passwords, throttle: false })
const client = await addClient(database)
const headers = basic(client.id, client.secret)

type Line = Record<string, unknown>

/** Lines of the log since `from` that stand for `total` events, written in full or counted. */
async function linesFor(total: number, from: number, accepts: (line: Line) => boolean): Promise<Line[]> {
  return eventually(
    async () => readLog().slice(from).filter(accepts),
    (lines) => lines.reduce((sum, line) => sum + Number(line['count'] ?? 1), 0) >= total,
  )
}

test('refusals of a full queue are counted in the log, not logged one by one', async () => {
  const stranger = { id: '', name: randomWord(), password: keepSecret(randomWord()) }
  const parts = { headers, body: passwordForm(stranger) }
  const answers = await Promise.all(Array.from({ length: 20 }, () => sendToken(app, parts)))
  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  expect(refused.length).toBeGreaterThan(10)
  const counts = await linesFor(refused.length, 0, ({ event }) => event === 'overload')
  expect(counts.length).toBeLessThan(refused.length)
  expect(counts[0]).toMatchObject({
    level: 40,
    reason: 'hash queue full',
    dialect: 'webapi',
    count: expect.any(Number),
  })
  expect(readLog().filter(({ event, code }) => event === 'refusal' && code === 'temporarily_unavailable')).toEqual([])
})

describe('a log line that any caller can cause is logged up to a limit each second, and then counted', () => {
  const total = 400
  const ask = (options: object) => app.inject({ method: 'POST', ...options })
  test.concurrent.each<[string, () => Promise<unknown>, Line]>([
    [
      'an empty request',
      () => sendToken(app, {}),
      { event: 'refusal', reason: 'no client credentials', dialect: 'webapi' },
    ],
    [
      'an unknown client',
      () => sendToken(app, { body: `grant_type=password&client_id=${randomWord()}` }),
      { event: 'refusal', reason: 'unknown client' },
    ],
    ['another method', () => ask({ method: 'PUT', url: '/Token' }), { event: 'refusal', reason: 'Use GET or POST.' }],
    [
      'a dead token',
      () => ask({ method: 'GET', url: '/userinfo', headers: bearer(`${randomWord()}${randomWord()}`) }),
      { event: 'refusal', reason: 'token unknown', endpoint: '/userinfo' },
    ],
    [
      'a question about a dead token',
      () => ask({ url: '/introspect', headers, body: `token=${randomWord()}` }),
      { event: 'introspection', reason: 'token unknown', endpoint: 'introspection' },
    ],
    [
      'a revocation without a token',
      () => ask({ url: '/revoke', headers, body: 'a=b' }),
      { reason: 'missing field token' },
    ],
  ])('%s', async (_name, cause, facts) => {
    const from = readLog().length
    for (let sent = 0; sent < total; sent += 50) await Promise.all(Array.from({ length: 50 }, cause))
    const lines = await linesFor(total, from, ({ event, reason }) => {
      return reason === facts['reason'] && (facts['event'] ?? event) === event
    })
    const inFull = lines.filter((line) => !('count' in line))
    const counted = lines.filter((line) => 'count' in line)
    expect(inFull.length).toBeGreaterThanOrEqual(maxFullLines)
    expect(inFull.length).toBeLessThanOrEqual(maxFullLines * countSeconds(inFull))
    expect(inFull.every(({ address }) => address === '127.0.0.1')).toBe(true)
    expect(counted[0]).toMatchObject({ level: inFull[0]?.['level'], ...facts })
    expect(lines.length).toBeLessThan(total)
  })
})

/** The seconds of the log that lines may fall into, each starting with its first line. */
function countSeconds(lines: readonly Line[]): number {
  const times = lines.map(({ time }) => Number(time))
  return Math.floor((Math.max(...times) - Math.min(...times)) / 1_000) + 2
}

describe('the bounded log', () => {
  function openLog(place: Record<string, string> = {}) {
    const lines: Line[] = []
    const logger: FastifyBaseLogger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const scope = Fastify({ loggerInstance: logger })
    const write = createBoundedLog(scope)
    return {
      lines,
      scope,
      write: (reason: string, event = 'refusal') =>
        write(scope.log, { level: 'info', event, reason, message: `no: ${reason}`, place }),
    }
  }

  test('tells reasons apart, and counts what is left when the server closes', async () => {
    const { lines, scope, write } = openLog({ endpoint: 'here' })
    for (let count = 0; count < maxFullLines + 5; count += 1) write('one')
    write('two')
    await scope.close()
    expect(lines.filter(({ msg }) => msg === 'no: one')).toHaveLength(maxFullLines)
    expect(lines.filter(({ msg }) => msg === 'no: two')).toHaveLength(1)
    expect(lines.filter((line) => 'count' in line)).toEqual([
      expect.objectContaining({
        level: 30,
        reason: 'one',
        event: 'refusal',
        endpoint: 'here',
        count: 5,
        msg: '5 times more: no: one',
      }),
    ])
  })

  test('keeps a bounded number of reasons', async () => {
    const { lines, scope, write } = openLog()
    for (let count = 0; count < 5_000; count += 1) write(`reason ${count}`)
    await scope.close()
    expect(lines.length).toBeLessThan(200)
    expect(lines.at(-1)).toMatchObject({ reason: 'other reasons' })
    expect(lines.reduce((sum, line) => sum + Number(line['count'] ?? 1), 0)).toBe(5_000)
  })
})
