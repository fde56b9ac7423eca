import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bench, inRounds, type Measurement } from './support/bench.ts'
import { makeFolder, startServer, type Where } from './support/children.ts'
import { embeddedUrl } from './support/cluster.ts'
import { figure } from './support/figure.ts'
import { signIn } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { defaultCost, patience } from './support/place.ts'
import { residentMib } from './support/proc.ts'
import type { Room } from './support/room.ts'

const inFlight = 500
const maxRounds = 3

/** Measures the memory of the server process: after its start and a few requests, and the peak during a rush of sign-ins. */
export const memory: Measurement = async (bench, room) => {
  const { where, url } = await chooseDatabase(bench, room)
  const first = await startServer(room, where)
  const people = await addPeople(where, url, 1_000, defaultCost)
  await first.stop()
  const results = await inRounds(Math.min(bench.rounds, maxRounds), async () => {
    const server = await startServer(room, where, patience)
    await signIn(server.url, people, 1, 5)
    await sleep(3_000)
    const idle = residentMib(server.pid)
    const watching = watchPeak(server.pid)
    await signIn(server.url, people, inFlight, inFlight * 2)
    const peak = watching.end()
    await server.stop()
    return { idle, peak }
  })
  const line = (what: string, target: string, values: number[]) =>
    figure(
      { measurement: 'memory', what, unit: 'MiB', target },
      values.map((value) => ({ value })),
    )
  return [
    line(
      'idle',
      '< 90',
      results.map(({ idle }) => idle),
    ),
    line(
      `highest, ${inFlight} sign-ins in flight`,
      '< 160',
      results.map(({ peak }) => peak),
    ),
  ]
}

/** Uses the embedded database if possible, since its supervision runs in the server process. */
async function chooseDatabase({ cluster }: Bench, room: Room): Promise<{ where: Where; url: string }> {
  if (cluster.isEmbedded) {
    const folder = join(await makeFolder(room), 'database')
    return { where: { folder }, url: embeddedUrl(folder) }
  }
  const url = await cluster.createDatabase(room)
  return { where: { url }, url }
}

function watchPeak(pid: number): { end(): number } {
  let peak = residentMib(pid)
  const watching = setInterval(() => {
    peak = Math.max(peak, residentMib(pid))
  }, 20)
  return {
    end: () => {
      clearInterval(watching)
      return peak
    },
  }
}
