import { describe, expect, test } from 'vitest'
import { generateBytes, generateId, generateSecret, hashSecret, keyedHash, matchHash } from '../../src/secrets.ts'

describe('a generated secret', () => {
  test('is 43 letters and digits, safe in forms, headers and shells', () => {
    for (let index = 0; index < 200; index += 1) {
      const secret = generateSecret()
      expect(secret).toMatch(/^[A-Za-z0-9]{43}$/)
      expect(encodeURIComponent(secret)).toBe(secret)
    }
  })

  test('carries 256 bits', () => {
    expect(43 * Math.log2(62)).toBeGreaterThanOrEqual(256)
    expect(generateSecret()).toHaveLength(43)
  })

  test('has the requested length', () => {
    expect([0, 1, 43, 64, 65, 1000].map((length) => generateSecret(length).length)).toEqual([0, 1, 43, 64, 65, 1000])
  })

  test('never repeats', () => {
    const secrets = Array.from({ length: 1000 }, () => generateSecret())
    expect(new Set(secrets).size).toBe(1000)
  })

  test('favours no letter or digit', () => {
    const counts = new Map<string, number>()
    for (const character of generateSecret(310_000)) counts.set(character, (counts.get(character) ?? 0) + 1)
    expect(counts.size).toBe(62)
    // 5,000 each; taking every byte modulo 62 would give the first eight 6,055
    expect(Math.max(...counts.values())).toBeLessThan(5_600)
    expect(Math.min(...counts.values())).toBeGreaterThan(4_400)
  })
})

describe('random values', () => {
  test('have the requested number of bytes and differ each time', () => {
    expect(generateBytes(32)).toHaveLength(32)
    expect(generateBytes(32).equals(generateBytes(32))).toBe(false)
  })

  test('as ids are UUIDs of version 4, different each time', () => {
    const ids = Array.from({ length: 100 }, generateId)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(new Set(ids).size).toBe(100)
  })
})

describe('hashes of secrets', () => {
  test('are SHA-256, the same for text and for its UTF-8 bytes', () => {
    expect(hashSecret('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    expect(hashSecret(Buffer.from('Füße')).equals(hashSecret('Füße'))).toBe(true)
  })

  test('under a key are HMAC-SHA256 (RFC 4231 §4.3)', () => {
    const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
    const hash = keyedHash(Buffer.from('Jefe'), 'what do ya want for nothing?')
    expect(Buffer.from(hash, 'base64url').toString('hex')).toBe(expected)
  })

  test('match only themselves, for a difference in any byte', () => {
    const hash = hashSecret('one')
    expect(matchHash(hash, Buffer.from(hash))).toBe(true)
    for (let index = 0; index < hash.length; index += 1) {
      const other = Buffer.from(hash)
      other[index] = (other[index] ?? 0) ^ 1
      expect(matchHash(hash, other)).toBe(false)
    }
  })

  test('of another length do not match and do not throw', () => {
    const hash = hashSecret('one')
    expect(matchHash(hash, hash.subarray(0, 31))).toBe(false)
    expect(matchHash(Buffer.alloc(0), hash)).toBe(false)
  })
})
