import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importPKCS8,
  type JWK,
} from 'jose'
import { batchLookups } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { decrypt, encrypt } from '../secrets.ts'

/** The algorithm of signed tokens (RFC 7518 §3.3). */
export const algorithm = 'RS256'

/** The current signing key. */
export interface SigningKey {
  readonly id: string
  readonly privateKey: CryptoKey
  readonly longestLifetimeSeconds: number
}

/**
 * Creates a finder of the current signing key, which adds one if there is none. It queries the database each time, so that a
 * rotation applies to the next token on every server. The finder throws Error if another key encrypted the signing key.
 */
export function createSigningKeyFinder(query: Query, encryptionKey: Buffer): () => Promise<SigningKey> {
  const imported = new Map<string, CryptoKey>()
  const findRow = batchLookups(async () => {
    const row = (await findCurrent(query)) ?? (await addSigningKey(query, encryptionKey)) ?? (await findCurrent(query))
    return new Map(row ? [['current', row]] : [])
  })
  return async () => {
    const row = await findRow('current')
    if (!row) throw new Error('there is no signing key')
    const { id, encryptedKey, longestLifetimeSeconds } = row
    const privateKey =
      imported.get(id) ?? (await importPKCS8(decrypt(encryptionKey, purposeOf(id), encryptedKey), algorithm))
    imported.set(id, privateKey)
    return { id, privateKey, longestLifetimeSeconds }
  }
}

interface KeyRow {
  readonly id: string
  readonly encryptedKey: Buffer
  readonly longestLifetimeSeconds: number
}

const columns = 'id, private_key as "encryptedKey", longest_lifetime_seconds as "longestLifetimeSeconds"'

async function findCurrent(query: Query): Promise<KeyRow | null> {
  const [row] = await query<KeyRow>(
    'find_signing_key',
    `select ${columns} from password_grant.signing_keys where replaced_at is null`,
  )
  return row ?? null
}

/** Adds a key. Returns null if another process has added one meanwhile. */
async function addSigningKey(query: Query, encryptionKey: Buffer): Promise<KeyRow | null> {
  const pair = await generateKeyPair(algorithm, { modulusLength: 2048, extractable: true })
  const published = await exportJWK(pair.publicKey)
  const id = await calculateJwkThumbprint(published)
  const [row] = await query<KeyRow>(
    'add_signing_key',
    `insert into password_grant.signing_keys (id, public_key, private_key)
    values ($1, $2, $3)
    on conflict do nothing
    returning ${columns}`,
    [
      id,
      JSON.stringify({ ...published, kid: id, alg: algorithm, use: 'sig' }),
      encrypt(encryptionKey, purposeOf(id), await exportPKCS8(pair.privateKey)),
    ],
  )
  return row ?? null
}

function purposeOf(id: string): string {
  return `signing key ${id}`
}

/** Stores the longest lifetime of a key's tokens, since the key must stay published that long after its replacement. */
export async function noteLifetime(query: Query, key: SigningKey, lifetimeSeconds: number): Promise<void> {
  if (lifetimeSeconds <= key.longestLifetimeSeconds) return
  await query(
    'note_lifetime',
    `update password_grant.signing_keys
    set longest_lifetime_seconds = greatest(longest_lifetime_seconds, $2)
    where id = $1`,
    [key.id, lifetimeSeconds],
  )
}

/** Throws Error if the current signing key was encrypted with another encryption key. */
export async function requireRightKey(query: Query, encryptionKey: Buffer): Promise<void> {
  const current = await findCurrent(query)
  if (current) decrypt(encryptionKey, purposeOf(current.id), current.encryptedKey)
}

/**
 * Replaces the signing key within the caller's transaction, and returns the id of the new one. Deletes keys that are no longer
 * published. Throws Error if the previous key was encrypted with another encryption key.
 */
export async function rotateSigningKey(query: Query, encryptionKey: Buffer): Promise<string> {
  await query('lock_signing_keys', 'lock table password_grant.signing_keys in share row exclusive mode')
  await requireRightKey(query, encryptionKey) // running servers could not decrypt a key encrypted with another one
  await query(
    'replace_signing_key',
    'update password_grant.signing_keys set replaced_at = now() where replaced_at is null',
  )
  await query('remove_signing_keys', `delete from password_grant.signing_keys where not (${isPublished})`)
  const added = await addSigningKey(query, encryptionKey)
  return (added as KeyRow).id // the table lock keeps others from adding one
}

/** Adds a minute for servers that were about to sign with the key when it was replaced. */
const isPublished = `
  replaced_at is null
  or replaced_at + make_interval(secs => longest_lifetime_seconds + 60) > now()`

/** Lists the public keys as the members of a JWK set (RFC 7517 §4), the current one first. */
export async function listPublishedKeys(query: Query): Promise<JWK[]> {
  const rows = await query<{ publicKey: JWK }>(
    'list_published_keys',
    `select public_key as "publicKey"
    from password_grant.signing_keys
    where ${isPublished}
    order by replaced_at desc nulls first`,
  )
  return rows.map(({ publicKey }) => publicKey)
}
