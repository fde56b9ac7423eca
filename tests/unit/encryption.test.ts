import { createDecipheriv } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decrypt, encrypt, generateBytes } from '../../src/secrets.ts'

const key = generateBytes(32)
const purpose = 'customer key of one device'
const secret = 'what nobody but the device knows'

describe('an encrypted secret', () => {
  test('decrypts to the original for any content and purpose', () => {
    const texts = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(texts, texts, (text, use) => {
        expect(decrypt(key, use, encrypt(key, use, text))).toBe(text)
      }),
    )
  })

  test('is AES-256-GCM: 12 bytes of nonce, 16 of tag, then as many as the secret has', () => {
    const encrypted = encrypt(key, purpose, secret)
    expect(encrypted).toHaveLength(12 + 16 + Buffer.byteLength(secret))
    const decipher = createDecipheriv('aes-256-gcm', key, encrypted.subarray(0, 12))
    decipher.setAAD(Buffer.from(purpose)).setAuthTag(encrypted.subarray(12, 28))
    expect(decipher.update(encrypted.subarray(28), undefined, 'utf8') + decipher.final('utf8')).toBe(secret)
  })

  test('differs each time and never repeats a nonce', () => {
    const nonces = Array.from({ length: 1_000 }, () => encrypt(key, purpose, secret).toString('hex', 0, 12))
    expect(new Set(nonces).size).toBe(1_000)
  })

  test('reveals no part of the secret', () => {
    expect(encrypt(key, purpose, secret).includes(secret.slice(0, 4))).toBe(false)
  })
})

describe('decryption is refused with a clear message for', () => {
  const sentence = `${purpose} cannot be decrypted: ENCRYPTION_KEY is not the one it was encrypted with`
  const encrypted = encrypt(key, purpose, secret)

  test('another key', () => {
    expect(() => decrypt(generateBytes(32), purpose, encrypted)).toThrow(sentence)
  })

  test('another purpose, so that one row cannot be passed off as another', () => {
    const elsewhere = encrypt(key, 'customer key of another device', secret)
    expect(() => decrypt(key, purpose, elsewhere)).toThrow(sentence)
  })

  test('a change of any byte', () => {
    for (let place = 0; place < encrypted.length; place += 1) {
      const changed = Buffer.from(encrypted)
      changed[place] = (changed[place] ?? 0) ^ 1
      expect(() => decrypt(key, purpose, changed), `byte ${place}`).toThrow(sentence)
    }
  })

  test('a truncated or extended ciphertext', () => {
    for (let length = 0; length < encrypted.length; length += 1) {
      expect(() => decrypt(key, purpose, encrypted.subarray(0, length)), `${length} bytes`).toThrow(sentence)
    }
    expect(() => decrypt(key, purpose, Buffer.concat([encrypted, Buffer.of(0)]))).toThrow(sentence)
  })

  test('a key of any length but 32 bytes', () => {
    for (const length of [0, 16, 31, 33]) {
      expect(() => encrypt(generateBytes(length), purpose, secret), `${length} bytes`).toThrow()
    }
  })

  test('every fault, without a word of the secret or the key', () => {
    const other = generateBytes(32)
    const thrown = (() => {
      try {
        return decrypt(other, purpose, encrypted)
      } catch (error) {
        return error as Error
      }
    })()
    const said = `${(thrown as Error).stack} ${String((thrown as Error).cause)}`
    for (const hidden of [secret, key.toString('base64'), other.toString('base64'), other.toString('hex')]) {
      expect(said).not.toContain(hidden)
    }
  })
})
