import type { Query } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'

/** What a grant works with. */
export interface GrantTools {
  readonly query: Query
  readonly passwords: Passwords
  readonly lifetimeSeconds: number
  /** Work that nobody waits for: done after the answer, or left to a later request while such work is under way. */
  readonly inBackground: (work: () => Promise<void>) => void
}
