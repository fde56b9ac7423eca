import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { readAuthorization, readBearer, type TokenPlace } from '../../src/bearer/authorization.ts'

/** The two parts of a request that the readers look at, as Node hands them over: of two headers it keeps the first. */
function requestWith(...values: string[]): FastifyRequest {
  const rawHeaders = ['Host', 'localhost', ...values.flatMap((value) => ['Authorization', value])]
  return { raw: { rawHeaders }, headers: { host: 'localhost', authorization: values[0] } } as unknown as FastifyRequest
}

const twice = expect.objectContaining({ code: 'invalid_request', status: 400 })

describe('the Authorization header', () => {
  test('is null when there is none, and its text when there is one', () => {
    expect(readAuthorization(requestWith())).toBeNull()
    expect(readAuthorization(requestWith('Digest x'))).toBe('Digest x')
  })

  test('is there even when it is empty', () => {
    expect(readAuthorization(requestWith(''))).toBe('')
  })

  test('is refused when it appears twice, even with equal values', () => {
    expect(() => readAuthorization(requestWith('Basic a', 'Basic b'))).toThrow(twice)
    expect(() => readAuthorization(requestWith('Basic a', 'Basic a'))).toThrow(twice)
    expect(() => readAuthorization(requestWith('Basic a', ''))).toThrow(twice)
  })

  test('is recognised in any letter case and not confused with similar names', () => {
    const names = ['AUTHORIZATION', 'authorization', 'Proxy-Authorization', 'X-Authorized-', 'Authorizations']
    const request = (...chosen: string[]) => {
      const rawHeaders = chosen.flatMap((name) => [name, 'Authorization'])
      return { raw: { rawHeaders }, headers: {} } as unknown as FastifyRequest
    }
    expect(() => readAuthorization(request(...names))).toThrow(twice)
    expect(readAuthorization(request(...names.slice(1)))).toBeNull()
  })
})

describe('a bearer token (RFC 6750 §2.1)', () => {
  test.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['BEARER abc', 'abc'],
    ['Bearer   abc', 'abc'],
    ['Bearer abc  ', 'abc'],
    ['Bearer a-b._~+/c==', 'a-b._~+/c=='],
  ])('is read from %j', (header, value) => {
    expect(readBearer(requestWith(header))).toBe(value)
  })

  test('is null without a header', () => {
    expect(readBearer(requestWith())).toBeNull()
  })

  test.each(['', 'Basic YTpi', 'Digest x', 'Token abc', 'Bearerabc', 'abc'])('is absent from %j', (header) => {
    expect(readBearer(requestWith(header))).toBeNull()
  })

  test.each([
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a, Bearer b',
    'Bearer "abc"',
    'Bearer a=b',
    'Bearer é',
    'Bearer =',
  ])('is malformed in %j', (header) => {
    expect(() => readBearer(requestWith(header))).toThrow(twice)
  })

  test('is refused when there are two', () => {
    expect(() => readBearer(requestWith('Bearer a', 'Bearer b'))).toThrow(twice)
    expect(() => readBearer(requestWith('Basic a', 'Bearer b'))).toThrow(twice)
  })
})

describe('a token in another place, where it is accepted', () => {
  /** A request with these header lines. */
  function requestOf(...lines: [string, string][]): FastifyRequest {
    const headers: Record<string, string> = {}
    for (const [name, value] of lines) {
      const known = headers[name.toLowerCase()]
      // as Node does it: of two Authorization headers the first, of others both
      if (known === undefined) headers[name.toLowerCase()] = value
      else if (name.toLowerCase() !== 'authorization') headers[name.toLowerCase()] = `${known}, ${value}`
    }
    return { raw: { rawHeaders: lines.flat() }, headers } as unknown as FastifyRequest
  }

  test.each<[readonly TokenPlace[], [string, string][], string | null]>([
    [[], [['Authorization', 'Token abc']], null],
    [[], [['X-Access-Token', 'abc']], null],
    [['Token'], [['Authorization', 'Token abc']], 'abc'],
    [['Token'], [['Authorization', 'tOKEN  abc ']], 'abc'],
    [['Token'], [['Authorization', 'Bearer abc']], 'abc'],
    [['Token'], [['Authorization', 'Tokens abc']], null],
    [['Token'], [['X-Access-Token', 'abc']], null],
    [['x-access-token'], [['X-Access-Token', 'abc']], 'abc'],
    [['x-access-token'], [['x-access-token', ' a-b._~+/c== ']], 'a-b._~+/c=='],
    [['x-access-token'], [['Authorization', 'Token abc']], null],
    [['x-access-token'], [['Authorization', 'Bearer abc']], 'abc'],
    [
      ['x-access-token'],
      [
        ['Authorization', 'Basic YTpi'],
        ['x-access-token', 'abc'],
      ],
      'abc',
    ],
    [['Token', 'x-access-token'], [], null],
  ])('with %j is read from %j as %j', (alsoAccept, lines, value) => {
    expect(readBearer(requestOf(...lines), alsoAccept)).toBe(value)
  })

  test.each<[readonly TokenPlace[], [string, string][]]>([
    [['Token'], [['Authorization', 'Token']]],
    [['Token'], [['Authorization', 'Token a b']]],
    [['Token'], [['Authorization', 'Token token="abc"']]],
    [['x-access-token'], [['x-access-token', '']]],
    [['x-access-token'], [['x-access-token', 'a b']]],
    [['x-access-token'], [['x-access-token', 'Bearer abc']]],
    [
      ['x-access-token'],
      [
        ['x-access-token', 'abc'],
        ['X-Access-Token', 'abc'],
      ],
    ],
    [
      ['x-access-token'],
      [
        ['Authorization', 'Bearer abc'],
        ['x-access-token', 'abc'],
      ],
    ],
    [
      ['x-access-token'],
      [
        ['Authorization', 'Bearer'],
        ['x-access-token', 'abc'],
      ],
    ],
    [
      ['Token', 'x-access-token'],
      [
        ['Authorization', 'Token abc'],
        ['x-access-token', ''],
      ],
    ],
    [
      ['Token'],
      [
        ['Authorization', 'Token abc'],
        ['Authorization', 'Token abc'],
      ],
    ],
  ])('with %j is refused in %j', (alsoAccept, lines) => {
    expect(() => readBearer(requestOf(...lines), alsoAccept)).toThrow(twice)
  })
})
