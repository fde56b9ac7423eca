import { signInFor } from '../support/load.ts'
import { cpuMs, postgresCpuMs } from '../support/proc.ts'
import type { Place } from './start-contenders.ts'

/** What sign-ins were like for some seconds. */
export interface SignIns {
  readonly perSecond: number
  /** Processor time of the server process for each. */
  readonly serverMs: number
  /** Processor time of PostgreSQL for each. */
  readonly postgresMs: number
}

const inFlight = 64

/** Signs users in for some seconds, and tells how often that went and what each cost. */
export async function measureSignIns(place: Place, postmaster: number, seconds: number): Promise<SignIns> {
  const read = async () => ({ server: cpuMs(place.pid), postgres: await postgresCpuMs(postmaster) })
  const before = await read()
  const { count, seconds: taken } = await signInFor(place.url, place.people, inFlight, seconds)
  const after = await read()
  return {
    perSecond: count / taken,
    serverMs: (after.server - before.server) / count,
    postgresMs: (after.postgres - before.postgres) / count,
  }
}
