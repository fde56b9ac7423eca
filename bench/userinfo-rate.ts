import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'
import { collectToken, runLoad } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { costVariables, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'

const connections = 32

/** `/userinfo` requests a second beside those of a bare Fastify route that answers in the same shape. */
export const userinfoRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where, costVariables(trivialCost))
  const people = await addPeople(where, where.url, 200, trivialCost)
  const tokens = await inRounds(people.count, (round) => collectToken(server.url, people, round + 1))
  const bare = await startHelper<object, { url: string }>(room, 'bare-route')({})
  const askOften = async (url: string, duration: number) => {
    const load = await runLoad({
      url: `${url}/userinfo`,
      connections,
      duration,
      setupClient: (client) => client.setRequests(inAnyOrder(tokens).map(userinfoRequest)),
    })
    return load.count / load.seconds
  }
  for (const url of [bare.url, server.url]) await askOften(url, 1)
  const results = await inRounds(rounds, async () => {
    const barePerSecond = await askOften(bare.url, seconds)
    const cpuBefore = cpuMs(server.pid)
    const userinfoPerSecond = await askOften(server.url, seconds)
    const serverCpuUs = ((cpuMs(server.pid) - cpuBefore) * 1_000) / (userinfoPerSecond * seconds) // less noisy than a rate
    return { value: userinfoPerSecond / barePerSecond, madeOf: { userinfoPerSecond, barePerSecond, serverCpuUs } }
  })
  const about = { measurement: 'userinfo-rate', what: '/userinfo / bare route', unit: '', target: '>= 0.27' }
  return [figure(about, results)]
}

function userinfoRequest(token: string) {
  return { method: 'GET' as const, path: '/userinfo', headers: { authorization: `Bearer ${token}` } }
}

/** Each connection asks in an order of its own, so that they do not all ask for one row at a time. */
function inAnyOrder<T>(things: readonly T[]): T[] {
  return things
    .map((thing) => ({ thing, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ thing }) => thing)
}
