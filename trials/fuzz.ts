import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { openCluster } from '../bench/support/cluster.ts'
import { inRoom } from '../bench/support/room.ts'
import { withinReason } from '../bench/support/within-reason.ts'
import { fuzzServer, settings } from './fuzz/fuzz-server.ts'
import { type Found, writeReport } from './fuzz/report.ts'

const usage = `npm run fuzz -- [--requests N] [--seconds N] [--seed N] [--only NAME]... [--first N]
Throws right, almost right and wrong requests at servers of its own and fails on what must not be.
NAME is one of ${Object.keys(settings).join(', ')}.
It ends after N requests (100000) or N seconds (600), whichever is first.
--seed repeats a run; --first begins with the request of that number, the first of a run being 0.
BENCH_DATABASE_URL: a PostgreSQL to use instead of an embedded one; databases are made and dropped in it.
`

interface Options {
  readonly names: readonly string[]
  readonly requests: number
  readonly seconds: number
  readonly seed: number
  readonly first: number
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: Object.keys(settings) },
      requests: { type: 'string', default: '100000' },
      seconds: { type: 'string', default: '600' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      first: { type: 'string', default: '0' },
      help: { type: 'boolean' },
    },
  })
  const numbers = { requests: values.requests, seconds: values.seconds, seed: values.seed, first: values.first }
  const [requests, seconds, seed, first] = Object.values(numbers).map(Number) as [number, number, number, number]
  const areRight = [requests - 1, seconds - 1, seed, first].every((number) => Number.isInteger(number) && number >= 0)
  const isBounded = requests <= 100_000_000 && seconds <= 86_400 && seed < 2 ** 31 && first < 2 ** 31
  if (values.help || !areRight || !isBounded || !values.only.every((name) => name in settings)) return null
  return { names: values.only, requests, seconds, seed, first }
}

async function run({ names, requests, seconds, seed, first }: Options): Promise<void> {
  const found: Found[] = []
  const total = names.reduce((sum, name) => sum + shareOf(name), 0)
  await inRoom(async (room) => {
    const cluster = await openCluster(room)
    for (const name of names) {
      const part = shareOf(name) / total
      process.stderr.write(`${name}, seed ${seed} ...\n`)
      const options = { seed: seedOf(name, seed), first, requests: Math.ceil(requests * part), seconds: seconds * part }
      const work = inRoom(async (inner) =>
        fuzzServer(inner, await cluster.createDatabase(inner), settings[name as keyof typeof settings], options),
      )
      found.push({ setting: name, ...(await withinReason(name, work, options.seconds + 120)) })
    }
  })
  process.stdout.write(`${writeReport(found, seed)}\n\nseed ${seed}\n`)
  if (found.some(({ faults }) => faults.length > 0)) process.exitCode = 1
}

/** Derives a seed for each setting, so that each one gets different requests. */
function seedOf(name: string, seed: number): number {
  return seed + Object.keys(settings).indexOf(name)
}

function shareOf(name: string): number {
  return settings[name as keyof typeof settings].share // names were checked
}

const options = readOptions()
if (options) {
  await run(options).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = 1
  })
  process.exit() // unfinished work must not keep the process alive
} else {
  process.stderr.write(usage)
  process.exitCode = 2
}
