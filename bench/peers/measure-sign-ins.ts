import { signInFor } from '../support/load.ts'
import { cpuMs, postgresCpuMs } from '../support/proc.ts'
import type { Place } from './start-contenders.ts'

/** The rate and cost of sign-ins. */
export interface SignIns {
  readonly perSecond: number
  /** The server's processor time for each sign-in. */
  readonly serverMs: number
  /** PostgreSQL's processor time for each sign-in. */
  readonly postgresMs: number
}

const inFlight = 64

/** Signs users in for some seconds, and measures the rate and the cost of each sign-in. */
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
