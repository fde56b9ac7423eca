import type { Query } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import type { SignInThrottle } from '../throttle/sign-in-throttle.ts'
import type { SigningKey } from '../tokens/signing-keys.ts'

/** What a grant works with. */
export interface GrantTools {
  readonly query: Query
  readonly passwords: Passwords
  readonly throttle: SignInThrottle
  readonly lifetimeSeconds: number
  /** Seats a user may have. */
  readonly mostSeats: number
  /** What devices need; null where there are none. */
  readonly signing: { readonly encryptionKey: Buffer; readonly findSigningKey: () => Promise<SigningKey> } | null
  /** Work that nobody waits for: done after the answer, or left to a later request while such work is under way. */
  readonly inBackground: (work: () => Promise<void>) => void
}
