import { type CryptoKey, compactVerify, importJWK, type JWK, SignJWT } from 'jose'
import { batchLookups } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { hashSecret } from '../secrets.ts'
import type { Seat } from './issue-token.ts'
import { algorithm, type SigningKey } from './signing-keys.ts'
import { idBytes, readTokenValue, readUuid, type TokenValue, writeUuid } from './token-value.ts'

/** The length of a signed token's secret. It differs from that of a plain value, so that neither can pass for the other. */
export const signedSecretBytes = 16

/** Signs a seat's token as a JWT (RFC 7519). Its `jti` carries the row's id and the secret. */
export async function signTokenValue(key: SigningKey, seat: Seat, secret: Buffer): Promise<string> {
  return new SignJWT({
    iat: seat.issuedAt.toUnixInteger(),
    exp: seat.expiresAt.toUnixInteger(),
    sub: seat.userId,
    jti: Buffer.concat([readUuid(seat.id), secret]).toString('base64url'),
  })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT', kid: key.id })
    .sign(key.privateKey)
}

/** Reads a plain or signed token value. Returns null for a text that cannot be one. */
export type ReadValue = (value: string) => Promise<TokenValue | null>

/** Creates a reader of values. It verifies the signature of a signed one, and leaves it to the row whether it is live. */
export function createValueReader(query: Query): ReadValue {
  const findKey = createPublicKeyFinder(query)
  return async (value) => {
    if (!value.includes('.')) return readTokenValue(value)
    return value.length <= longestValue && compact.test(value) ? readSigned(findKey, value) : null
  }
}

const longestValue = 2_000

/** RFC 7515 §7.1: three parts in base64url. Checked here, since decoders accept other characters as well. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]+$/

async function readSigned(findKey: FindPublicKey, value: string): Promise<TokenValue | null> {
  const id = readKeyId(value)
  const key = id === null ? null : await findKey(id)
  if (key === null) return null
  try {
    const { payload } = await compactVerify(value, key, { algorithms: [algorithm] })
    const { jti }: { jti?: unknown } = JSON.parse(Buffer.from(payload).toString())
    const named = Buffer.from(String(jti), 'base64url')
    if (named.length !== idBytes + signedSecretBytes) return null
    return { id: writeUuid(named), secretHash: hashSecret(named.subarray(idBytes)) }
  } catch {
    return null
  }
}

/** Reads the id of the key from the header, before the signature is verified. */
function readKeyId(value: string): string | null {
  try {
    const { kid }: { kid?: unknown } = JSON.parse(Buffer.from(value.split('.', 1).join(), 'base64url').toString())
    return typeof kid === 'string' && /^[A-Za-z0-9_-]{43}$/.test(kid) ? kid : null
  } catch {
    return null
  }
}

type FindPublicKey = (id: string) => Promise<CryptoKey | null>

function createPublicKeyFinder(query: Query): FindPublicKey {
  const imported = new Map<string, CryptoKey>()
  const findRow = batchLookups(async (ids) => {
    const rows = await query<{ id: string; publicKey: JWK }>(
      'find_public_key',
      'select id, public_key as "publicKey" from password_grant.signing_keys where id = any ((select $1::text[])::text[])',
      [ids],
    )
    return new Map(rows.map(({ id, publicKey }) => [id, publicKey]))
  })
  return async (id) => {
    const known = imported.get(id)
    if (known) return known
    const jwk = await findRow(id)
    if (!jwk) return null
    const key = (await importJWK(jwk, algorithm)) as CryptoKey // an RSA key is never a byte array
    imported.set(id, key)
    return key
  }
}
