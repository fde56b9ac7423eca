import { join } from 'node:path'
import { inRounds, type Measurement } from './support/bench.ts'
import { makeFolder, startServer } from './support/children.ts'
import { figure } from './support/figure.ts'

/** Measures the time from spawn to the ready line with an embedded database: in an empty folder, and again in the same one. */
export const embeddedStart: Measurement = async ({ rounds }, room) => {
  const results = await inRounds(rounds, async () => {
    const folder = join(await makeFolder(room), 'database')
    const startOnce = async () => {
      const { startMs, stop } = await startServer(room, { folder })
      await stop()
      return { value: startMs / 1_000 }
    }
    return { empty: await startOnce(), existing: await startOnce() }
  })
  const line = (what: string, target: string) => ({ measurement: 'embedded-start', what, unit: 's', target })
  return [
    figure(
      line('ready, empty folder', '<= 2'),
      results.map(({ empty }) => empty),
    ),
    figure(
      line('ready, existing folder', '<= 0.6'),
      results.map(({ existing }) => existing),
    ),
  ]
}
