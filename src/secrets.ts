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

/** 256 random bits as 43 letters and digits, so that no form, header or shell encoding changes them. */
export function generateSecret(length = 43): string {
  let secret = ''
  while (secret.length < length) {
    for (const byte of randomBytes(64)) {
      // 248 is the largest multiple of 62 in a byte: taking the rest would favour the first letters
      if (byte < 248 && secret.length < length) secret += lettersAndDigits[byte % 62]
    }
  }
  return secret
}

/** The fewest characters of a client secret or customer key that a person chose. */
export const minSecretLength = 16

/** Whether a chosen secret is shorter than the minimum, in Unicode code points. */
export function isShortSecret(secret: string): boolean {
  return [...secret].length < minSecretLength
}

/** `count` random bytes. Called synchronously: the asynchronous call would wait behind password hashes. */
export function generateBytes(count: number): Buffer {
  return randomBytes(count)
}

/** A random UUID (RFC 9562 version 4). */
export function generateId(): string {
  return randomUUID()
}

/** SHA-256 of a secret that carries its own 256 bits; passwords people choose need argon2 instead. */
export function hashSecret(secret: string | Buffer): Buffer {
  return Buffer.from(hash('sha256', secret, 'binary'), 'binary') // several times cheaper than asking for a buffer
}

/** SHA-256 of a token's value as text: what is remembered of the value has this name. */
export function nameValue(value: string): string {
  return hash('sha256', value, 'base64')
}

/** HMAC-SHA256 as 43 characters, for remembering what must not be guessable from what is remembered. */
export function keyedHash(key: Buffer, secret: string): string {
  return createHmac('sha256', key).update(secret).digest('base64url')
}

/** A key of 32 bytes for one purpose (HKDF, RFC 5869, with SHA-256), from which neither the given one nor any other follows. */
export function deriveKey(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', purpose, 32))
}

/** Compares in a time that does not depend on where two hashes differ. */
export function matchHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** HMAC-SHA256 (RFC 2104) of a text, both taken as UTF-8. */
export function signText(key: string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

const nonceBytes = 12
const tagBytes = 16

/**
 * AES-256-GCM (NIST SP 800-38D) with a random nonce: nonce, tag, ciphertext. `purpose` says what it is and of which row,
 * so that one secret cannot be passed off as another.
 */
export function encrypt(key: Buffer, purpose: string, secret: string): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose))
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text])
}

/** Reverses `encrypt`. Throws Error when it was made with another key, for another purpose, or has been changed. */
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
