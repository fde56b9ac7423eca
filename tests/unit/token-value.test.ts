import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { generateBytes, generateId, hashSecret } from '../../src/secrets.ts'
import { readTokenValue, writeTokenValue } from '../../src/tokens/token-value.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const ids = fc.uuid()
const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))

describe('the value of a token', () => {
  test('gives its row and the hash of its secret, not the secret', () => {
    fc.assert(
      fc.property(ids, secrets, (id, secret) => {
        const read = readTokenValue(writeTokenValue(id, secret))
        expect(read).toEqual({ id, secretHash: hashSecret(secret) })
      }),
    )
  })

  test('is 72 characters that need no encoding in a header, a form, a URL or JSON', () => {
    fc.assert(
      fc.property(ids, secrets, (id, secret) => {
        expect(writeTokenValue(id, secret)).toMatch(/^[A-Za-z0-9_-]{72}$/)
      }),
    )
  })

  test('is invalid when any one character changes', () => {
    const places = fc.nat({ max: 71 })
    const others = fc.constantFrom(...alphabet)
    fc.assert(
      fc.property(ids, secrets, places, others, (id, secret, place, other) => {
        const value = writeTokenValue(id, secret)
        fc.pre(value[place] !== other)
        expect(readTokenValue(value.slice(0, place) + other + value.slice(place + 1))).toBeNull()
      }),
      { numRuns: 2000 },
    )
  })

  test('is refused with any one character changed, at every place', () => {
    const value = writeTokenValue(generateId(), generateBytes(32))
    for (let place = 0; place < value.length; place += 1) {
      for (const other of alphabet) {
        if (other === value[place]) continue
        expect(readTokenValue(value.slice(0, place) + other + value.slice(place + 1))).toBeNull()
      }
    }
  })

  test('has one spelling: truncated, padded, spaced or in the other base64 alphabet it is invalid', () => {
    const value = writeTokenValue('fbffbfff-bfef-4bfe-bfff-fbeffbffbfff', Buffer.alloc(32, 0xfb))
    expect(value).toMatch(/[-_]/)
    expect(readTokenValue(value)).not.toBeNull()
    const spellings = [
      value.slice(0, -1),
      value.slice(1),
      `${value}A`,
      `${value}=`,
      `${value}\n`,
      ` ${value}`,
      `${value} `,
      value.replaceAll('-', '+').replaceAll('_', '/'),
      encodeURIComponent(`"${value}"`),
      value.toLowerCase(),
    ]
    for (const spelling of spellings) expect(readTokenValue(spelling)).toBeNull()
  })

  test('is invalid with two swapped characters, the most common typing error', () => {
    const value = writeTokenValue(generateId(), generateBytes(32))
    for (let place = 0; place < value.length - 1; place += 1) {
      if (value[place] === value[place + 1]) continue
      const swapped = `${value.slice(0, place)}${value[place + 1]}${value[place]}${value.slice(place + 2)}`
      expect(readTokenValue(swapped)).toBeNull()
    }
  })

  test('is never found in random text, which causes no fault', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => readTokenValue(text) === null))
    const shaped = fc.string({ unit: fc.constantFrom(...alphabet), minLength: 72, maxLength: 72 })
    fc.assert(fc.property(shaped, (text) => readTokenValue(text) === null))
    expect(readTokenValue('')).toBeNull()
  })
})
