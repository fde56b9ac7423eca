import { createHash } from 'node:crypto'

const idBytes = 16
const secretBytes = 32

/** Computes the stored hash of a token's value, in hex, without code of the product, to check that code as well. */
export function hashOf(value: string): string {
  const payload = value.split('.')[1]
  const named = Buffer.from(payload === undefined ? value : readJti(payload), 'base64url')
  return createHash('sha256')
    .update(named.subarray(idBytes, idBytes + secretBytes))
    .digest('hex')
}

function readJti(payload: string): string {
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { jti: string }).jti
}
