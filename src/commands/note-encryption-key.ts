import type { Query } from '../database/database.ts'
import { isOutage } from '../errors.ts'
import { deriveKey, keyedHash } from '../secrets.ts'

/** How this server's key differs from the one noted in the database; null when both are the same. */
export type KeyMismatch = 'another key' | 'no key here' | null

/**
 * Compares ENCRYPTION_KEY (null: none) with the fingerprint that earlier servers noted in the database, and notes its
 * own when there is none. A first key replaces "no key", so that you can roll it out server by server.
 */
export async function noteEncryptionKey(query: Query, encryptionKey: Buffer | null): Promise<KeyMismatch> {
  const fingerprint = encryptionKey && keyedHash(deriveKey(encryptionKey, 'fingerprint'), 'ENCRYPTION_KEY')
  const noted = await findFingerprint(query)
  if (noted === undefined || (noted === null && fingerprint !== null)) await leaveFingerprint(query, fingerprint)
  const agreed = noted ? noted : await findFingerprint(query)
  if (agreed === undefined || agreed === fingerprint) return null
  return fingerprint === null ? 'no key here' : 'another key'
}

/** Returns undefined when no server has noted a fingerprint, for instance because the database is read-only. */
async function findFingerprint(query: Query): Promise<string | null | undefined> {
  const [row] = await query<{ fingerprint: string | null }>(
    'find_encryption_key',
    'select fingerprint from password_grant.encryption_key',
  )
  return row?.fingerprint
}

/**
 * Notes a fingerprint. The first of several starting servers wins. Ignores a read-only database, which can still be
 * read.
 */
async function leaveFingerprint(query: Query, fingerprint: string | null): Promise<void> {
  await query('leave_encryption_key', leaveText, [fingerprint]).catch((error: unknown) => {
    if (!isOutage(error)) throw error
  })
}

const leaveText = `
insert into password_grant.encryption_key as noted (fingerprint) values ($1)
on conflict (only_row) do update set fingerprint = excluded.fingerprint
where noted.fingerprint is null and excluded.fingerprint is not null`

/** The warning for each mismatch. The server still starts: a mismatch weakens the throttle and interrupts nothing. */
export const mismatchWarnings: Record<Exclude<KeyMismatch, null>, string> = {
  'another key':
    'ENCRYPTION_KEY differs from the key of the other servers on this database: they count guesses separately, and known ' +
    'networks are lost. Give all servers the same key. After an intended change, stop all servers, then run: ' +
    'delete from password_grant.encryption_key',
  'no key here':
    'ENCRYPTION_KEY is not set, but other servers on this database have one: they count guesses separately. Give this ' +
    'server the same key. To run without a key, stop all servers, then run: delete from password_grant.encryption_key',
}
