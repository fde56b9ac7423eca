import { setTimeout as sleep } from 'node:timers/promises'
import type { FloodQuestion, FloodReply } from './processes/flood.ts'
import type { ProbeQuestion, ProbeReply } from './processes/probe.ts'
import { type Bench, inRounds, type Measurement } from './support/bench.ts'
import { runCommand, type Server, startHelper, startServer, type Where } from './support/children.ts'
import { type Figure, figure, type Round } from './support/figure.ts'
import { collectToken, signIn } from './support/load.ts'
import { addPeople, type People, userName } from './support/people.ts'
import { defaultCost } from './support/place.ts'
import { highestResidentMib, watchCores } from './support/proc.ts'
import type { Room } from './support/room.ts'
import { writeRequest } from './support/timed-connection.ts'

const userCount = 2_000
const inFlight = 64
const times = 10
const connections = 2_000
const probesPerSecond = 25
/** Lets the queue fill, so that refusals have begun. */
const unheardSeconds = 2
/** Warms the server up, so that the code of refusals is compiled before the rounds. */
const warmUp = { perSecond: 1_000, unheardSeconds, seconds: 3 }
const paths = ['/userinfo', '/health/live']

/**
 * Sends ten times more sign-ins than the machine can hash. Measures how many succeed compared with the best rate, how soon
 * the others are refused, the latency of token checks and health checks, and the memory. Then sends the same flood by one
 * client from one address, while another client signs in twice a second.
 */
export const overload: Measurement = async (bench, room) => {
  const stage = await setUp(bench, room)
  const rounds = Math.min(bench.rounds, maxRounds)
  const byMany = await inRounds(rounds, () => floodByMany(stage, bench.seconds))
  const highestMib = highestResidentMib(stage.server.pid)
  const byOne = await inRounds(rounds, () => floodByOne(stage, Math.max(bench.seconds, 5)))
  return [
    ...describeFlood(byMany),
    line('highest memory', 'MiB', '< 200', [{ value: highestMib }]),
    line('sign-ins of a modest client that succeed beside one that floods', '', '>= 0.99', byOne),
  ]
}

const maxRounds = 5

/** A server, the clients that flood it, and one client that does not. */
interface Stage {
  readonly server: Server
  readonly people: People
  readonly requestsOfMany: readonly string[]
  readonly requestsOfOne: readonly string[]
  readonly requestsOfModest: readonly string[]
  readonly flood: (question: FloodQuestion) => Promise<FloodReply>
  readonly trickle: (question: FloodQuestion) => Promise<FloodReply>
  readonly probe: (seconds: number) => Promise<ProbeReply>
  /** Measures the highest rate of sign-ins per second. */
  readonly measureBest: () => Promise<number>
}

async function setUp({ cluster, seconds }: Bench, room: Room): Promise<Stage> {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where)
  const everyone = await addPeople(where, where.url, userCount + 1, defaultCost)
  const people = { ...everyone, count: userCount } // a sign-in of the last user would end the token that the probe uses
  const token = await collectToken(server.url, everyone, everyone.count)
  const clients = [
    people.authorization,
    ...(await Promise.all([addClient(where, 'second'), addClient(where, 'third')])),
  ]
  const ask = startHelper<ProbeQuestion, ProbeReply>(room, 'probe')
  const urls = paths.map((path) => server.url + path)
  const probe = (length: number) => ask({ urls, token, perSecond: probesPerSecond, seconds: length })
  const flood = startHelper<FloodQuestion, FloodReply>(room, 'flood')
  const requestsOfMany = writeSignIns(people, clients)
  await signIn(server.url, people, inFlight, 4 * inFlight)
  await flood({ url: server.url, requests: requestsOfMany, ...warmUp, connections })
  await probe(1)
  return {
    server,
    people,
    requestsOfMany,
    requestsOfOne: writeSignIns(people, clients.slice(0, 1)),
    requestsOfModest: writeSignIns(people, [await addClient(where, 'modest')]),
    flood,
    trickle: startHelper<FloodQuestion, FloodReply>(room, 'flood'),
    probe,
    measureBest: async () => {
      const load = await signIn(server.url, people, inFlight, 160 * seconds)
      return load.count / load.seconds
    },
  }
}

/** Adds a client and returns its `Authorization` header. */
async function addClient(where: Where, name: string): Promise<string> {
  type Added = { client_id: string; client_secret: string }
  const { client_id, client_secret } = await runCommand<Added>(where, 'client', 'add', name)
  return `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`
}

/** Writes a sign-in for each user, with the clients in turn. */
function writeSignIns({ count, password }: People, authorizations: readonly string[]): string[] {
  return Array.from({ length: count }, (_, index) => {
    const authorization = authorizations[index % authorizations.length] ?? ''
    const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
    const username = userName(1 + index)
    return writeRequest(
      '/Token',
      headers,
      new URLSearchParams({ grant_type: 'password', username, password }).toString(),
    )
  })
}

