import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hash,
  hkdfSync,
  randomBytes,
  randomUUID,
  timingSafeEqual,
} from 'node:crypto'

const lettersAndDigits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * Generates a secret of letters and digits, which no form, header or shell encoding changes. 43 of them have 256 bits.
 */
export function generateSecret(length = 43): string {
  let secret = ''
  while (secret.length < length) {
    for (const byte of randomBytes(64)) {
      // 248 is the largest multiple of 62 in a byte: accepting higher bytes would favour the first letters
      if (byte < 248 && secret.length < length) secret += lettersAndDigits[byte % 62]
    }
  }
  return secret
}

/** The minimum length of a client secret or customer key that a person chose. */
export const minSecretLength = 16

/** Tells whether a chosen secret is shorter than the minimum, in Unicode code points. */
export function isShortSecret(secret: string): boolean {
  return [...secret].length < minSecretLength
}

/** Generates random bytes. Synchronous, since the asynchronous call would queue behind password hashes. */
export function generateBytes(count: number): Buffer {
  return randomBytes(count)
}

/** Generates a random UUID (RFC 9562, version 4). */
export function generateId(): string {
  return randomUUID()
}

/** Hashes a secret of 256 random bits with SHA-256. A password that a person chose needs argon2 instead. */
export function hashSecret(secret: string | Buffer): Buffer {
  return Buffer.from(hash('sha256', secret, 'binary'), 'binary') // several times cheaper than the buffer encoding
}

/** Hashes a token's value with SHA-256 for use as a cache key. */
export function nameValue(value: string): string {
  return hash('sha256', value, 'base64')
}

/** Computes an HMAC-SHA256 of 43 characters, to store or cache a value that must not be guessable from it. */
export function keyedHash(key: Buffer, secret: string): string {
  return createHmac('sha256', key).update(secret).digest('base64url')
}

/**
 * Derives a key of 32 bytes for one purpose (HKDF, RFC 5869, with SHA-256). It reveals neither the given key nor other
 * derived keys.
 */
export function deriveKey(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', purpose, 32))
}

/** Compares two hashes in constant time. */
export function matchHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Signs a text with HMAC-SHA256 (RFC 2104). Both are encoded as UTF-8. */
export function signText(key: string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

const nonceBytes = 12
const tagBytes = 16

/**
 * Encrypts a secret with AES-256-GCM (NIST SP 800-38D) and a random nonce. Returns nonce, tag and ciphertext. `purpose`
 * names the kind of secret and its row, so that one secret cannot be swapped for another.
 */
export function encrypt(key: Buffer, purpose: string, secret: string): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose))
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text])
}

/** Decrypts the result of `encrypt`. Throws Error for another key or purpose, and for changed bytes. */
export function decrypt(key: Buffer, purpose: string, encrypted: Buffer): string {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, encrypted.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    })
    decipher.setAAD(Buffer.from(purpose)).setAuthTag(encrypted.subarray(nonceBytes, nonceBytes + tagBytes))
    const text = decipher.update(encrypted.subarray(nonceBytes + tagBytes))
    return Buffer.concat([text, decipher.final()]).toString()
  } catch (cause) {
    throw new Error(`${purpose} cannot be decrypted: ENCRYPTION_KEY is not the one it was encrypted with`, { cause })
  }
}
