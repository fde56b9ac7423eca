import type { Database } from '../database/database.ts'
import type { Emit } from '../events.ts'
import type { Passwords } from '../passwords/password.ts'

/** What every operation works with. */
export interface Operator {
  /** A migrated database, as `openDatabase` or `openEmbedded` opens it. */
  readonly database: Pick<Database, 'lookups' | 'writes' | 'transaction'>
  /** Is told of each operation after it has committed; `createEvents` makes one. Default: none. */
  readonly emit?: Emit | undefined
}

/** What an operation works with that hashes a password or a chosen secret. */
export interface HashingOperator extends Operator {
  readonly passwords: Pick<Passwords, 'hash'>
}

/** What an operation works with that encrypts. */
export interface EncryptingOperator extends Operator {
  /** The 32 bytes of the servers' ENCRYPTION_KEY. */
  readonly encryptionKey: Buffer
}
