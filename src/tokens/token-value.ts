import { hashSecret, matchHash } from '../secrets.ts'

// 16 + 32 + 6 bytes are 72 base64url characters without padding or spare bits, so each value has only one spelling
/** The length of a row's id in a token's value. */
export const idBytes = 16
/** The length of the secret in a token's value. */
export const secretBytes = 32
const checksumBytes = 6
const shape = /^[A-Za-z0-9_-]{72}$/

/** The row that a token's value names, and the hash of the secret in it. */
export interface TokenValue {
  readonly id: string
  readonly secretHash: Buffer
}

/** Writes the value that the holder of a token gets: the row's id, the secret and a checksum of both, in base64url. */
export function writeTokenValue(id: string, secret: Buffer): string {
  const named = Buffer.concat([readUuid(id), secret])
  return Buffer.concat([named, checksum(named)]).toString('base64url')
}

/** Reads a value. Returns null for a mistyped, cut or guessed one, without a query. */
export function readTokenValue(value: string): TokenValue | null {
  if (!shape.test(value)) return null
  const bytes = Buffer.from(value, 'base64url')
  const named = bytes.subarray(0, idBytes + secretBytes)
  if (!matchHash(checksum(named), bytes.subarray(named.length))) return null
  return { id: writeUuid(named), secretHash: hashSecret(named.subarray(idBytes)) }
}

/** Returns the 16 bytes of a UUID. */
export function readUuid(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

/** Writes the first 16 bytes as a UUID, in the spelling of PostgreSQL. */
export function writeUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex', 0, idBytes)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function checksum(named: Buffer): Buffer {
  return hashSecret(named).subarray(0, checksumBytes)
}
