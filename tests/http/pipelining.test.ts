// Any PostgreSQL: this process decides the order of answers

import { connect, type Socket } from 'node:net'
import Fastify from 'fastify'
import { describe, expect, onTestFinished, test } from 'vitest'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { maxPieces } from '../../src/http/body-pieces.ts'
import { maxWaiting } from '../../src/http/connection-turns.ts'
import { tokenServer } from '../../src/token-server.ts'
import { createTokenCache } from '../../src/tokens/token-cache.ts'
import { addClient, addUser } from '../support/people.ts'
import { basic, passwordForm } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'
import { ask } from '../support/wire.ts'

const { app, database } = await testServer({ dialects: [webapi, webapiSession, envelope] })
const origin = await listen(app)
const client = await addClient(database)
const user = await addUser(database)

const live = 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n'
const last = 'GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

function countAnswers(text: string): number {
  return text.split('HTTP/1.1 ').length - 1
}

describe('pipelined requests of one connection', () => {
  test('are answered one after the other, in order', async () => {
    const none = 'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n'
    const answer = await sendBytes(origin, live + none + live + none + last)
    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
      '200',
      '404',
      '200',
      '404',
      '200',
    ])
  })

  test('are answered when their bodies arrive piece by piece', async () => {
    const body = passwordForm(user)
    const { authorization } = basic(client.id, client.secret)
    const signIn = `POST /Token HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const bytes = live.repeat(20) + signIn + last
    const answer = await sendSlowly(bytes, 20)
    expect(countAnswers(answer)).toBe(22)
    expect(answer).toContain('"access_token"')
  })

  test('wait for each other, while other connections are answered', async () => {
    const order: string[] = []
    const flood = sendBytes(origin, live.repeat(maxWaiting) + last).then((answer) => {
      order.push('flood')
      return answer
    })
    await ask(`${origin}/health/live`)
    const others = Array.from({ length: 3 }, () => ask(`${origin}/health/live`).then(() => order.push('other')))
    const answer = await flood
    await Promise.all(others)
    expect(countAnswers(answer)).toBe(maxWaiting + 1)
    expect(order.at(-1)).toBe('flood')
  })

  test('are limited: the connection is closed beyond the limit', async () => {
    const answer = await sendBytes(origin, live.repeat(3_000))
    expect(countAnswers(answer)).toBe(maxWaiting + 1)
    expect(answer.split('HTTP/1.1 ').at(-1)).toMatch(/^200 OK\r\n[\s\S]*connection: close\r\n/i)
  })

  test('are answered before the connection ends on one that is not HTTP', async () => {
    const answer = await sendBytes(origin, `${live.repeat(5)}rubbish\r\n\r\n`)
    expect(countAnswers(answer)).toBe(5)
  })

  test('do not hold a server that has lost the connection', async () => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    socket.write(live.repeat(50))
    await new Promise((resolve) => socket.once('data', resolve))
    socket.destroy()
    expect((await ask(`${origin}/health/live`)).status).toBe(200)
  })
})

describe('inside a host', () => {
  /** Counts how many calls of `work` run at a time. */
  function watch<Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) {
    const seen = { now: 0, most: 0 }
    const watched = async (...args: Args): Promise<Result> => {
      seen.now += 1
      seen.most = Math.max(seen.most, seen.now)
      return work(...args).finally(() => {
        seen.now -= 1
      })
    }
    return [watched, seen] as const
  }

  test('pipelined requests wait for each other, and those of the host do not', async () => {
    const cache = createTokenCache(database, { seconds: 0 })
    const [findToken, checks] = watch(cache.findToken)
    const [answerOwn, own] = watch(async () => new Promise((resolve) => setTimeout(resolve, 50, { own: true })))
    const host = Fastify()
    host.get('/own', answerOwn)
    await host.register(tokenServer, { database, dialects: [webapi], tokenCache: { ...cache, findToken } })
    onTestFinished(() => host.close())
    const hostOrigin = await listen(host)
    const value = `${'a'.repeat(72)}`
    const check = (more = '') => `GET /userinfo HTTP/1.1\r\nHost: a\r\n${more}Authorization: Bearer ${value}\r\n\r\n`
    const answers = await sendBytes(hostOrigin, check().repeat(20) + check('Connection: close\r\n'))
    expect([countAnswers(answers), checks.most]).toEqual([21, 1])
    const ours = 'GET /own HTTP/1.1\r\nHost: a\r\n'
    await sendBytes(hostOrigin, `${`${ours}\r\n`.repeat(4)}${ours}Connection: close\r\n\r\n`)
    expect(own.most).toBe(5)
  })

  test('a body in too many pieces is refused, and a body of the host is read', async () => {
    const host = Fastify()
    host.addContentTypeParser('text/plain', { parseAs: 'string' }, async (_request: unknown, body: string) => body)
    host.post('/own', async ({ body }) => String(body).length)
    await host.register(tokenServer, { database, dialects: [webapi] })
    onTestFinished(() => host.close())
    const hostOrigin = await listen(host)
    const send = (path: string) =>
      sendBytes(
        hostOrigin,
        `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
          `Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(1_000)}0\r\n\r\n`,
      )
    expect(await send('/Token')).toContain('The body came in more than 100 pieces.')
    expect(await send('/own')).toMatch(/\r\n\r\n1000$/)
  })
})

