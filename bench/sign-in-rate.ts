import type { HashQuestion, HashReply } from './processes/raw-hash.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { findPostmaster } from './support/cluster.ts'
import { figure } from './support/figure.ts'
import { signIn } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { defaultCost, hashConcurrency, patience } from './support/place.ts'
import { watchCost } from './support/watch-cost.ts'

const levels = [
  { inFlight: 8, target: '>= 0.85' },
  { inFlight: 64, target: '>= 0.85' },
  { inFlight: 256, target: '>= 0.75' },
] as const

/**
 * Measures sign-ins per second, compared with bare argon2id checks per second. As many checks are in flight as sign-ins, on a
 * thread pool of the same size. Also compares with the fastest bare rate, at one check for each core. The first
 * figure is made of the time that each sign-in took from the cores, by thread and process.
 */
export const signInRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where, patience)
  const people = await addPeople(where, where.url, 1_000, defaultCost)
  const hash = startHelper<HashQuestion, HashReply>(room, 'raw-hash')
  const postmaster = await findPostmaster(where.url)
  await signIn(server.url, people, 8, 100)

  const hashRate = async (atOnce: number) => {
    const { count, seconds: taken } = await hash({ cost: defaultCost, atOnce, seconds })
    return count / taken
  }
  const measureRound = async (inFlight: number) => {
    const hashesPerSecond = await hashRate(inFlight)
    const endWatch = await watchCost(server.pid, postmaster)
    const load = await signIn(
      server.url,
      people,
      inFlight,
      Math.max(2 * inFlight, Math.ceil(hashesPerSecond * seconds)),
    )
    const cost = await endWatch(load.count)
    const fastestPerSecond = await hashRate(hashConcurrency)
    const signInsPerSecond = load.count / load.seconds
    return [
      { value: signInsPerSecond / hashesPerSecond, madeOf: { signInsPerSecond, hashesPerSecond, ...cost } },
      { value: signInsPerSecond / fastestPerSecond, madeOf: { signInsPerSecond, fastestPerSecond } },
    ]
  }
  const all = await inRounds(rounds, () =>
    inRounds(levels.length, (level) => measureRound(levels[level]?.inFlight ?? 1)),
  )
  return levels.flatMap(({ inFlight, target }, level) => {
    const figureOf = (which: number, what: string, wanted: string) =>
      figure(
        { measurement: 'sign-in-rate', what, unit: '', target: wanted },
        all.flatMap((round) => round[level]?.[which] ?? []),
      )
    return [
      figureOf(0, `sign-ins / bare hashes, ${inFlight} in flight`, target),
      figureOf(1, `${inFlight} in flight / bare hashes at their fastest`, ''),
    ]
  })
}
