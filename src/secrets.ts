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

/** Generates 256 random bits as 43 letters and digits, so that no form, header or shell encoding changes them. */
export function generateSecret(length = 43): string {
  let secret = ''
  while (secret.length < length) {
    for (const byte of randomBytes(64)) {
      // 248 is the largest multiple of 62 in a byte; using higher values would favour the first letters
      if (byte < 248 && secret.length < length) secret += lettersAndDigits[byte % 62]
    }
  }
  return secret
}

/** Minimum length of a client secret or customer key chosen by a person. */
export const minSecretLength = 16

/** Tells whether a chosen secret is shorter than the minimum, in Unicode code points. */
export function isShortSecret(secret: string): boolean {
  return [...secret].length < minSecretLength
}

/** Generates random bytes. It is synchronous, since the asynchronous call would wait for password hashes. */
export function generateBytes(count: number): Buffer {
  return randomBytes(count)
}

/** Generates a random UUID (RFC 9562 version 4). */
export function generateId(): string {
  return randomUUID()
}

/** Hashes a random secret with SHA-256. Passwords chosen by people need argon2 instead. */
export function hashSecret(secret: string | Buffer): Buffer {
  return Buffer.from(hash('sha256', secret, 'binary'), 'binary') // several times faster than hashing to a buffer
}

/** Hashes a token's value with SHA-256, as text. Caches use the hash as their key. */
export function nameValue(value: string): string {
  return hash('sha256', value, 'base64')
}

/** Computes an HMAC-SHA256 as 43 characters, for storing a text that must not be guessable from the stored hash. */
export function keyedHash(key: Buffer, secret: string): string {
  return createHmac('sha256', key).update(secret).digest('base64url')
}

/** Derives a key of 32 bytes for one purpose (HKDF, RFC 5869, with SHA-256). It reveals neither the given key nor others. */
export function deriveKey(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', purpose, 32))
}

/** Compares two hashes in constant time. */
export function matchHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Computes the HMAC-SHA256 (RFC 2104) of a text. Takes the key and the text as UTF-8. */
export function signText(key: string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

const nonceBytes = 12
const tagBytes = 16

/**
 * Encrypts a secret with AES-256-GCM (NIST SP 800-38D) and a random nonce. Returns nonce, tag and ciphertext. `purpose` names
 * the kind of secret and its row, so that one encrypted secret cannot stand in for another.
 */
export function encrypt(key: Buffer, purpose: string, secret: string): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose))
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text])
}

/** Decrypts what `encrypt` returned. Throws Error if the key or purpose is another one, or if the bytes were changed. */
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
