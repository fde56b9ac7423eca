import type { BackendQuestion, BackendReply } from './processes/guarded-backend.ts'
import type { Measurement } from './support/bench.ts'
import { runCommand, startHelper } from './support/children.ts'
import { compareLatency } from './support/compare-latency.ts'
import { addPeople } from './support/people.ts'
import { defaultCost } from './support/place.ts'

/** Compares the latency of a guarded route in the token server's process while sign-ins queue, and without sign-ins. */
export const guardLatency: Measurement = async (bench, room) => {
  const where = { url: await bench.cluster.createDatabase(room) }
  await runCommand(where, 'migrate')
  const everyone = await addPeople(where, where.url, 1_001, defaultCost)
  const start = startHelper<BackendQuestion, BackendReply>(room, 'guarded-backend')
  const { url } = await start({ databaseUrl: where.url, isTokenServer: true })
  return compareLatency(bench, room, { measurement: 'guard-latency', url, paths: ['/guarded', '/unguarded'], everyone })
}
