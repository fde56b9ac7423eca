// Any PostgreSQL: the server refuses these documents before it asks its database
// Documents made to cost time or memory, over a real socket: each is refused at once, and nothing of it stays.
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { addUser } from '../support/people.ts'
import { passwordForm } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'
import { xmlRequest } from '../support/transcripts/webapi-session.ts'
import { eventually } from '../support/wire.ts'

const { app, database } = await testServer({ dialects: [webapiSession] })
const origin = await listen(app)
const user = await addUser(database)

const longest = 16 * 1024
const megabyte = 1024 * 1024

/** As many entities as fit, each of them `width` times the one before. */
function entities(width: number, reference: (index: number) => string, declare: (index: number) => string): string {
  const lines: string[] = []
  for (let length = 0, index = 1; length < 12_000 && index < 200; index += 1) {
    const line = `<!ENTITY ${declare(index)} "${reference(index - 1).repeat(width)}">`
    lines.push(line)
    length += line.length
  }
  return `<!ENTITY ${declare(0)} "ha">${lines.join('')}`
}

/** What asks the parser to read as much as a body may hold. */
function filled(start: string, piece: string, rest = ''): string {
  return start + piece.repeat(Math.floor((longest - start.length - rest.length) / piece.length)) + rest
}

const begin = xmlRequest('').replace(/<\/.*$/, '')
const end = '</OAuthRequest>'
const attributes = Array.from({ length: 1_700 }, (_, index) => `a${index}=""`).join(' ')
const namespaces = Array.from({ length: 900 }, (_, index) => `xmlns:p${index}="u"`).join(' ')

const documents: Readonly<Record<string, string>> = {
  'a billion laughs': `<!DOCTYPE x [${laughs(10)}]>${xmlRequest('<userName>&x9;</userName>')}`,
  'laughs by parameter entities': `<!DOCTYPE x [${entities(
    10,
    (index) => `%x${index};`,
    (index) => `% x${index}`,
  )}%x9;]>${xmlRequest('')}`,
  'a quadratic blow-up': `<!DOCTYPE x [<!ENTITY x "${'y'.repeat(8_000)}">]>${xmlRequest('&x;'.repeat(2_500))}`,
  'an entity of itself': `<!DOCTYPE x [<!ENTITY x "&x;">]>${xmlRequest('<userName>&x;</userName>')}`,
  'a file of the server': `<!DOCTYPE x [<!ENTITY x SYSTEM "file:///dev/zero">]>${xmlRequest('<userName>&x;</userName>')}`,
  'an address of the server': `<!DOCTYPE x SYSTEM "${origin}/health/live">${xmlRequest('')}`,
  'a document type as long as a body': filled('<!DOCTYPE x [', '<!ENTITY x "y">', ']>'),
  'a document type that never ends': filled('<!DOCTYPE ', 'x '),
  'a document type in quotes that never end': filled('<!DOCTYPE x "', 'x'),
  'a document type around a good document': `<!DOCTYPE x [${xmlRequest('<userName>ada</userName>')}`,
  'a declaration that never ends': filled('<!', 'a'),
  'a declaration behind what looks like a comment': filled('<?x <!--?><!', 'a'),
  'a declaration behind an attribute that looks like CDATA': filled('<x y="<![CDATA["><!', 'a'),
  'declarations in declarations': filled('', '<!'),
  'declarations in a field': filled(`${begin}<a>`, '<!'),
  'thousands of levels': filled('', '<a>'),
  'thousands of levels of the right namespace': filled(begin, '<a>'),
  'thousands of levels that are closed': begin + '<a>'.repeat(2_000) + '</a>'.repeat(2_000) + end,
  'thousands of fields of one name': filled(begin, '<a/>', end),
  'thousands of attributes': `<OAuthRequest ${attributes}/>`,
  'thousands of namespaces': `<OAuthRequest ${namespaces}/>`,
  'a name as long as a body': filled('<', 'a', '/>'),
  'an attribute as long as a body': filled('<a b="', 'c', '"/>'),
  'a comment that never ends': filled(`${begin}<!--`, '-'),
  comments: filled(begin, '<!---->', `${end}x`),
  'CDATA that never ends': filled(`${begin}<a><![CDATA[`, ']'),
  'CDATA sections': filled(`${begin}<a>`, '<![CDATA[]]>', `</a>${end}x`),
  'an instruction that never ends': filled('<?', '?'),
  'an entity that never ends': filled(`${begin}<a>&`, 'a'),
  'a character reference that never ends': filled(`${begin}<a>&#`, '1'),
  references: filled(`${begin}<a>`, '&amp;', `</a>${end}x`),
  'a text as long as a body': filled(`${begin}<a>`, 'x', `</a>${end}x`),
  blanks: filled('', ' ', 'x'),
  'signs that open': filled('', '<'),
  'signs that open a reference': filled(begin, '&'),
  'bytes by chance': randomBytes(longest / 2).toString('latin1'),
}

