// Any PostgreSQL: a caller leaves before the server asks its database
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { type ServerProcess, type StartingServer, startServer } from '../support/processes.ts'
import { basic, passwordForm } from '../support/requests.ts'
import { eventually } from '../support/wire.ts'

type Person = { readonly name: string; readonly password: string }

let database: Database
let starting: StartingServer
let server: ServerProcess
let client: { id: string; secret: string }

beforeAll(async () => {
  const fresh = await freshDatabase()
  database = fresh.database
  client = await addClient(database)
  // one hash after the other, and each so dear that everything sent at once is there before the second begins
  const dear = { HASH_CONCURRENCY: '1', HASH_QUEUE_SECONDS: '60', ARGON2_MEMORY_KIB: '32768', ARGON2_PASSES: '2' }
  starting = startServer({ environment: { DATABASE_URL: fresh.url, ...dear } })
  server = await starting.ready
  return () => database.close()
})

describe('a caller in a long queue', () => {
  test('that hangs up costs no hash, and all others are answered', async () => {
    const staying = await Promise.all(Array.from({ length: 24 }, () => send(strangers(1))))
    await someAnswered(staying, 1) // all of them have come by now
    const closing = await Promise.all(Array.from({ length: 4 }, () => send(strangers(1))))
    const resetting = await Promise.all(Array.from({ length: 4 }, () => send(strangers(1))))
    const pipelining = await send(strangers(12))
    const asking = await send(strangers(1), 'GET')
    await someAnswered(staying, 4) // and by now these too, whose turn is far away
    for (const { socket } of [...closing, pipelining, asking]) socket.destroy()
    for (const { socket } of resetting) socket.resetAndDestroy()
    for (const { answers } of staying) {
      expect(await answers).toEqual([expect.stringMatching(/^HTTP\/1\.1 400 .*"error":"invalid_grant"/s)])
    }
    // of the pipelined requests one is under way, and the server never begins the others
    expect(await reasonsOf(34)).toEqual({ 'unknown user': 24, 'the caller has hung up': 4 + 4 + 1 + 1 })
    // whose password was looked at, and was wrong
    const [{ failures } = { failures: 0 }] = await database.script<{ failures: number }>(
      'select count(*)::integer as failures from password_grant.failures',
    )
    expect(failures).toBe(24)
  })

  test('that stays connected is never taken for one that hung up', async () => {
    const users = await Promise.all(Array.from({ length: 3 }, () => addUser(database)))
    const before = await reasonsOf(0)
    const refused = Object.values(before).reduce((sum, count) => sum + count, 0)
    const pipelined = await send([...users, ...strangers(9)])
    const asked = await send(users.slice(0, 1), 'GET')
    const kept = await send(users.slice(1, 2), 'POST', false)
    const [first] = (await once(kept.socket, 'data')) as [Buffer]
    expect(String(first)).toMatch(/^HTTP\/1\.1 200 /)
    kept.socket.write(write(users[2] as Person, 'POST', true))
    const statuses = async (sent: Sent) => (await sent.answers).map((answer) => answer.slice(9, 12))
    expect(await statuses(pipelined)).toEqual([...Array(3).fill('200'), ...Array(9).fill('400')])
    expect(await statuses(asked)).toEqual(['200'])
    expect(await statuses(kept)).toEqual(['200', '200'])
    expect(await reasonsOf(refused + 9)).toEqual({ ...before, 'unknown user': (before['unknown user'] ?? 0) + 9 })
    expect(starting.stderr()).toBe('') // Node warns there of what it takes for a leak
  })
})

function strangers(count: number): readonly Person[] {
  return Array.from({ length: count }, () => ({
    name: `nobody-${randomWord()}`,
    password: keepSecret(randomWord()),
  }))
}

interface Sent {
  readonly socket: Socket
  /** All of them, once the connection has ended. */
  readonly answers: Promise<readonly string[]>
}

/** Signs people in on one connection, all at once; `isLast`: it is closed after that. */
async function send(people: readonly Person[], method = 'POST', isLast = true): Promise<Sent> {
  const { port, hostname } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  const answers = new Promise<readonly string[]>((resolve, reject) => {
    socket.on('close', () => {
      for (const [, value = ''] of text.matchAll(/"access_token":"([^"]+)"/g)) keepSecret(value)
      resolve(text.split(/(?=HTTP\/1\.1 )/))
    })
    socket.on('error', reject)
  })
  answers.catch(() => undefined) // callers that hang up read no answer
  await once(socket, 'connect')
  socket.write(people.map((user, index) => write(user, method, isLast && index === people.length - 1)).join(''))
  return { socket, answers }
}

function write(user: Person, method: string, isLast: boolean): string {
  const body = passwordForm(user)
  const headers = {
    host: 'localhost',
    ...basic(client.id, client.secret),
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': `${body.length}`,
    connection: isLast ? 'close' : 'keep-alive',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `${[`${method} /Token HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n${body}`
}

async function someAnswered(sent: readonly Sent[], count: number): Promise<void> {
  const look = async () => sent.filter(({ socket }) => socket.bytesRead > 0).length
  await eventually(look, (answered) => answered >= count)
}

/** For which reasons requests were refused, and how often, once so many were. */
async function reasonsOf(refusals: number): Promise<Record<string, number>> {
  const read = async () => server.lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'refusal')
  const refused = await eventually(read, ({ length }) => length >= refusals)
  const counts: Record<string, number> = {}
  for (const { reason } of refused) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}
