import type { Query } from '../database/database.ts'
import { deriveKey } from '../secrets.ts'

/** The key that networks, and what is counted from them, are hashed with. Throws OAuthError `temporarily_unavailable`. */
export type FindNetworkKey = () => Promise<Buffer>

/**
 * Of the encryption key where there is one, so that a copy of the database alone tells no network; else the database's
 * own. Asked for once.
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
