// Trial: throws thousands of requests at servers
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { inRoom } from '../../bench/support/room.ts'
import { type Attack, attack, type Findings } from '../../trials/fuzz/attack.ts'
import { drawnFrom } from '../../trials/fuzz/chance.ts'
import { measureCosts } from '../../trials/fuzz/costs.ts'
import { gatherFaults } from '../../trials/fuzz/faults.ts'
import { fuzzServer, type Setting, settings } from '../../trials/fuzz/fuzz-server.ts'
import { inventKnown } from '../../trials/fuzz/known.ts'
import { readLog } from '../../trials/fuzz/read-log.ts'
import { drawRepetitions } from '../../trials/fuzz/repetitions.ts'
import { writeFaults } from '../../trials/fuzz/report.ts'
import { writeRequest } from '../../trials/fuzz/write-request.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'

const seed = randomInt(2 ** 31)

describe('the built server under random requests', () => {
  test.concurrent.each(['throttled', 'variants'] as const)('stays well: %s', async (name) => {
    const { statuses, faults } = await fuzzBuilt(settings[name])
    expect(writeFaults({ setting: name, faults }, seed)).toBe('')
    // the right requests among them got where they were meant to get
    for (const endpoint of ['/Token', '/v2/token', '/v1/oauth/', '/auth/login', '/userinfo', '/introspect']) {
      expect(statuses.get(endpoint)?.get(200), endpoint).toBeGreaterThan(0)
    }
  })
})

async function fuzzBuilt(setting: Setting): Promise<Findings> {
  const { database, url } = await freshDatabase()
  await database.close()
  return inRoom((room) => fuzzServer(room, url, setting, { seed, first: 0, requests: 1_500, seconds: 60 }))
}

