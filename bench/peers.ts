import { installPeers, readVersions } from './peers/install-peers.ts'
import { measureSignIns } from './peers/measure-sign-ins.ts'
import { type Contender, libraries, ours, startContenders } from './peers/start-contenders.ts'
import { ofBare, type PeerResult, type PeerRound, writePeers } from './peers/write-peers.ts'
import type { HashQuestion, HashReply } from './processes/raw-hash.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { type Helper, startHelper } from './support/children.ts'
import { findPostmaster } from './support/cluster.ts'
import { type Figure, figure } from './support/figure.ts'
import { defaultCost, hashConcurrency } from './support/place.ts'
import { residentMib } from './support/proc.ts'

/**
 * Compares sign-ins with those of other servers that do the same work on the same PostgreSQL. The servers take turns in each
 * round. The peers have no throttle, no announcements and no log. This server runs with its defaults.
 */
export const peers: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const folder = await installPeers(room)
  const contenders = await startContenders(room, cluster, folder)
  const postmaster = await findPostmaster(await cluster.createDatabase(room))
  const hash = startHelper<HashQuestion, HashReply>(room, 'raw-hash')
  const measured = await inRounds(rounds, () =>
    inRounds(contenders.length, (turn) => measureRound(contenders[turn] as Contender, postmaster, seconds, hash)),
  )
  const results = contenders.map(({ name, idleMib }, turn) => ({
    name,
    idleMib,
    rounds: measured.map((round) => round[turn] as PeerRound),
  }))
  process.stdout.write(`${writePeers(results, await readVersions(folder))}\n\n`)
  return compareWithBest(results)
}

async function measureRound(
  { trivial, usual }: Contender,
  postmaster: number,
  seconds: number,
  hash: Helper<HashQuestion, HashReply>,
): Promise<PeerRound> {
  const hashRate = async () => {
    const { count, seconds: taken } = await hash({ cost: defaultCost, atOnce: hashConcurrency, seconds: seconds / 2 })
    return count / taken
  }
  const cheap = await measureSignIns(trivial, postmaster, seconds)
  const before = await hashRate()
  const dear = await measureSignIns(usual, postmaster, seconds)
  const bare = (before + (await hashRate())) / 2
  return { trivial: cheap, usual: dear, bare, residentMib: residentMib(usual.pid) }
}

/** Divides our rate by that of the best library in the same round. */
function compareWithBest(results: readonly PeerResult[]): Figure[] {
  const roundsOf = (name: string) => results.find((result) => result.name === name)?.rounds ?? []
  const compare = (what: string, target: string, read: (round: PeerRound) => number, best: typeof Math.max) =>
    figure(
      { measurement: 'peers', what: `${what}: ours / best library`, unit: '', target },
      roundsOf(ours).map((round, number) => {
        const others = libraries.map((name) => read(roundsOf(name)[number] as PeerRound))
        const [own, other] = [read(round), best(...others)]
        return { value: own / other, madeOf: { own, other } }
      }),
    )
  const cpu = ({ trivial: { serverMs, postgresMs } }: PeerRound) => serverMs + postgresMs
  return [
    compare('sign-ins a second, trivial hash', '', ({ trivial }) => trivial.perSecond, Math.max),
    compare('sign-ins / bare hashes, default hash', '', ofBare, Math.max),
    compare('processor time of a sign-in, trivial hash', '', cpu, Math.min),
  ]
}