function laughs(width: number): string {
  return entities(
    width,
    (index) => `&x${index};`,
    (index) => `x${index}`,
  )
}

type Framing = 'Content-Length' | 'chunked'

/** The answer to a body; of a long one no more is sent once the answer comes. */
async function post(body: string, framing: Framing = 'Content-Length'): Promise<string> {
  const { socket, answer } = open(body, framing)
  for (const piece of cut(body, framing)) {
    if (answer.length > 0) break
    socket.write(piece)
    if (body.length > longest) await new Promise((resolve) => setTimeout(resolve, 5)) // it may have been enough
  }
  await closed(socket)
  return Buffer.concat(answer).toString()
}

/** Sends all of a body, ignoring the answer, until the server hangs up. */
async function flood(body: string, framing: Framing): Promise<void> {
  const { socket } = open(body, framing)
  for (const piece of cut(body, framing)) socket.write(piece)
  await closed(socket)
}

function open(body: string, framing: Framing): { socket: Socket; answer: Buffer[] } {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  const answer: Buffer[] = []
  socket.on('data', (chunk) => answer.push(chunk))
  socket.on('error', () => {}) // the server hangs up during the send; only the answer before that counts
  const length = framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${Buffer.byteLength(body)}`
  const headers = ['POST /v2/token HTTP/1.1', 'Host: sample', 'Content-Type: text/xml', 'Connection: close', length]
  socket.write(`${headers.join('\r\n')}\r\n\r\n`)
  return { socket, answer }
}

function cut(body: string, framing: Framing): Buffer[] {
  const bytes = Buffer.from(body)
  const pieces = Array.from({ length: Math.ceil(bytes.length / 8_192) }, (_, index) =>
    bytes.subarray(index * 8_192, (index + 1) * 8_192),
  )
  if (framing === 'Content-Length') return pieces
  const crlf = Buffer.from('\r\n')
  const framed = [...pieces, Buffer.alloc(0)].map((piece) => [
    Buffer.from(piece.length.toString(16)),
    crlf,
    piece,
    crlf,
  ])
  return framed.map((parts) => Buffer.concat(parts))
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

function expectRefused(answer: string, status: number): void {
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer).toMatch(/\r\ncontent-type: text\/xml; charset=utf-8\r\n/i)
  expect(answer).toMatch(/<Error><error>invalid_request<\/error><error_description>[^<]+<\/error_description><\/Error>/)
}

describe('a hostile document', () => {
  test.each(Object.entries(documents))('of %s is refused, ten times over', { timeout: 20_000 }, async (_name, text) => {
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(longest)
    for (let again = 0; again < 10; again += 1) expectRefused(await post(text), 400)
  })

  test.each(['Content-Length', 'chunked'] as const)(
    'of a megabyte is refused for its length, framed by %s',
    { timeout: 20_000 },
    async (framing) => {
      expectRefused(await post(xmlRequest(`<userName>${'x'.repeat(megabyte)}</userName>`), framing), 413)
      expectRefused(await post('<a>'.repeat(megabyte / 3), framing), 413)
      expectRefused(await post(`<!DOCTYPE x [${laughs(10)}]>`.padEnd(megabyte, ' '), framing), 413)
    },
  )

  test('leaves no memory behind and the server healthy', async () => {
    const texts = Object.values(documents)
    const huge = `${begin}<a>${'x'.repeat(megabyte)}`
    for (const text of texts) await post(text)
    await flood(huge, 'chunked')
    const before = heldBytes()
    let peak = before
    for (let round = 0; round < 10; round += 1) {
      for (const text of texts) await post(text)
      for (let again = 0; again < 4; again += 1) await flood(huge, again % 2 === 0 ? 'chunked' : 'Content-Length')
      const { heapUsed, external } = process.memoryUsage()
      peak = Math.max(peak, heapUsed + external)
    }
    // connections that have just closed give their memory back a moment later
    const held = async () => (heldBytes() - before) / megabyte
    expect(await eventually(held, (megabytes) => megabytes < 16)).toBeLessThan(16)
    expect((peak - before) / megabyte).toBeLessThan(256)

    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const response = await fetch(`${origin}/v2/token`, { method: 'POST', headers, body: passwordForm(user) })
    expect(response.status).toBe(200)
    await response.text()
  })
})

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** The objects that survive a garbage collection. */
function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
