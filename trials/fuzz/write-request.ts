import { METHODS } from 'node:http'
import type { Chance } from './chance.ts'
import { type Draft, type Encoding, endpoints, type Pair } from './endpoints.ts'
import type { Known } from './known.ts'
import { mutate, oddName, oddText } from './rubbish.ts'
import { writeBody, writeForm } from './write-body.ts'

/** A request as bytes, and the facts to judge its answer by. */
export interface Shot {
  readonly endpoint: string
  /** `HEAD` is answered without a body. */
  readonly method: string
  readonly bytes: Buffer
  /** A text unique to the request, which no answer may contain. */
  readonly marker: string
  /** Whether the request may be accepted. */
  readonly isProven: boolean
  /** Whether it reaches an endpoint whose answers must not be cached. */
  readonly isAboutTokens: boolean
  /** Whether the server may close the connection before it has read the whole request. */
  readonly isTooMuch: boolean
  /** Whether the request must get exactly one answer. Otherwise any number is allowed, followed by a close. */
  readonly isFramed: boolean
}

/** The beginning of every marker. */
export const markerPrefix = 'zq7fzk9w'

/** Writes a request in well-formed HTTP with any content: right, with a few mistakes, or with many. */
export function writeRequest(chance: Chance, known: Known, number: number): Shot {
  const marker = `${markerPrefix}${number.toString(36)}x`
  const endpoint = chance.pick(byShare)
  const draft: Draft = {
    ...{ method: 'GET', path: '/', query: '', headers: [], fields: [], encoding: 'none', isProven: false },
    ...endpoint.draft(chance, known, marker),
  }
  const { path } = draft
  const changes = chance.is(25) ? 0 : chance.is(65) ? chance.int(1, 2) : chance.int(3, 8)
  for (let turn = 0; turn < changes; turn += 1) chance.pick(mutations)(draft, chance, marker)
  return writeShot(chance, draft, {
    endpoint: endpoint.name,
    marker,
    changes,
    isAboutTokens: endpoint.isAboutTokens === true && draft.path === path,
  })
}

/** Lists each endpoint as often as its share says. */
const byShare = endpoints.flatMap((endpoint) => Array.from({ length: endpoint.share }, () => endpoint))

type Mutation = (draft: Draft, chance: Chance, marker: string) => void

const change = (pairs: Pair[], chance: Chance, to: (pair: Pair) => Pair[]) => {
  const at = chance.int(0, Math.max(0, pairs.length - 1))
  const pair = pairs[at]
  if (pair) pairs.splice(at, 1, ...to(pair))
}

const onFields: readonly Mutation[] = [
  ({ fields }, chance) => change(fields, chance, () => []),
  ({ fields }, chance) => change(fields, chance, (pair) => [pair, pair]),
  ({ fields }, chance) => change(fields, chance, ([name, value]) => [[name.toUpperCase(), value]]),
  ({ fields }, chance, marker) => change(fields, chance, ([, value]) => [[oddName(chance, marker), value]]),
  ({ fields }, chance, marker) => change(fields, chance, ([name]) => [[name, oddText(chance, marker)]]),
  ({ fields }, chance, marker) => change(fields, chance, ([name, value]) => [[name, value + marker]]),
  ({ fields }, chance, marker) =>
    change(fields, chance, ([name, value]) => [[name, mutate(chance, Buffer.from(value), marker).toString()]]),
  ({ fields }, chance, marker) => void fields.push([oddName(chance, marker), oddText(chance, marker)]),
  ({ fields }) => void fields.reverse(),
]

const onHeaders: readonly Mutation[] = [
  ({ headers }, chance) => change(headers, chance, () => []),
  ({ headers }, chance) => change(headers, chance, (pair) => [pair, pair]),
  ({ headers }, chance, marker) => change(headers, chance, ([name]) => [[name, oddText(chance, marker)]]),
  ({ headers }, chance, marker) =>
    change(headers, chance, ([name, value]) => [[name, mutate(chance, Buffer.from(value), marker).toString('latin1')]]),
  ({ headers }, chance, marker) => void headers.push(oddHeader(chance, marker)),
  ({ headers }, chance, marker) => void headers.push(oddHeader(chance, marker)),
]

