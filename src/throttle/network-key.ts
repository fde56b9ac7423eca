import type { Query } from '../database/database.ts'
import { deriveKey } from '../secrets.ts'

/** Finds the key for hashing networks and bucket keys. Throws OAuthError `temporarily_unavailable`. */
export type FindNetworkKey = () => Promise<Buffer>

/**
 * Creates a function that returns the network key. It derives the key from the encryption key, so that a copy of the
 * database alone reveals no network. Without an encryption key it reads one from the database, once.
 */
export function createNetworkKeyFinder(query: Query, encryptionKey: Buffer | undefined): FindNetworkKey {
  if (encryptionKey) {
    const key = deriveKey(encryptionKey, 'networks')
    return async () => key
  }
  let found: Promise<Buffer> | null = null
  return () => {
    found ??= readKey(query).catch((error: unknown) => {
      found = null
      throw error
    })
    return found
  }
}

async function readKey(query: Query): Promise<Buffer> {
  const [row] = await query<{ key: string }>('find_network_key', 'select key from password_grant.network_key')
  if (!row) throw new Error('password_grant.network_key is empty')
  return deriveKey(Buffer.from(row.key), 'networks')
}
