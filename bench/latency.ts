import type { Measurement } from './support/bench.ts'
import { startServer } from './support/children.ts'
import { compareLatency } from './support/compare-latency.ts'
import { addPeople } from './support/people.ts'
import { defaultCost, patience } from './support/place.ts'

/** Compares the latency of token checks and health checks while sign-ins queue, and without sign-ins. */
export const latency: Measurement = async (bench, room) => {
  const where = { url: await bench.cluster.createDatabase(room) }
  const { url } = await startServer(room, where, patience)
  const everyone = await addPeople(where, where.url, 1_001, defaultCost)
  return compareLatency(bench, room, { measurement: 'latency', url, paths: ['/userinfo', '/health/live'], everyone })
}