describe('fuzzing', () => {
  /** So few requests show everything only if they are always the same. */
  const oneSeed = 1
  const known = inventKnown()
  for (const secret of [known.password, known.client.secret, known.customerKey]) keepSecret(secret)

  /** An answer in everything as it should be. */
  const calm = { status: 400, headers: {}, body: '{"error":"invalid_request","error_description":"No."}' }
  const rawAnswer =
    'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n' +
    `content-length: ${calm.body.length}\r\n`
  const says = (said: Partial<{ status: number; headers: Record<string, string>; body: string }>): RequestListener => {
    const { status, headers, body } = { ...calm, ...said }
    const usual = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }
    return (_request, response) => void response.writeHead(status, { ...usual, ...headers }).end(body)
  }

  test('reports no fault of a server that always refuses correctly', async () => {
    expect(await faultsOf(says({}))).toEqual([])
  })

  const repeat = (request: IncomingMessage) => JSON.stringify({ error: 'x', error_description: request.url })
  const repeatAll: RequestListener = (request, response) => says({ body: repeat(request) })(request, response)
  const broken: [name: string, found: string, listener: RequestListener][] = [
    ['answers 500', 'status 500', says({ status: 500 })],
    ['answers 503', 'status 503', says({ status: 503 })],
    [
      'lets an answer about tokens be kept',
      'an answer that may be kept',
      says({ headers: { 'cache-control': 'no-cache' } }),
    ],
    ['sets a cookie', 'the header set-cookie', says({ headers: { 'set-cookie': 'a=b' } })],
    ['says what it is made of', 'the header x-powered-by', says({ headers: { 'x-powered-by': 'a' } })],
    ['repeats the request in a header', 'a word of the request in a header', repeatInHeader],
    ['repeats the request in the body', 'a word of the request in the body', repeatAll],
    ['repeats the request in a seat that is none', 'a word of the request in the body', repeatAsText],
    ['sends broken JSON', 'JSON that is none', says({ body: '{"error":' })],
    ['sends broken XML', 'XML that is none', says({ headers: { 'content-type': 'text/xml' }, body: '<a><b></a>' })],
    ['sends bytes that are not UTF-8', 'a text that is not UTF-8', sendLatin1],
    ['sends a page', 'a body of the type text/html', says({ headers: { 'content-type': 'text/html' }, body: '<p>' })],
    ['sends no words', 'a refusal without a word', says({ body: '' })],
    [
      'sends the words of its framework',
      'a refusal in words of others',
      says({ body: '{"statusCode":400,"error":"x"}' }),
    ],
    ['gives tokens for nothing', 'a token for nothing', says({ status: 200, body: '{"access_token":"a"}' })],
    ['gives secrets away', 'a secret in the answer', says({ body: JSON.stringify({ error: known.password }) })],
    ['never answers', 'no answer in 1500 ms', () => undefined],
    ['hangs up', 'no answer: hung up', (_request, response) => void response.socket?.end()],
    ['answers twice', 'more than one answer', answerTwice],
    [
      'writes headers of its own',
      'a header line that is none',
      (_request, { socket }) => void socket?.end('HTTP/1.1 200 OK\r\na:b\r\n\r\n'),
    ],
  ]

  test.each(broken)('finds a server that %s', async (_name, found, listener) => {
    expect(await faultsOf(listener)).toContainEqual(expect.stringContaining(found))
  })

  test('finds a server that keeps connections open whose other end is gone', async () => {
    const server = createServer((_request, response) => void response.socket?.on('end', () => undefined))
    Object.assign(server, { httpAllowHalfOpen: true })
    server.on('clientError', () => undefined)
    const faults = await faultsAt(server, { requests: 200 })
    expect(faults).toContainEqual(expect.stringContaining('the connection is still open'))
  })

  test('finds a server that keeps something of every request', async () => {
    const kept: Buffer[] = []
    const listener: RequestListener = (request, response) => {
      kept.push(Buffer.alloc(500_000, 'a'))
      says({})(request, response)
    }
    const faults = await faultsOf(listener, { requests: 400, maxGrowthMib: 64 })
    expect(kept.length).toBeGreaterThan(0)
    expect(faults).toContainEqual(expect.stringContaining('memory grew'))
  })

  test('finds a server that has exited', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'close')
    const faults = await faultsOf(says({}), {}, child.pid)
    expect(faults).toContain('the process has ended')
  })

  test.each([
    ['an error', 'an error in the log', '{"level":50,"msg":"unforeseen error"}'],
    ['a stack beside its lines', 'a line beside the log', '    at TCP.onread'],
    ['a password', 'a secret in the log', `{"level":30,"msg":"${known.password}"}`],
    ['a token', 'a secret in the log', `{"level":30,"msg":"${'A1-_'.repeat(18)}"}`],
  ])('finds a log with %s', async (_name, found, line) => {
    const file = join(await temporaryFolder(), 'log')
    const good = '{"level":30,"time":1,"msg":"refused: missing field username"}'
    await writeFile(file, `${good}\n${line}\n${good}\n`)
    const faults = gatherFaults(known)
    expect(await readLog(file, known, faults)).toBe(3)
    expect(faults.all().map(({ what }) => what)).toEqual([found])
    expect(faults.all()[0]?.evidence).not.toContain(known.password)
  })

  test('finds a server whose requests differ in cost', async () => {
    const slow: RequestListener = (request, response) => {
      const until = performance.now() + ((request.url?.length ?? 0) > 1_000 ? 15 : 0)
      while (performance.now() < until);
      says({})(request, response)
    }
    const server = createServer({ requireHostHeader: false }, slow)
    const url = await openServer(server)
    const write = (path: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`)
    const repeated = ['/short', `/${'a'.repeat(2_000)}`].map((path) => ({
      place: 'path',
      piece: path,
      write: () => write(path),
    }))
    const { tooDear, dearest } = await measureCosts({ url, pid: process.pid, ordinary: write('/') }, repeated)
    expect(tooDear.map(({ piece }) => piece)).toEqual([repeated[1]?.piece])
    expect(dearest).toMatchObject({ piece: repeated[1]?.piece })
  })

  test('repeats each piece in each place within the header limits', () => {
    const drawn = drawRepetitions(oneSeed, 100_000)
    const places = new Map(drawn.map((repetition) => [repetition.place, repetition]))
    expect([drawn.length > 5_000, places.size > 50]).toEqual([true, true])
    for (const { place, write } of places.values())
      expect([place, write().indexOf('\r\n\r\n') < 16_000]).toEqual([place, true])
    const namesOf = (from: number) => drawRepetitions(from, 20).map(({ place, piece }) => place + piece)
    expect(namesOf(seed)).toEqual(namesOf(seed))
    expect(namesOf(seed + 1)).not.toEqual(namesOf(seed))
  })

  test('prints a request without its secrets, with the seed and number that reproduce it', async () => {
    const { faults } = await throwAt(createServer(says({ status: 500 })), { requests: 60 })
    const shown = writeFaults({ setting: 'plain', faults }, oneSeed)
    expect(shown).toContain(`again with --seed ${oneSeed} --only plain --first `)
    expect(shown).toMatch(/password=<password>|<basic>|client_secret=<secret>/)
    for (const secret of [known.password, known.client.secret, known.customerKey]) expect(shown).not.toContain(secret)
  })

  test('makes the same requests from the same seed and different ones from another', () => {
    const signTime = () => ({ deviceKey: 'device-1', timestamp: 1, signature: '00' })
    const write = (from: number) =>
      Array.from({ length: 50 }, (_, number) =>
        drawnFrom(from, number, (chance) =>
          writeRequest(chance, { ...known, signTime }, number).bytes.toString('latin1'),
        ),
      )
    expect(write(seed)).toEqual(write(seed))
    expect(write(seed + 1)).not.toEqual(write(seed))
  })

  async function faultsOf(
    listener: RequestListener,
    options: Partial<Attack> = {},
    pid = process.pid,
  ): Promise<string[]> {
    const server = createServer({ requireHostHeader: false }, listener)
    server.on('checkExpectation', listener)
    server.on('clientError', (_error, socket) => void socket.end(`${rawAnswer}connection: close\r\n\r\n${calm.body}`))
    return faultsAt(server, options, pid)
  }

  async function faultsAt(server: ReturnType<typeof createServer>, options?: Partial<Attack>, pid?: number) {
    return (await throwAt(server, options, pid)).faults.map(({ what }) => what)
  }

  async function throwAt(
    server: ReturnType<typeof createServer>,
    options: Partial<Attack> = {},
    pid = process.pid,
  ): Promise<Findings> {
    const target = { url: await openServer(server), pid, known, allowed: {} }
    const usual = { requests: 120, seconds: 20, answerMs: 1_500, maxGrowthMib: 10_000, settleMs: 0 }
    return attack(target, { seed: oneSeed, first: 0, ...usual, ...options })
  }

  async function openServer(server: ReturnType<typeof createServer>): Promise<string> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  }

  function repeatInHeader(request: IncomingMessage, response: ServerResponse): void {
    says({ headers: { location: encodeURI(request.url ?? '') } })(request, response)
  }

  function repeatAsText(request: IncomingMessage, response: ServerResponse): void {
    says({ status: 200, body: repeat(request) })(request, response)
  }

  function sendLatin1(_request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(400, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(Buffer.from('{"error":"\xe9"}', 'latin1'))
  }

  function answerTwice({ socket }: IncomingMessage): void {
    socket.write(`${rawAnswer}\r\n${calm.body}`.repeat(2))
  }
})
