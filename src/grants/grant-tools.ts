import type { Query } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'

/** What a grant works with. */
export interface GrantTools {
  readonly query: Query
  readonly passwords: Passwords
  readonly lifetimeSeconds: number
  /** Takes work that need not be finished before the answer; it is finished before the server closes. */
  readonly inBackground: (work: Promise<void>) => void
}
