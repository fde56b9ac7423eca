import { batchLookups, oneAtATime } from '../database/batch-lookups.ts'
import type { Query } from '../database/database.ts'
import { listPublishedKeys } from './signing-keys.ts'

/** Lists the public keys, as a JWK set's members (RFC 7517 §4). Throws OAuthError `temporarily_unavailable`. */
export type ListKeys = () => ReturnType<typeof listPublishedKeys>

/**
 * Creates a list of the published keys. One statement at a time answers all callers that came before it, so a key that has
 * signed a token is in every list that is asked for afterwards.
 */
export function createKeyLister(query: Query): ListKeys {
  const find = batchLookups(async () => new Map([[all, await listPublishedKeys(query)]]), oneAtATime)
  return async () => (await find(all)) ?? []
}

const all = 'published keys'