async function sendSlowly(bytes: string, pieces: number): Promise<string> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  socket.setNoDelay(true)
  const answer = new Promise<string>((resolve, reject) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
  const length = Math.ceil(bytes.length / pieces)
  for (let at = 0; at < bytes.length && !socket.destroyed; at += length) {
    socket.write(bytes.slice(at, at + length))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return answer
}

describe('a body in more pieces than a sender needs', () => {
  const sentence = `The body came in more than ${maxPieces} pieces.`
  const inChunks = (method: string, path: string, count: number, type = 'application/x-www-form-urlencoded') =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n` +
    `${'1\r\na\r\n'.repeat(count)}0\r\n\r\n`

  test.each([
    ['POST', '/Token'],
    ['GET', '/Token'],
    ['POST', '/v2/token'],
    ['POST', '/introspect'],
    ['POST', '/revoke'],
  ])('is refused, and the connection closed: %s %s', async (method, path) => {
    const answer = await sendBytes(origin, inChunks(method, path, 16_000))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
    expect(answer).toContain(sentence)
    expect(countAnswers(answer)).toBe(1)
  })

  test('has the code of unreadable data in the envelope', async () => {
    const answer = await sendBytes(origin, inChunks('POST', '/v1/oauth/', 1_000))
    expect(answer).toContain('"code":"2400"')
  })

  test.each([
    ['GET', '/health/live', 200],
    ['POST', '/health/live', 404],
    ['POST', '/nothing', 404],
    ['GET', '/userinfo', 401],
  ])('ends the connection where the server reads no body: %s %s', async (method, path, status) => {
    const answer = await sendBytes(origin, inChunks(method, path, 100_000))
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  test('is refused with a Content-Length too', async () => {
    const head = 'POST /Token HTTP/1.1\r\nHost: a\r\nContent-Length: 16000\r\n\r\n'
    const answer = await sendSlowly(head + 'a'.repeat(300), 360)
    expect(answer).toContain(sentence)
  })

  test('costs no call for the pieces that follow in the same read', async () => {
    let calls = 0
    app.server.once('connection', (socket: Socket & { parser?: Record<string, unknown> }) => {
      const parser = socket.parser ?? {}
      const [slot, handler] = Object.entries(parser).find(([, value]) => Object(value).name === 'parserOnBody') ?? [
        '',
        null,
      ]
      parser[slot] = function parserOnBody(this: unknown, piece: Buffer) {
        calls++
        Reflect.apply(handler as (piece: Buffer) => void, this, [piece])
      }
      socket.once('close', () => setImmediate(() => Object.assign(parser, { [slot]: handler })))
    })
    await sendBytes(origin, inChunks('POST', '/Token', 10_000)) // 60 kB, which Node reads at once or in a few reads
    expect(calls).toBeGreaterThan(maxPieces)
    expect(calls).toBeLessThan(maxPieces + 50)
  })

  test('leaves the bodies of later connections whole, although Node uses its parsers again', async () => {
    const { authorization } = basic(client.id, client.secret)
    const body = passwordForm(user)
    for (let turn = 0; turn < 3; turn++) {
      await sendBytes(origin, inChunks('POST', '/Token', 16_000))
      const headers = { authorization, connection: 'close', 'content-type': 'application/x-www-form-urlencoded' }
      const answer = await fetch(`${origin}/Token`, { method: 'POST', headers, body })
      expect(answer.status).toBe(200)
    }
  })

  test('is read where it has as many pieces as are allowed', async () => {
    const answer = await sendBytes(
      origin,
      inChunks('POST', '/Token', maxPieces).replace('Host: a', 'Host: a\r\nConnection: close'),
    )
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
  })
})
