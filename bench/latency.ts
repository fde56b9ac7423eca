import { setTimeout as sleep } from 'node:timers/promises'
import type { ProbeQuestion, ProbeReply } from './processes/probe.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'
import { collectToken, signIn } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { defaultCost } from './support/place.ts'

const inFlight = 500
const perSecond = 50
/** About what is hashed meanwhile, so that the queue outlasts the probe. */
const signInsPerSecond = 160
const paths = ['/userinfo', '/health/live']

/** How long token checks and health take while sign-ins queue, beside how long they take when it is quiet. */
export const latency: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where)
  const everyone = await addPeople(where, where.url, 1_001, defaultCost)
  const token = await collectToken(server.url, everyone, everyone.count)
  const others = { ...everyone, count: everyone.count - 1 } // a sign-in of the same user would end the token
  const ask = startHelper<ProbeQuestion, ProbeReply>(room, 'probe')
  const urls = paths.map((path) => server.url + path)
  const probe = (length: number) => ask({ urls, token, perSecond, seconds: length })
  await probe(1)
  const results = await inRounds(rounds, async () => {
    const quiet = await probe(seconds * 2)
    const [beside] = await Promise.all([
      sleep(1_000).then(() => probe(seconds * 2)), // the arrival of all of them at once is not what is asked about
      signIn(server.url, others, inFlight, inFlight + signInsPerSecond * (1 + seconds * 2)),
    ])
    return { quiet: quiet.p99, beside: beside.p99 }
  })
  return paths.map((path, which) =>
    figure(
      { measurement: 'latency', what: `${path} p99, ${inFlight} sign-ins in flight / quiet`, unit: '', target: '<= 5' },
      results.map(({ quiet, beside }) => {
        const [quietMs = Number.NaN, besideMs = Number.NaN] = [quiet[which], beside[which]]
        return { value: besideMs / quietMs, madeOf: { besideMs, quietMs } }
      }),
    ),
  )
}
