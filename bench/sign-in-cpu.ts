import type { HashQuestion, HashReply } from './processes/raw-hash.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'
import { signIn } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { costVariables, hashConcurrency, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'

const inFlight = 16
const signInsPerSecond = 800

/** Measures the server's processor time for a sign-in without the hash, which is made as cheap as possible. */
export const signInCpu: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where, costVariables(trivialCost))
  const people = await addPeople(where, where.url, 1_000, trivialCost)
  const hash = startHelper<HashQuestion, HashReply>(room, 'raw-hash')
  const hashOften = { cost: trivialCost, atOnce: hashConcurrency, seconds }
  await signIn(server.url, people, inFlight, 1_000)
  const results = await inRounds(rounds, async () => {
    const bare = await hash(hashOften)
    const hashMs = bare.cpuMs / bare.count
    const before = cpuMs(server.pid)
    const { count } = await signIn(server.url, people, inFlight, signInsPerSecond * seconds)
    const signInMs = (cpuMs(server.pid) - before) / count
    return { value: signInMs - hashMs, madeOf: { signInMs, hashMs } }
  })
  const about = { measurement: 'sign-in-cpu', what: 'processor time beside the hash', unit: 'ms', target: '<= 0.6' }
  return [figure(about, results)]
}
