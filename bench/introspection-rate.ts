import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'
import { collectToken, measureRate } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { costVariables, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'

/** Measures the `POST /introspect` requests per second, compared with a bare Fastify route, and with one that reads a form. */
export const introspectionRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where, costVariables(trivialCost))
  const people = await addPeople(where, where.url, 1_000, trivialCost)
  const tokens = await inRounds(people.count, (round) => collectToken(server.url, people, round + 1))
  const bare = await startHelper<object, { url: string }>(room, 'bare-route')({})
  const { authorization } = people
  const plain = tokens.map((token) => ({
    method: 'GET' as const,
    path: '/userinfo',
    headers: { authorization: `Bearer ${token}` },
  }))
  const form = tokens.map((token) => ({
    method: 'POST' as const,
    path: '/introspect',
    headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ token }).toString(),
  }))
  await requireLive(server.url, authorization, tokens)

  const measureSides = async (duration: number) => {
    const barePerSecond = await measureRate(bare.url, plain, duration)
    const cpuBefore = cpuMs(server.pid)
    const introspectPerSecond = await measureRate(server.url, form, duration)
    const serverCpuUs = ((cpuMs(server.pid) - cpuBefore) * 1_000) / (introspectPerSecond * duration)
    const bareFormPerSecond = await measureRate(bare.url, form, duration)
    return { introspectPerSecond, barePerSecond, bareFormPerSecond, serverCpuUs }
  }
  await measureSides(1)
  const results = await inRounds(rounds, () => measureSides(seconds))
  const line = (what: string, target: string) => ({ measurement: 'introspection-rate', what, unit: '', target })
  return [
    figure(
      line('/introspect / bare route', '>= 0.15'),
      results.map(({ introspectPerSecond, barePerSecond, serverCpuUs }) => ({
        value: introspectPerSecond / barePerSecond,
        madeOf: { introspectPerSecond, barePerSecond, serverCpuUs },
      })),
    ),
    figure(
      line('/introspect / bare route that reads a form', ''),
      results.map(({ introspectPerSecond, bareFormPerSecond }) => ({
        value: introspectPerSecond / bareFormPerSecond,
        madeOf: { introspectPerSecond, bareFormPerSecond },
      })),
    ),
  ]
}

/** Checks that the token is active, since a dead token also gets a 200. */
async function requireLive(url: string, authorization: string, tokens: readonly string[]): Promise<void> {
  for (const token of tokens) {
    const body = new URLSearchParams({ token })
    const response = await fetch(`${url}/introspect`, { method: 'POST', headers: { authorization }, body })
    const text = await response.text()
    if (!text.startsWith('{"active":true')) throw new Error(`/introspect: ${response.status} ${text}`)
  }
}
