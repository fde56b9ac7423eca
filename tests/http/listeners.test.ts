import { type AddressInfo, connect, createServer } from 'node:net'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../src/database/postgres.ts'
import { addressesOf, listen } from '../../src/http/listeners.ts'
import { createServer as createApp } from '../../src/server.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { logLines, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { basic, passwordForm } from '../support/requests.ts'
import { plainOptions } from '../support/test-server.ts'

const addresses = ['127.0.0.1', '::1'] as const
let url: string
let form: string
let authorization: string

beforeAll(async () => {
  const fresh = await freshDatabase()
  url = fresh.url
  authorization = basic(...(Object.values(await addClient(fresh.database)) as [string, string])).authorization
  form = passwordForm(await addUser(fresh.database))
  return () => fresh.database.close()
})

/** A server that listens on both addresses. */
async function start(options: Partial<typeof plainOptions> = {}) {
  const database = await openDatabase(url)
  const app = await createApp(database, pino({}, logLines), { ...plainOptions, ...options })
  await listen(app, addresses, { port: 0, backlog: 100 })
  const { port } = app.server.address() as AddressInfo
  const close = async () => {
    await app.close()
    await database.close()
  }
  return { app, port, close, originOf: (host: string) => `http://${host === '::1' ? '[::1]' : host}:${port}` }
}

describe.each(addresses)('the listener on %s', (host) => {
  let server: Awaited<ReturnType<typeof start>>
  beforeAll(async () => {
    server = await start()
    return () => server.close()
  })
  const send = (bytes: string) => sendTo(host, server.port, bytes)

  test('answers', async () => {
    expect(await send('GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })

  test.each([
    ['bytes that are not HTTP', 'rubbish\r\n\r\n', 400],
    ['a head that is too long', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['an expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n', 417],
    ['a request without Host', 'GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ])('refuses %s in JSON', async (_name, bytes, status) => {
    const answer = await send(bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toContain('"error":"invalid_request"')
  })

  test('appears in the log', () => {
    expect(readLog().map(({ msg }) => msg)).toContain(`ready on ${server.originOf(host)}`)
  })
})

test.each(addresses)('closing finishes the requests in flight on %s and frees the port', async (host) => {
  const dear = { ...plainOptions.passwords, memoryKib: 32_768, concurrency: 1 }
  const { port, close } = await start({ passwords: dear })
  const request =
    `POST /Token HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nConnection: close\r\n` +
    `Content-Length: ${form.length}\r\n\r\n${form}`
  const asked = Array.from({ length: 8 }, () => sendTo(host, port, request))
  const idle = connect(port, host).on('error', () => undefined)
  idle.write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n')
  await new Promise((resolve) => idle.once('data', resolve))
  const closing = close()
  const answers = await Promise.all(asked)
  await closing
  expect(answers.map((answer) => answer.slice(9, 12))).toEqual(Array(8).fill('200'))
  for (const address of addresses) await expect(sendTo(address, port, request)).rejects.toThrow('ECONNREFUSED')
})

test('an address that cannot be bound is a warning, or an error when it is the first', async () => {
  const database = await openDatabase(url)
  const other = createServer().listen(0, '::1')
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  afterAll(() => void other.close())
  const app = await createApp(database, pino({}, logLines), plainOptions)
  await listen(app, ['127.0.0.1', '::1'], { port, backlog: 1 })
  expect(readLog().map(({ msg }) => msg)).toContain('not listening on ::1')
  await app.close()
  const second = await createApp(database, pino({}, logLines), plainOptions)
  await expect(listen(second, ['::1', '127.0.0.1'], { port, backlog: 1 })).rejects.toThrow('EADDRINUSE')
  await second.close()
  await database.close()
})

test('localhost means all its addresses, and other hosts are taken literally', async () => {
  expect(await addressesOf('0.0.0.0')).toEqual(['0.0.0.0'])
  expect(await addressesOf('::')).toEqual(['::'])
  const found = await addressesOf('localhost')
  expect(found.length).toBeGreaterThan(0)
  expect(new Set(found).size).toBe(found.length)
})

function sendTo(host: string, port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, host, () => socket.write(bytes))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
}
