import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { startServer } from '../bench/support/children.ts'
import { type Cluster, openCluster } from '../bench/support/cluster.ts'
import { loadArgon2 } from '../bench/support/people.ts'
import { costVariables } from '../bench/support/place.ts'
import { inRoom, type Room } from '../bench/support/room.ts'
import { addEverybody, hashForEverybody, inventSecrets } from './timing/everybody.ts'
import { isLeak } from './timing/family.ts'
import { type Result, type Scene, scenes } from './timing/scenes.ts'
import { writeFindings } from './timing/write-findings.ts'

const usage = `npm run timing -- [--scene NAME]... [--times N]
NAME is one of: ${Object.keys(scenes).join('; ')}. N multiplies the number of requests.
BENCH_DATABASE_URL: a PostgreSQL to use instead of an embedded one; databases are made and dropped in it.
Ends with 1 when anybody can be told apart.
`

interface Options {
  readonly names: readonly string[]
  readonly times: number
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      scene: { type: 'string', multiple: true, default: Object.keys(scenes) },
      times: { type: 'string', default: '1' },
      help: { type: 'boolean' },
    },
  })
  const times = Number(values.times)
  const isRight = Number.isInteger(times) && times >= 1 && times <= 10 && values.scene.every((name) => name in scenes)
  return values.help || !isRight ? null : { names: values.scene, times }
}

/** Tells whether no kinds of request could be told apart. */
async function run({ names, times }: Options): Promise<boolean> {
  const began = performance.now()
  const isTight = await inRoom(async (room) => {
    const cluster = await openCluster(room)
    let leaks = 0
    for (const name of names) {
      const scene = scenes[name] as Scene // its name was checked
      const result = await inRoom((inner) => play(scene, times, cluster, inner)).catch(asMistake)
      process.stdout.write(`\n${name}\n${writeFindings(result.findings)}\n`)
      for (const mistake of result.mistakes) process.stdout.write(`MISTAKE: ${mistake}\n`)
      leaks += result.findings.filter(isLeak).length + result.mistakes.length
    }
    process.stdout.write(`\n${leaks === 0 ? 'Nobody can be told apart.' : `${leaks} ways to tell people apart.`}\n`)
    return leaks === 0
  })
  const conditions = {
    node: process.version,
    cores: availableParallelism(),
    argon2: (await loadArgon2()).binding,
    seconds: Math.round((performance.now() - began) / 1_000),
  }
  process.stdout.write(`${JSON.stringify(conditions)}\n`)
  return isTight
}

function asMistake(error: unknown): Result {
  return { findings: [], mistakes: [error instanceof Error ? (error.stack ?? error.message) : String(error)] }
}

async function play(scene: Scene, times: number, cluster: Cluster, room: Room): Promise<Result> {
  const databaseUrl = await cluster.createDatabase(room)
  const variables = { DIALECTS: 'webapi,webapi-session,envelope', ...costVariables(scene.cost), ...scene.variables }
  const { url } = await startServer(room, { url: databaseUrl }, variables)
  const { hash } = await loadArgon2()
  const secrets = inventSecrets()
  const hashes = await hashForEverybody(hash, secrets, scene.cost, scene.olderCost)
  const add = () => addEverybody(databaseUrl, hashes, secrets)
  return scene.ask({ url, addEverybody: add, blocks: scene.blocks * times })
}

const options = readOptions()
if (options) {
  process.exitCode = (await run(options)) ? 0 : 1
} else {
  process.stderr.write(usage)
  process.exitCode = 2
}
