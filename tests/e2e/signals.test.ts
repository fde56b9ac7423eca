// Any PostgreSQL: the process hears signals
import { readdir } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { findToken } from '../../src/tokens/find-token.ts'
import { registerUser } from '../../src/users/register-user.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { fillFolder } from '../support/made-folder.ts'
import { addClient, cheapPasswords, randomWord } from '../support/people.ts'
import { readyServer, runCommand, type ServerProcess, startServer } from '../support/processes.ts'
import { basic } from '../support/requests.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { ask } from '../support/wire.ts'

const runWarm = warmCommands()

type Person = { name: string; password: string }

describe('a server that is told to stop', () => {
  let database: Database
  let environment: Record<string, string>
  let client: { id: string; secret: string }

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    environment = { DATABASE_URL: fresh.url }
    client = await addClient(database)
    return () => database.close()
  })

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s answers every accepted request, keeps every token it issued and exits with 0 in ten seconds',
    async (signal) => {
      const server = await busyServer()
      const asked = signInAll(server, await addPeople(40))
      await getIn(server)
      server.signal(signal)
      expect(await exitCode(server)).toBe(0)
      await expectAllGiven(await asked)
      await expect(ask(`${server.url}/health/live`)).rejects.toThrow() // the port is closed
    },
  )

  test('is not hurried by a second signal', async () => {
    const server = await busyServer()
    const asked = signInAll(server, await addPeople(40))
    await getIn(server)
    server.signal('SIGTERM')
    await logLine(server, 'closing')
    server.signal('SIGTERM')
    server.signal('SIGINT')
    expect(await exitCode(server)).toBe(0)
    await expectAllGiven(await asked)
    expect(server.lines.filter((line) => line.includes('"event":"closing"'))).toHaveLength(1)
  })

  test('waits neither for half a request nor for an idle connection', async () => {
    const server = await busyServer()
    const idle = await openSocket(server)
    idle.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await new Promise((resolve) => idle.once('data', resolve))
    const silent = await openSocket(server)
    const halfHead = await openSocket(server)
    halfHead.write('POST /Token HTTP/1.1\r\nHost: loc')
    const halfBody = await openSocket(server)
    halfBody.write('POST /Token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ngrant_type=')
    const asked = signInAll(server, await addPeople(20))
    await getIn(server)
    server.signal('SIGTERM')
    expect(await exitCode(server)).toBe(0)
    await expectAllGiven(await asked)
    // the database too, and not just out of time; the request that was cut off may be logged after that
    expect(server.lines.map((line) => JSON.parse(line).msg)).toContain('closed')
    for (const socket of [idle, silent, halfHead, halfBody]) expect(socket.destroyed || socket.readableEnded).toBe(true)
  })

  test('under continuing load answers with 200 or not at all', async () => {
    const server = await busyServer({ HASH_CONCURRENCY: '2' })
    const people = await addPeople(30)
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const answers: Answered[] = []
    let isOver = false
    const load = people.map(async (user) => {
      while (!isOver) {
        const answered = await signIn(server, user, agent)
        answers.push(answered)
        if (answered.status === null) return
      }
    })
    while (answers.length < 100) await sleep(10)
    server.signal('SIGTERM')
    expect(await exitCode(server)).toBe(0)
    isOver = true
    await Promise.all(load)
    expect(answers.filter(({ status }) => status !== 200 && status !== null)).toEqual([])
    // of each user's tokens the last one must still be there
    const last = new Map(answers.flatMap((one) => (one.value === null ? [] : [[one.user, one.value]])))
    for (const value of last.values()) expect(await endOf(value)).toBe('live')
  })

  test('stops waiting for its database', async () => {
    const starting = startServer({ environment: { DATABASE_URL: 'postgres://postgres@127.0.0.1:1/postgres' } })
    await starting.until((line) => line.includes('trying again'))
    starting.signal('SIGTERM')
    expect(await exitCode(starting)).toBe(0)
  })

  test('during the creation of its embedded database leaves none running', async () => {
    const folder = await temporaryFolder()
    const starting = startServer({ environment: { EMBEDDED_FOLDER: folder } })
    while ((await readdir(folder)).length === 0) await sleep(5)
    starting.signal('SIGTERM')
    expect(await exitCode(starting)).toBe(0)
    expect(await readdir(join(folder, 'cluster')).catch(() => [])).not.toContain('postmaster.pid')
    expect((await runCommand(['migrate', '--embedded', folder])).code).toBe(0)
  })

  test('stops its embedded database too and loses no token it issued', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const server = await readyServer({ environment: { EMBEDDED_FOLDER: folder } })
    const embedded = (args: string[], input = '') => runWarm([...args, '--json', '--embedded', folder], { input })
    const secret = keepSecret(JSON.parse((await embedded(['client', 'add', 'a-client'])).stdout).client_secret)
    const user = { name: 'ada', password: keepSecret(randomWord()) }
    await embedded(['user', 'add', 'ada', '--password-stdin'], user.password)
    const { status } = await signIn(server, user, false, { id: 'a-client', secret })
    expect(status).toBe(200)
    server.signal('SIGTERM')
    expect(await exitCode(server)).toBe(0)
    const { stdout } = await embedded(['token', 'list'])
    expect(JSON.parse(stdout)).toMatchObject([{ userName: 'ada', state: 'live' }])
  })

  /** One password at a time and that slowly, so that a signal finds many waiting; patient, so that none is refused. */
  async function busyServer(more: Record<string, string> = {}): Promise<ServerProcess> {
    const slow = { ARGON2_MEMORY_KIB: '16384', ARGON2_PASSES: '2', HASH_CONCURRENCY: '1', HASH_QUEUE_SECONDS: '60' }
    return readyServer({ environment: { ...environment, ...slow, ...more } })
  }

  async function addPeople(count: number): Promise<Person[]> {
    const password = keepSecret(randomWord())
    const passwordHash = await (await createPasswords({ ...cheapPasswords, memoryKib: 16_384, passes: 2 })).hash(
      password,
    )
    const names = Array.from({ length: count }, () => `user-${randomWord()}`)
    await Promise.all(names.map((name) => registerUser(database.writes, { name, passwordHash })))
    return names.map((name) => ({ name, password }))
  }

  interface Answered {
    readonly user: string
    /** Null when the connection was refused or closed before any answer. */
    readonly status: number | null
    readonly value: string | null
  }

  /** Resolves when all of them are written. */
  function signInAll(server: ServerProcess, people: Person[]): Promise<Answered[]> {
    return Promise.all(people.map((user) => signIn(server, user, false)))
  }

  function signIn(server: ServerProcess, user: Person, agent: Agent | false, by = client): Promise<Answered> {
    const body = new URLSearchParams({
      grant_type: 'password',
      username: user.name,
      password: user.password,
    }).toString()
    return new Promise((resolve, reject) => {
      const headers = { ...basic(by.id, by.secret), 'content-length': Buffer.byteLength(body) }
      const asking = request(`${server.url}/Token`, { method: 'POST', agent, headers }, (response) => {
        readText(response).then((text) => {
          const value = response.statusCode === 200 ? keepSecret(JSON.parse(text).access_token) : null
          resolve({ user: user.name, status: response.statusCode ?? 0, value })
        }, reject) // an answer that was begun is finished
      })
      asking.on('error', () => resolve({ user: user.name, status: null, value: null }))
      asking.end(body)
    })
  }

  /** Connections are accepted in order: when a later one is answered, all earlier ones are in. */
  async function getIn(server: ServerProcess): Promise<void> {
    for (let turn = 0; turn < 3; turn += 1) {
      const socket = await openSocket(server)
      socket.write('GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
      await new Promise((resolve) => socket.once('close', resolve))
    }
  }

  async function expectAllGiven(answers: Answered[]): Promise<void> {
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    const states = await Promise.all(answers.map(({ value }) => endOf(value ?? '')))
    expect(new Set(states)).toEqual(new Set(['live']))
  }

  async function endOf(value: string): Promise<string> {
    const found = await findToken(database.lookups, value)
    return 'token' in found ? 'live' : found.ended
  }
})

async function openSocket(server: ServerProcess): Promise<Socket> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.resume()
  return socket
}

async function logLine(server: ServerProcess, event: string): Promise<void> {
  while (!server.lines.some((line) => line.includes(`"event":"${event}"`))) await sleep(10)
}

/** The contract's ten seconds, and a word instead of a code when they are over. */
async function exitCode({ exited }: Pick<ServerProcess, 'exited'>): Promise<number | null | string> {
  return Promise.race([exited, sleep(10_000, 'still running after ten seconds')])
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}