const onTheRest: readonly Mutation[] = [
  (draft, chance) => {
    draft.method = chance.pick(otherMethods)
  },
  (draft, chance, marker) => {
    draft.path = oddPath(draft.path, chance, marker)
  },
  (draft, chance, marker) => {
    const pairs: Pair[] = [...draft.fields, [oddName(chance, marker), oddText(chance, marker)]]
    draft.query = chance.pick([
      () => writeForm(chance, pairs, true),
      () => marker,
      () => oddText(chance, marker),
      () => `access_token=${marker}`,
    ])()
  },
  (draft, chance) => {
    draft.encoding = chance.pick<Encoding>(['form', 'json', 'xml', 'multipart', 'query', 'none'])
  },
]

/** The parts to change. Fields come up most often, since the server reads most from them. */
const mutations: readonly Mutation[] = [...onFields, ...onFields, ...onHeaders, ...onTheRest]

const otherMethods = [...METHODS.filter((method) => method !== 'CONNECT'), 'GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']

function oddPath(path: string, chance: Chance, marker: string): string {
  const at = chance.int(0, path.length)
  const insert = (text: string) => path.slice(0, at) + text + path.slice(at)
  return chance.pick([
    path.toUpperCase(),
    path.toLowerCase(),
    `${path}/`,
    `/${path}`,
    `/.${path}`,
    `/../..${path}`,
    `${path};a=b`,
    `${path}#a`,
    `${path}/${marker}`,
    `http://${marker}.example${path}`,
    '*',
    '/__proto__',
    `/${'a/'.repeat(chance.int(1, 500))}`,
    insert(marker),
    insert(
      chance.pick(['%00', '%', '%zz', '%2f', '%2e%2e/', '%ff', '%c0%af', '\\', ':', '//', '\u00ff', '?', '%25', '*']),
    ),
    insert(
      encodeURIComponent(
        oddText(chance, marker)
          .slice(0, 50)
          .replace(/\p{Cs}/gu, ''),
      ),
    ),
  ])
}

function oddHeader(chance: Chance, marker: string): Pair {
  const value = chance.is(50) ? marker : oddText(chance, marker).slice(0, 2_000)
  return chance.pick<() => Pair>([
    () => [marker, value],
    () => ['__proto__', value],
    () => ['constructor', value],
    () => ['username', value],
    () => ['Accept', chance.pick(['*/*', `${marker}/*`, 'text/*;q=2', ',;q=', 'application/xml;q=0.1, */*', value])],
    () => ['Accept', `${'a/b,'.repeat(chance.int(1, 2_000))}text/xml`],
    () => ['Accept-Encoding', 'gzip, br'],
    () => ['Accept-Language', value],
    () => ['Content-Encoding', chance.pick(['gzip', 'br', value])],
    () => ['Content-Type', chance.pick(contentTypes)],
    () => ['Content-Type', value],
    () => ['Cookie', `a=${value}`],
    () => ['Origin', chance.pick(['https://app.example.com', 'null', `https://${marker}.example`, value])],
    () => ['Access-Control-Request-Method', chance.pick(['POST', 'DELETE', value])],
    () => ['Access-Control-Request-Headers', chance.pick(['authorization', value])],
    () => [
      'X-Forwarded-For',
      chance.pick([value, `${marker}, 10.0.0.1`, '::ffff:10.0.0.1', '[::1]:80', '1.2.3.4:5', ',']),
    ],
    () => ['X-Forwarded-Host', value],
    () => ['X-Forwarded-Proto', value],
    () => ['Forwarded', `for=${value}`],
    () => ['X-HTTP-Method-Override', 'DELETE'],
    () => ['X-Request-Id', value],
    () => ['traceparent', value],
    () => ['Referer', value],
    () => ['User-Agent', value],
    () => ['Range', chance.pick(['bytes=0-1', 'bytes=-1', 'bytes=5-1,0-0,1-2', value])],
    () => ['If-None-Match', chance.pick(['*', value])],
    () => ['If-Modified-Since', chance.pick(['Mon, 02 Nov 2099 08:00:00 GMT', value])],
    () => ['If-Match', value],
    () => ['Accept-Version', chance.pick(['1.x', '*', value])],
    () => ['Expect', chance.pick(['100-continue', value])],
    () => ['Upgrade', chance.pick(['websocket', 'h2c', value])],
    () => ['Connection', chance.pick(['close', 'keep-alive', `keep-alive, ${marker}`, 'Upgrade', 'authorization'])],
    () => ['TE', chance.pick(['trailers', value])],
    () => ['Authorization', `${chance.pick(['Basic', 'Bearer', 'Token', 'Digest', marker, ''])} ${value}`],
    () => ['Authorization', `Basic ${Buffer.from(`${value}:${marker}`).toString('base64')}`],
    () => ['x-access-token', value],
  ])()
}

