import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { interrupted } from '../bench/support/within-reason.ts'
import { runChaos, writeReport } from './chaos/run-chaos.ts'
import type { SceneOptions } from './chaos/scene.ts'

const usage = `npm run chaos -- [--seconds N] [--seed S]
Kills servers and their PostgreSQL at random moments for N seconds under load (default 60, 10 to 3600), and proves
that every acknowledged token counts and no discarded one does. S, 0 to 4294967295, repeats an order of kills.
It needs Linux, starts everything it kills itself, and ends with 1 when anything was violated.
`

const onProgress = (sentence: string) => void process.stderr.write(`${sentence}\n`)

function readOptions(): SceneOptions | null {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(randomInt(2 ** 32)) },
      help: { type: 'boolean' },
    },
  })
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)]
  const areRight = Number.isInteger(seconds) && seconds >= 10 && seconds <= 3_600
  const isSeed = Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32
  if (values.help || !areRight || !isSeed || process.platform !== 'linux') return null
  return { seconds, seed, roundSeconds: 20, tokenCacheSeconds: 2, onProgress }
}

/** Computes the time limit of a run, which also ends one that is stuck. */
const maxMs = ({ seconds }: SceneOptions) => 120_000 + seconds * 4_000

/** Ends a run that is stuck. */
async function lateness(ms: number): Promise<never> {
  await sleep(ms)
  throw new Error(`it took longer than ${ms / 1_000} seconds`)
}

const options = readOptions()
if (options) {
  process.stderr.write(`seed ${options.seed}, ${options.seconds} seconds ...\n`)
  try {
    const reports = await runChaos(options, Promise.race([interrupted, lateness(maxMs(options))]))
    process.stdout.write(`${writeReport(reports)}\n\nseed: ${options.seed}\n`)
    if (reports.some(({ violations }) => violations.length > 0)) process.exitCode = 1
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\nseed: ${options.seed}\n`)
    process.exitCode = 1
  }
  process.exit() // unfinished work must not keep the process alive
} else {
  process.stderr.write(usage)
  process.exitCode = 2
}
