import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'
import { collectToken, measureRate } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { costVariables, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'

/** Measures `/userinfo` requests per second, compared with a bare Fastify route that gives an answer of the same shape. */
export const userinfoRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where, costVariables(trivialCost))
  const people = await addPeople(where, where.url, 200, trivialCost)
  const tokens = await inRounds(people.count, (round) => collectToken(server.url, people, round + 1))
  const bare = await startHelper<object, { url: string }>(room, 'bare-route')({})
  const requests = tokens.map(userinfoRequest)
  for (const url of [bare.url, server.url]) await measureRate(url, requests, 1)
  const results = await inRounds(rounds, async () => {
    const barePerSecond = await measureRate(bare.url, requests, seconds)
    const cpuBefore = cpuMs(server.pid)
    const userinfoPerSecond = await measureRate(server.url, requests, seconds)
    const serverCpuUs = ((cpuMs(server.pid) - cpuBefore) * 1_000) / (userinfoPerSecond * seconds) // less noisy than a rate
    return { value: userinfoPerSecond / barePerSecond, madeOf: { userinfoPerSecond, barePerSecond, serverCpuUs } }
  })
  const about = { measurement: 'userinfo-rate', what: '/userinfo / bare route', unit: '', target: '>= 0.27' }
  return [figure(about, results)]
}

function userinfoRequest(token: string) {
  return { method: 'GET' as const, path: '/userinfo', headers: { authorization: `Bearer ${token}` } }
}
