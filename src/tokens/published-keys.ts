import { batchLookups, oneAtATime } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { listPublishedKeys } from './signing-keys.ts'

/** Lists the public keys as the members of a JWK set (RFC 7517 §4). Throws OAuthError `temporarily_unavailable`. */
export type ListKeys = () => ReturnType<typeof listPublishedKeys>

/**
 * Creates a lister of the published keys. One statement at a time answers all callers that arrived before it started. So
 * once a key has signed a token, every later list contains the key.
 */
export function createKeyLister(query: Query): ListKeys {
  const find = batchLookups(async () => new Map([[all, await listPublishedKeys(query)]]), oneAtATime)
  return async () => (await find(all)) ?? []
}

const all = 'published keys'