interface ManyRound {
  readonly best: number
  readonly flooded: FloodReply
  readonly serverCores: number
  /** The flood again, while a probe sends other requests. `quiet` is the probe's result without a flood. */
  readonly watched: FloodReply
  readonly quiet: ProbeReply
  readonly beside: ProbeReply
}

/** Floods the server twice: first without a probe, to count sign-ins, since the probe takes a part of two cores itself. */
async function floodByMany(stage: Stage, seconds: number): Promise<ManyRound> {
  const { server, requestsOfMany, flood, probe } = stage
  const quiet = await probe(seconds * 2)
  const best = await stage.measureBest()
  const perSecond = Math.round(times * best)
  const floodBeside = async <T>(other: () => Promise<T>) =>
    Promise.all([
      flood({ url: server.url, requests: requestsOfMany, perSecond, seconds, unheardSeconds, connections }),
      sleep(unheardSeconds * 1_000).then(other),
    ])
  const [flooded, serverCores] = await floodBeside(() => coresUsed(server.pid, seconds))
  const [watched, beside] = await floodBeside(() => probe(seconds))
  return { best, flooded, serverCores, watched, quiet, beside }
}

async function coresUsed(pid: number, seconds: number): Promise<number> {
  const coresSince = watchCores(pid)
  await sleep(seconds * 1_000)
  return coresSince()
}

function describeFlood(rounds: readonly ManyRound[]): Figure[] {
  const goodput = rounds.map(({ best, flooded, serverCores }) => ({
    value: flooded.goodput / best,
    madeOf: { perSecond: flooded.goodput, bestPerSecond: best, serverCores, floodCores: flooded.ownCpu },
  }))
  const watchedGoodput = rounds.map(({ best, watched, beside }) => ({
    value: watched.goodput / best,
    madeOf: { perSecond: watched.goodput, bestPerSecond: best, probeCores: beside.ownCpu },
  }))
  const refusals = rounds.map(({ watched }) => {
    const { p50, p99, max } = timesOf(watched, 503)
    return { value: p99, madeOf: { p50, max, ...shares(watched) } }
  })
  const successes = rounds.map(({ watched }) => {
    const { p50, p99, max } = timesOf(watched, 200)
    return { value: p99, madeOf: { p50, max } }
  })
  const probed = paths.map((path, which) => {
    const each = rounds.map(({ quiet, beside }) => [quiet.p99[which] ?? Number.NaN, beside.p99[which] ?? Number.NaN])
    return line(
      `${path} p99 beside them`,
      'ms',
      '<= 100, or 5 times quiet',
      each.map(([quietMs = Number.NaN, value = Number.NaN]) => ({
        value,
        madeOf: { quietMs, ratio: value / quietMs },
      })),
    )
  })
  return [
    line('sign-ins that succeed, 10 times too many / best', '', '>= 0.9', goodput),
    line(`the same while others ask ${paths.length * probesPerSecond} times a second`, '', '>= 0.9', watchedGoodput),
    line('refusals p99, from sending to 503', 'ms', '<= 300', refusals),
    line('sign-ins that succeed p99', 'ms', '', successes),
    ...probed,
  ]
}

/** Returns the latency of answers with a status, in milliseconds, or NaN without any. */
function timesOf({ ms }: FloodReply, status: number) {
  return ms[status] ?? { p50: Number.NaN, p99: Number.NaN, max: Number.NaN }
}

/** Splits the offered requests into refused, signed in, not sent, and others. */
function shares({ answers, offered, unsent }: FloodReply): Record<string, number> {
  const { 200: signedIn = 0, 503: refused = 0, ...others } = answers
  const other = Object.values(others).reduce((sum, count) => sum + count, 0)
  return {
    share200: signedIn / offered,
    share503: refused / offered,
    shareOther: other / offered,
    shareUnsent: unsent / offered,
  }
}

const modestPerSecond = 2
const modestAddress = '127.0.0.2'

async function floodByOne(stage: Stage, seconds: number): Promise<Round> {
  const { server, requestsOfOne, requestsOfModest, flood, trickle } = stage
  const url = server.url
  const perSecond = Math.round(times * (await stage.measureBest()))
  const [, modest] = await Promise.all([
    flood({ url, requests: requestsOfOne, perSecond, seconds: seconds + 1, unheardSeconds: 1, connections }),
    trickle({
      url,
      requests: requestsOfModest,
      perSecond: modestPerSecond,
      seconds: seconds - 1,
      unheardSeconds: 2,
      connections: 50,
      localAddress: modestAddress,
    }),
  ])
  const { p50, max } = timesOf(modest, 200)
  return {
    value: (modest.answers['200'] ?? 0) / modest.offered,
    madeOf: { p50Ms: p50, maxMs: max, offered: modest.offered },
  }
}

function line(what: string, unit: string, target: string, rounds: readonly Round[]): Figure {
  return figure({ measurement: 'overload', what, unit, target }, rounds)
}
