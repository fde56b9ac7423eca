import type { Chance } from './chance.ts'
import type { Known } from './known.ts'
import { mutate } from './rubbish.ts'
import { type Shot, writeRequest } from './write-request.ts'

/** Breaks a request: malformed HTTP, half a request, or several. The answers must still be well-formed, and must end. */
export function breakRequest(chance: Chance, known: Known, number: number): Shot {
  const shot = writeRequest(chance, known, number)
  const answered = replaceIn(shot.bytes, /^HEAD/, 'GET') // otherwise it would be unknown whether an answer has a body
  const bytes = chance.pick(breaks)(answered, chance, shot.marker)
  return {
    ...shot,
    endpoint: 'broken HTTP',
    method: 'GET',
    bytes,
    isAboutTokens: false,
    isTooMuch: true,
    isFramed: false,
  }
}

type Break = (bytes: Buffer, chance: Chance, marker: string) => Buffer

const replaceIn = (bytes: Buffer, what: string | RegExp, by: string) =>
  Buffer.from(
    bytes.toString('latin1').replace(what, () => by),
    'latin1',
  )

/** Lines to insert after the request line. */
const withLines = (...lines: readonly ((chance: Chance, marker: string) => string)[]): readonly Break[] =>
  lines.map((line) => (bytes, chance, marker) => replaceIn(bytes, '\r\n', `\r\n${line(chance, marker)}\r\n`))

const withFirstLine = (...lines: readonly ((chance: Chance, marker: string) => string)[]): readonly Break[] =>
  lines.map((line) => (bytes, chance, marker) => replaceIn(bytes, /^[^\r]*/, line(chance, marker)))

const breaks: readonly Break[] = [
  (bytes, chance, marker) => mutate(chance, bytes, marker),
  (bytes, chance, marker) => {
    const headLength = bytes.indexOf('\r\n\r\n')
    return Buffer.concat([mutate(chance, bytes.subarray(0, headLength), marker), bytes.subarray(headLength)])
  },
  (bytes, chance) => bytes.subarray(0, chance.int(1, bytes.length)),
  (bytes, chance) => bytes.subarray(0, chance.int(1, bytes.indexOf('\r\n\r\n') + 4)),
  (_bytes, chance, marker) => Buffer.concat([chance.bytes(chance.int(1, 200)), Buffer.from(marker)]),
  (bytes, chance) => Buffer.concat(Array.from({ length: chance.int(2, 6) }, () => bytes)),
  (bytes, chance, marker) => Buffer.concat([bytes, mutate(chance, bytes, marker)]),
  (bytes) => Buffer.concat([Buffer.from('\r\n\r\n\r\n'), bytes]),
  (bytes) => replaceIn(bytes, /\r\n/g, '\n'),
  (bytes) => replaceIn(bytes, /\r\n/g, '\r'),
  (bytes) => replaceIn(bytes, /^Host: fuzz\r\n/m, ''),
  (bytes) => replaceIn(bytes, 'Host: fuzz', 'Host: fuzz\r\nHost: other'),
  (bytes) => replaceIn(bytes, 'Host: fuzz', 'Host : fuzz'),
  (bytes, _chance, marker) => replaceIn(bytes, 'Host: fuzz', `Host: ${marker}@[::`),
  (_bytes, chance) => Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1]), chance.bytes(100)]), // TLS
  () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'),
  (_bytes, _chance, marker) => Buffer.from(`HTTP/1.1 200 OK\r\nX: ${marker}\r\n\r\n`),
  ...withFirstLine(
    (_chance, marker) => `GET /${marker}`,
    (_chance, marker) => `GET /${marker} HTTP/0.9`,
    () => 'GET /userinfo HTTP/1.0',
    () => 'POST /Token HTTP/1.0',
    (_chance, marker) => `GET /${marker} HTTP/2.0`,
    () => 'GET /userinfo HTTP/1.9',
    (_chance, marker) => `GET /${marker} HTTP/1.1 HTTP/1.1`,
    (_chance, marker) => `GET  /${marker}\tHTTP/1.1`,
    (_chance, marker) => `${marker} / HTTP/1.1`,
    () => 'get / HTTP/1.1',
    () => 'G\0T / HTTP/1.1',
    (_chance, marker) => `CONNECT ${marker}:443 HTTP/1.1`,
    (_chance, marker) => `GET ${marker} HTTP/1.1`,
    () => 'GET ? HTTP/1.1',
    () => 'POST //Token HTTP/1.1',
    (_chance, marker) => `GET http://[${marker} HTTP/1.1`,
    (chance, marker) => `GET /${marker}${'!'.repeat(chance.int(1_000, 40_000))} HTTP/1.1`,
    (chance) => `${'A'.repeat(chance.int(10, 20_000))} / HTTP/1.1`,
  ),
  ...withLines(
    (_chance, marker) => `Content-Length: 1${marker}`,
    () => 'Content-Length: -1',
    () => 'Content-Length: 99999999999999999999999',
    () => 'Content-Length: 5, 5',
    () => 'Content-Length: 0x10',
    () => 'Content-Length: +5',
    () => 'Content-Length:',
    () => 'Content-Length: 5\r\nContent-Length: 6',
    () => 'Content-Length: 5\r\nTransfer-Encoding: chunked',
    () => 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    () => 'Transfer-Encoding: identity',
    () => 'Transfer-Encoding: gzip, chunked',
    () => 'Transfer-Encoding: chunked, identity',
    (_chance, marker) => `Transfer-Encoding: ${marker}`,
    () => 'Transfer-Encoding : chunked',
    (_chance, marker) => ` ${marker}`,
    (_chance, marker) => `X: a\r\n ${marker}`,
    (_chance, marker) => `${marker}`,
    (_chance, marker) => `: ${marker}`,
    (_chance, marker) => `X ${marker}: a`,
    (_chance, marker) => `X: a\0${marker}`,
    (_chance, marker) => `X: \u0001\u007f${marker}`,
    (_chance, marker) => `X\u00e9: ${marker}`,
    (chance, marker) => `X-${marker}: ${'!'.repeat(chance.int(10_000, 100_000))}`,
    (chance) => Array.from({ length: chance.int(500, 3_000) }, (_, index) => `a${index}: b`).join('\r\n'),
    () => 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    () => 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    (_chance, marker) => `Expect: ${marker}`,
  ),
  ...['zz', '', '-1', '5;', 'FFFFFFFFFFFFFFFFF', '7fffffff', '5 ', '5\n', `5;${'!'.repeat(20_000)}`].map(
    (size): Break =>
      (bytes) =>
        Buffer.concat([
          replaceIn(bytes.subarray(0, bytes.indexOf('\r\n\r\n')), /\r\n(Content-Length|Transfer-Encoding):[^\r]*/g, ''),
          Buffer.from(`\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\ngrant\r\n0\r\nX-Trailer\r\n: \0\r\n\r\n`),
        ]),
  ),
]
