import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { deviceRate } from './device-rate.ts'
import { dialectRate } from './dialect-rate.ts'
import { embeddedStart } from './embedded-start.ts'
import { guardLatency } from './guard-latency.ts'
import { guardRate } from './guard-rate.ts'
import { introspectionRate } from './introspection-rate.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { overload } from './overload.ts'
import { peers } from './peers.ts'
import { signInCpu } from './sign-in-cpu.ts'
import { signInRate } from './sign-in-rate.ts'
import type { Measurement } from './support/bench.ts'
import { openCluster } from './support/cluster.ts'
import { type Figure, writeTable } from './support/figure.ts'
import { loadArgon2 } from './support/people.ts'
import { inRoom } from './support/room.ts'
import { withinReason } from './support/within-reason.ts'
import { tableSize } from './table-size.ts'
import { userinfoRate } from './userinfo-rate.ts'

const measurements: Readonly<Record<string, Measurement>> = {
  'sign-in-rate': signInRate,
  'dialect-rate': dialectRate,
  'device-rate': deviceRate,
  'userinfo-rate': userinfoRate,
  'guard-rate': guardRate,
  'introspection-rate': introspectionRate,
  'sign-in-cpu': signInCpu,
  memory,
  latency,
  'guard-latency': guardLatency,
  overload,
  'embedded-start': embeddedStart,
  'table-size': tableSize,
}

/** Measurements that run only by name, since they install packages. */
const onRequest: Readonly<Record<string, Measurement>> = { peers }

const all = { ...measurements, ...onRequest }

const usage = `npm run bench -- [--only NAME]... [--rounds N] [--seconds N] [--json FILE]
NAME is one of ${Object.keys(all).join(', ')}.
Without --only it runs all but ${Object.keys(onRequest).join(', ')}.
BENCH_DATABASE_URL: a PostgreSQL to use instead of an embedded one; databases are made and dropped in it.
`

/** Time limit of a measurement. */
const maxSeconds = 300

interface Options {
  readonly names: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly file: string
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: Object.keys(measurements) },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      json: { type: 'string', default: fileURLToPath(new URL('results.json', import.meta.url)) },
      help: { type: 'boolean' },
    },
  })
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
  const areRight = [rounds, seconds].every((number) => Number.isInteger(number) && number >= 1 && number <= 60)
  if (values.help || !areRight || !values.only.every((name) => name in all)) return null
  return { names: values.only, rounds, seconds, file: values.json }
}

async function run({ names, rounds, seconds, file }: Options): Promise<void> {
  const figures: Figure[] = []
  await inRoom(async (room) => {
    const cluster = await openCluster(room)
    for (const name of names) {
      process.stderr.write(`${name} ...\n`)
      const measure = all[name] as Measurement // its name was checked
      figures.push(
        ...(await inRoom((inner) => withinReason(name, measure({ rounds, seconds, cluster }, inner), maxSeconds))),
      )
    }
  })
  const conditions = {
    node: process.version,
    cores: availableParallelism(),
    argon2: (await loadArgon2()).binding,
    database: process.env['BENCH_DATABASE_URL'] ? 'given' : 'embedded',
    rounds,
    seconds,
  }
  process.stdout.write(`${writeTable(figures)}\n\n${JSON.stringify(conditions)}\n`)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), ...conditions, figures }, null, 2)}\n`)
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
