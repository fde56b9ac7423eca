import type { Chance } from './chance.ts'
import type { Known } from './known.ts'

const odd = [
  '',
  ' ',
  '\0',
  '%00',
  '%',
  '%zz',
  '%c0%af',
  '%ff%fe',
  '%ed%a0%80',
  '%u0041',
  '+',
  '&',
  '=',
  ';',
  ',',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\ud800',
  '\ufeff',
  '\ufffd',
  '\u202e\u2066',
  '\u00a0',
  'e\u0301\u0301\u0301',
  'İıſẞ',
  '👩‍👩‍👧‍👦',
  '\u{10ffff}',
  'null',
  'undefined',
  'true',
  'NaN',
  'Infinity',
  '-Infinity',
  '-0',
  '-1',
  '0',
  '1e999',
  '0x10',
  '9007199254740993',
  '99999999999999999999999999',
  '2147483648',
  '-2147483649',
  '1.5',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'then',
  "' or 1=1--",
  '$1',
  '$(id)',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '<!DOCTYPE a [<!ENTITY b "c">]>&b;',
  ']]>',
  '../../../../etc/passwd',
  '\r\nX-Injected: yes',
  '\r\n\r\nHTTP/1.1 200 OK',
  '[]',
  '{}',
  '{"a":1}',
  'a=b&c=d',
  '--boundary--',
]

const names = [
  'grant_type',
  'GRANT_TYPE',
  'username',
  'userName',
  'password',
  'client_id',
  'client_secret',
  'clientKey',
  'device-info',
  'device_key',
  'device-signature',
  'device_signature',
  'timestamp',
  'token',
  'access_token',
  'token_type_hint',
  'debug',
  'scope',
  '__proto__',
  'constructor',
  '',
]

/** Writes a text that no caller should send, mostly with the marker in it. */
export function oddText(chance: Chance, marker: string): string {
  switch (chance.int(0, 7)) {
    case 0:
      return marker
    case 1:
      return `${chance.pick(odd)}${marker}`
    case 2:
      return `${marker}${chance.pick(odd)}${chance.pick(odd)}`
    case 3:
      return chance.pick(odd)
    case 4:
      return `${marker}${'!'.repeat(chance.pick([200, 201, 255, 256, 257, 1_024, 1_025, 5_000]))}`
    case 5:
      return chance.pick(['[', '{"a":', '<a>', '((', '%25', 'é', '\ud83d\ude00']).repeat(chance.int(1, 400))
    case 6:
      return chance.bytes(chance.int(0, 40)).toString('latin1') + marker
    default:
      return chance.bytes(chance.int(0, 40)).toString('utf8')
  }
}

/** Writes a field name: one of another endpoint, one in another case, or an invented one. */
export function oddName(chance: Chance, marker: string): string {
  return chance.is(70) ? chance.pick(names) : oddText(chance, marker).slice(0, 100)
}

/** Changes, removes, repeats or adds a few bytes. */
export function mutate(chance: Chance, bytes: Buffer, marker: string): Buffer {
  let mutated = bytes
  for (let turns = chance.int(1, 3); turns > 0; turns -= 1) {
    const at = chance.int(0, mutated.length)
    const upTo = Math.min(mutated.length, at + chance.int(1, 8))
    const between = chance.pick([
      () => chance.bytes(chance.int(0, 8)),
      () => Buffer.from(oddText(chance, marker).slice(0, 60)),
      () => mutated.subarray(at, upTo).map((byte) => byte ^ (1 << chance.int(0, 7))),
      () => Buffer.concat([mutated.subarray(at, upTo), mutated.subarray(at, upTo)]),
    ])()
    const after = chance.is(50) ? at : upTo
    mutated = Buffer.concat([mutated.subarray(0, at), between, mutated.subarray(after)])
    if (chance.is(10)) mutated = mutated.subarray(0, chance.int(0, mutated.length))
  }
  return mutated
}

/** Writes a token, either a right one or a variation, and tells whether it is right. */
export function anyToken(chance: Chance, known: Known, marker: string): { text: string; isRight: boolean } {
  const right = rightToken(chance, known)
  if (right !== null && chance.is(60)) return { text: right, isRight: true }
  const base = right ?? chance.bytes(54).toString('base64url')
  const text = oddToken(chance, base, marker)
  // a signature may end in padding and in unused bits
  return { text, isRight: right !== null && text.startsWith(right.slice(0, -1)) }
}

/** Chooses one of the latest tokens, or returns null if there is none yet. */
export function rightToken(chance: Chance, { opaque, signed }: Known): string | null {
  const tokens = chance.is(70) || signed.length === 0 ? opaque : signed
  return tokens[chance.int(0, Math.max(0, tokens.length - 1))] ?? null
}

function oddToken(chance: Chance, base: string, marker: string): string {
  const at = chance.int(0, base.length - 1)
  switch (chance.int(0, 7)) {
    case 0:
      return base.slice(0, at)
    case 1:
      return `${base.slice(0, at)}${chance.pick(['A', '-', '_', '.', '=', '+', '/', '~'])}${base.slice(at + 1)}`
    case 2:
      return base + chance.pick(['=', '==', base, '.', '..', marker])
    case 3:
      return chance.bytes(54).toString('base64url')
    case 4:
      return chance.pick(['.', '..', '...', '-', '=', 'a.b', 'a.b.c', 'e30.e30.', 'null', '~'.repeat(3_000)])
    case 5:
      return base.split('.').reverse().join('.')
    default:
      return oddJwt(chance, base, marker)
  }
}

function oddJwt(chance: Chance, base: string, marker: string): string {
  const [head = '', body = '', signature = ''] = base.split('.')
  const kid = chance.pick([readKeyId(head), '__proto__', marker, '!'.repeat(43), null, 5, {}, ['a'.repeat(43)]])
  const header = chance.pick<unknown>([
    { alg: 'none', kid },
    { alg: 'HS256', kid },
    { alg: 'RS256', kid, crit: ['b64'], b64: false },
    { alg: 'RS256', kid, jku: `http://127.0.0.1:9/${marker}`, jwk: { kty: 'RSA', n: 'AQ', e: 'AQAB' } },
    { alg: 'RS512', kid, zip: 'DEF' },
    { alg: { toString: 1 }, kid },
    null,
    5,
    [],
    'text',
  ])
  const payload = chance.pick<unknown>([{ jti: marker }, { jti: 5, exp: -1 }, { jti: { a: 1 } }, null, [], 'x'])
  const write = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const proof = chance.pick([signature, '', 'AA', chance.bytes(256).toString('base64url')])
  return [write(header), chance.is(50) && body ? body : write(payload), proof].join('.')
}

function readKeyId(head: string): unknown {
  try {
    return JSON.parse(Buffer.from(head, 'base64url').toString()).kid
  } catch {
    return ''
  }
}
