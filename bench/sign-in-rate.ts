import type { HashQuestion, HashReply } from './processes/raw-hash.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'
import { signIn } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { defaultCost, hashConcurrency } from './support/place.ts'

const levels = [
  { inFlight: 8, target: '>= 0.85' },
  { inFlight: 64, target: '>= 0.85' },
  { inFlight: 256, target: '>= 0.75' },
] as const

/**
 * Sign-ins a second beside bare argon2id verifications a second. The bare ones run as many at once as the server
 * lets through to argon2, which is their fastest setting.
 */
export const signInRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where)
  const people = await addPeople(where, where.url, 1_000, defaultCost)
  const hash = startHelper<HashQuestion, HashReply>(room, 'raw-hash')
  const hashOften = { cost: defaultCost, atOnce: hashConcurrency, seconds }
  await signIn(server.url, people, 8, 100)
  const measureRound = async (inFlight: number) => {
    const bare = await hash(hashOften)
    const barePerSecond = bare.count / bare.seconds
    const amount = Math.max(2 * inFlight, Math.ceil(barePerSecond * seconds))
    const load = await signIn(server.url, people, inFlight, amount)
    const signInsPerSecond = load.count / load.seconds
    return { value: signInsPerSecond / barePerSecond, madeOf: { signInsPerSecond, hashesPerSecond: barePerSecond } }
  }
  const all = await inRounds(rounds, () =>
    inRounds(levels.length, (level) => measureRound(levels[level]?.inFlight ?? 1)),
  )
  return levels.map(({ inFlight, target }, level) =>
    figure(
      { measurement: 'sign-in-rate', what: `sign-ins / bare hashes, ${inFlight} in flight`, unit: '', target },
      all.flatMap((round) => round[level] ?? []),
    ),
  )
}
