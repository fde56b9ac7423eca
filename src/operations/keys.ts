import { rotateSigningKey as rotateRow } from '../tokens/signing-keys.ts'
import type { EncryptingOperator } from './operator.ts'
import { runOperation } from './run-operation.ts'

/**
 * Makes every server sign new tokens with a new key. The old key stays published until its last token has expired.
 * Resolves with the id of the new key, its `kid`. Emits `key.rotated`.
 *
 * Throws Error when the current key was encrypted with another encryption key, and OAuthError `temporarily_unavailable`
 * when the database is away.
 */
export async function rotateSigningKey(operator: EncryptingOperator): Promise<string> {
  return runOperation(operator, async (query) => {
    const keyId = await rotateRow(query, operator.encryptionKey)
    return { result: keyId, event: { type: 'key.rotated', keyId } }
  })
}
