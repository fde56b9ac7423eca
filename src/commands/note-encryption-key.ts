import type { Query } from '../database/database.ts'
import { isOutage } from '../errors.ts'
import { deriveKey, keyedHash } from '../secrets.ts'

/** How the key of a server stands to the one that the database knows of; null where both are the same. */
export type KeyMismatch = 'another key' | 'no key here' | null

/**
 * Compares the ENCRYPTION_KEY (null: none) with the fingerprint that the servers before this one left in the database, and
 * leaves its own where there is none yet. A first key replaces "none", so that it can be rolled out server by server.
 */
export async function noteEncryptionKey(query: Query, encryptionKey: Buffer | null): Promise<KeyMismatch> {
  const fingerprint = encryptionKey && keyedHash(deriveKey(encryptionKey, 'fingerprint'), 'ENCRYPTION_KEY')
  const noted = await findFingerprint(query)
  if (noted === undefined || (noted === null && fingerprint !== null)) await leaveFingerprint(query, fingerprint)
  const agreed = noted ? noted : await findFingerprint(query)
  if (agreed === undefined || agreed === fingerprint) return null
  return fingerprint === null ? 'no key here' : 'another key'
}

/** Undefined: no server has left one, or it could not. */
async function findFingerprint(query: Query): Promise<string | null | undefined> {
  const [row] = await query<{ fingerprint: string | null }>(
    'find_encryption_key',
    'select fingerprint from password_grant.encryption_key',
  )
  return row?.fingerprint
}

/** Of servers that start at once the first one's stays. A database that is read-only is compared with all the same. */
async function leaveFingerprint(query: Query, fingerprint: string | null): Promise<void> {
  await query('leave_encryption_key', leaveText, [fingerprint]).catch((error: unknown) => {
    if (!isOutage(error)) throw error
  })
}

const leaveText = `
insert into password_grant.encryption_key as noted (fingerprint) values ($1)
on conflict (only_row) do update set fingerprint = excluded.fingerprint
where noted.fingerprint is null and excluded.fingerprint is not null`

/** The warning for each mismatch: it costs security, not service. */
export const mismatchWarnings: Record<Exclude<KeyMismatch, null>, string> = {
  'another key':
    'ENCRYPTION_KEY is not the one of the other servers of this database: guesses are counted apart, and known networks ' +
    'forgotten. Give all servers the same key; after a change on purpose, stop all servers, then: delete from password_grant.encryption_key',
  'no key here':
    'ENCRYPTION_KEY is not set, and other servers of this database have one: guesses are counted apart. Give this server ' +
    'the same key; to go without one on purpose, stop all servers, then: delete from password_grant.encryption_key',
}
