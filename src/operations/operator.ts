import type { Database } from '../database/database.ts'
import type { Emit } from '../events.ts'
import type { Passwords } from '../passwords/password.ts'

/** The tools of every operation. */
export interface Operator {
  /** A migrated database, from `openDatabase` or `openEmbedded`. */
  readonly database: Pick<Database, 'lookups' | 'writes' | 'transaction'>
  /** Receives an event for each operation after it has committed; see `createEvents`. Default: none. */
  readonly emit?: Emit | undefined
}

/** The tools of an operation that hashes a password or a chosen secret. */
export interface HashingOperator extends Operator {
  readonly passwords: Pick<Passwords, 'hash'>
}

/** The tools of an operation that encrypts. */
export interface EncryptingOperator extends Operator {
  /** The 32 bytes of ENCRYPTION_KEY, the same on all servers. */
  readonly encryptionKey: Buffer
}
