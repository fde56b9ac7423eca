import { hashSecret, matchHash } from '../secrets.ts'

// 16 + 32 + 6 bytes are 72 base64url characters without padding or spare bits: one value, one spelling
/** The length of a row's id in a token's value. */
export const idBytes = 16
/** The length of the secret in a token's value. */
export const secretBytes = 32
const checksumBytes = 6
const shape = /^[A-Za-z0-9_-]{72}$/

/** What a token's value says: which row, and the hash its secret must have. */
export interface TokenValue {
  readonly id: string
  readonly secretHash: Buffer
}

/** The text a holder gets: the row's id, the secret and a checksum over both, base64url. */
export function writeTokenValue(id: string, secret: Buffer): string {
  const named = Buffer.concat([readUuid(id), secret])
  return Buffer.concat([named, checksum(named)]).toString('base64url')
}

/** Reads a value back; null for what cannot be one (mistyped, cut, guessed), before any database work. */
export function readTokenValue(value: string): TokenValue | null {
  if (!shape.test(value)) return null
  const bytes = Buffer.from(value, 'base64url')
  const named = bytes.subarray(0, idBytes + secretBytes)
  if (!matchHash(checksum(named), bytes.subarray(named.length))) return null
  return { id: writeUuid(named), secretHash: hashSecret(named.subarray(idBytes)) }
}

/** A UUID's 16 bytes. */
export function readUuid(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

/** The UUID that some bytes begin with, as PostgreSQL writes it. */
export function writeUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex', 0, idBytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function checksum(named: Buffer): Buffer {
  return hashSecret(named).subarray(0, checksumBytes)
}