const contentTypes = [
  'application/json',
  'text/xml',
  'application/x-www-form-urlencoded; charset=utf-16',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=a; boundary=b',
  'text/plain',
  'application/octet-stream',
  '/',
  ';',
  '__proto__',
]

type About = Pick<Shot, 'endpoint' | 'marker' | 'isAboutTokens'> & { readonly changes: number }

function writeShot(chance: Chance, draft: Draft, { changes, ...about }: About): Shot {
  const isOdd = changes > 0 && chance.is(35)
  const { encoding, fields, method } = draft
  const isInQuery = encoding === 'query'
  const query = isInQuery ? writeForm(chance, fields, isOdd) : draft.query
  const target = toPathBytes(draft.path + (query === '' ? '' : `?${query}`))
  const hasBody = !isInQuery && encoding !== 'none'
  const written = hasBody ? writeBody(chance, encoding, fields, isOdd) : { type: '', bytes: Buffer.alloc(0) }
  let body = written.bytes
  if (changes > 0 && chance.is(8)) body = mutate(chance, body, about.marker)
  if (changes > 0 && chance.is(2))
    body = Buffer.concat([body, Buffer.alloc(chance.pick([16_000, 16_384, 70_000]), '!')])
  const headers = toHeaderLines(draft.headers)
  if (hasBody && !headers.some((line) => /^content-type:/i.test(line)) && !chance.is(changes * 2)) {
    headers.unshift(`Content-Type: ${written.type}`)
  }
  const isChunked = body.length > 0 && chance.is(changes > 0 ? 8 : 3)
  if (isChunked) headers.push('Transfer-Encoding: chunked')
  else if (body.length > 0 || chance.is(20)) headers.push(`Content-Length: ${body.length}`)
  const head = Buffer.from([`${method} ${target} HTTP/1.1`, 'Host: fuzz', ...headers, '', ''].join('\r\n'), 'latin1')
  return {
    ...about,
    method,
    bytes: Buffer.concat([head, isChunked ? writeChunks(chance, body) : body]),
    isProven: draft.isProven,
    isTooMuch: body.length > 16_384 || head.length > 15_000,
    isFramed: true,
  }
}

/** Removes blanks, line ends and control characters from the request line. The server must handle everything else. */
function toPathBytes(path: string): string {
  return Buffer.from(path)
    .toString('latin1')
    .replace(/[^\x21-\x7e\x80-\xff]/g, '')
}

/** Restricts names to tokens, and removes control characters from values. Others would only test the HTTP parser. */
function toHeaderLines(headers: readonly Pair[]): string[] {
  return headers
    .map(([name, value]) => {
      const text = Buffer.from(value)
        .toString('latin1')
        .replace(/[^\t\x20-\x7e\x80-\xff]/g, '')
      return [name.replace(/[^\w!#$%&'*+.^`|~-]/g, ''), text] as const
    })
    .filter(([name]) => name !== '' && !/^(content-length|transfer-encoding|host)$/i.test(name))
    .map(([name, text]) => `${name}: ${text}`)
}

function writeChunks(chance: Chance, body: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const chunk = body.subarray(at, at + chance.pick([1, 7, 100, 5_000]) * chance.int(1, 4))
    chunks.push(
      Buffer.from(`${chunk.length.toString(16)}${chance.is(10) ? ';a=b' : ''}\r\n`),
      chunk,
      Buffer.from('\r\n'),
    )
    at += chunk.length
  }
  return Buffer.concat([...chunks, Buffer.from(chance.is(10) ? '0\r\nX-Trailer: a\r\n\r\n' : '0\r\n\r\n')])
}
