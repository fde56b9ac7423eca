import { setTimeout as sleep } from 'node:timers/promises'
import type { ProbeQuestion, ProbeReply } from '../processes/probe.ts'
import { type Bench, inRounds } from './bench.ts'
import { startHelper } from './children.ts'
import { type Figure, figure } from './figure.ts'
import { collectToken, signIn } from './load.ts'
import type { People } from './people.ts'
import type { Room } from './room.ts'

const inFlight = 500
const perSecond = 50
/** About the rate of hashes, so that the queue outlasts the probe. */
const signInsPerSecond = 160

/** Where to send requests, and as which users. The last user never signs in again, since the probe uses their token. */
interface Compared {
  readonly measurement: string
  readonly url: string
  readonly paths: readonly string[]
  readonly everyone: People
}

/** Compares the 99th percentile of each path while sign-ins queue at the same server with that of a quiet server. */
export async function compareLatency({ rounds, seconds }: Bench, room: Room, about: Compared): Promise<Figure[]> {
  const { measurement, url, paths, everyone } = about
  const token = await collectToken(url, everyone, everyone.count)
  const others = { ...everyone, count: everyone.count - 1 } // a sign-in of the same user would end the token
  const ask = startHelper<ProbeQuestion, ProbeReply>(room, 'probe')
  const urls = paths.map((path) => url + path)
  const probe = (length: number) => ask({ urls, token, perSecond, seconds: length })
  await probe(1)
  const results = await inRounds(rounds, async () => {
    const quiet = await probe(seconds * 2)
    const [beside] = await Promise.all([
      sleep(1_000).then(() => probe(seconds * 2)), // skips the moment at which all sign-ins arrive at once
      signIn(url, others, inFlight, inFlight + signInsPerSecond * (1 + seconds * 2)),
    ])
    return { quiet: quiet.p99, beside: beside.p99 }
  })
  return paths.map((path, which) =>
    figure(
      { measurement, what: `${path} p99, ${inFlight} sign-ins in flight / quiet`, unit: '', target: '<= 5' },
      results.map(({ quiet, beside }) => {
        const [quietMs = Number.NaN, besideMs = Number.NaN] = [quiet[which], beside[which]]
        return { value: besideMs / quietMs, madeOf: { besideMs, quietMs } }
      }),
    ),
  )
}
