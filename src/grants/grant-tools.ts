import type { Database } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import type { Throttle } from '../throttle/throttle.ts'
import type { SigningKey } from '../tokens/signing-keys.ts'
import type { FindDevice } from '../users/authenticate-device.ts'
import type { FindCredentials } from '../users/find-credentials.ts'
import type { SeatTaker } from './seat-taker.ts'

/** What a grant works with. */
export interface GrantTools {
  readonly database: Pick<Database, 'query' | 'transaction'>
  readonly findCredentials: FindCredentials
  readonly passwords: Passwords
  readonly throttle: Throttle
  readonly seats: SeatTaker
  readonly lifetimeSeconds: number
  /** Seats a user may have. */
  readonly maxSeats: number
  /** What devices need; null where there are none. */
  readonly signing: SigningTools | null
  /** Work that no caller waits for: done after the answer, or left to a later request while such work is under way. */
  readonly inBackground: (work: () => Promise<void>) => void
}

/** What devices need. */
export interface SigningTools {
  readonly encryptionKey: Buffer
  readonly findDevice: FindDevice
  readonly findSigningKey: () => Promise<SigningKey>
}
