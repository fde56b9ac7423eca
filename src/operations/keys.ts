import { rotateSigningKey as rotateRow } from '../tokens/signing-keys.ts'
import type { EncryptingOperator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/**
 * Signs tokens with a new key from the next one on, on every server. The old key stays published until the last token that
 * it signed has expired. Resolves with the new key's id, its `kid`. Emits `key.rotated`.
 *
 * Throws Error when the current key was encrypted with another encryption key, and OAuthError `temporarily_unavailable` when
 * the database is away.
 */
export async function rotateSigningKey(operator: EncryptingOperator): Promise<string> {
  return runOperation(operator, async (query) => {
    const keyId = await rotateRow(query, operator.encryptionKey)
    return { result: keyId, event: { type: 'key.rotated', keyId } }
  })
}
