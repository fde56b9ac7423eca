import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, type Where } from '../../bench/support/children.ts'
import { addDevices } from '../../bench/support/devices.ts'
import { addPeople, userName } from '../../bench/support/people.ts'
import { costVariables, trivialCost } from '../../bench/support/place.ts'
import { inRoom, type Room } from '../../bench/support/room.ts'
import { createAsking } from './ask.ts'
import { createBlows, kinds } from './blows.ts'
import { createLedger, type Echo } from './ledger.ts'
import { type Counts, runLoad, type Stage, signIn } from './load.ts'
import { makePostgres, type Postgres, reachPostgres } from './postmaster.ts'
import { prove } from './prove.ts'
import { deviceWay, envelopeWay, webapiSessionWay, webapiWay } from './questions.ts'
import { createRandom } from './random.ts'
import { createRecoveries, type KillFigures } from './recoveries.ts'
import { makeServer } from './server.ts'

/** The options of a scene. */
export interface SceneOptions {
  /** The total time of kills. The proofs take additional time. */
  readonly seconds: number
  readonly seed: number
  /** The time of kills between two proofs. */
  readonly roundSeconds: number
  readonly tokenCacheSeconds: number
  /** Receives the progress. */
  readonly onProgress?: (sentence: string) => void
}

/** The result of a scene. */
export interface SceneReport {
  readonly name: string
  readonly counts: Counts
  readonly kills: readonly KillFigures[]
  readonly echo: Echo
  readonly proofs: number
  /** Numbers of live and ended tokens in all proofs together. */
  readonly tokens: number
  readonly violations: readonly string[]
}

/** Two servers on one PostgreSQL, which both reach only over a socket. */
export function playTwoServers(options: SceneOptions, interrupted: Promise<never>): Promise<SceneReport> {
  return play('two servers', options, interrupted, async (room, folder) => {
    const postgres = await makePostgres(room, folder)
    await postgres.start()
    return { postgres, where: { url: postgres.url }, names: ['server 1', 'server 2'] }
  })
}

/** One server and the PostgreSQL in its folder, hit independently. */
export function playEmbedded(options: SceneOptions, interrupted: Promise<never>): Promise<SceneReport> {
  return play('embedded', options, interrupted, async (room, folder) => {
    return { postgres: reachPostgres(room, folder), where: { folder }, names: ['server'] }
  })
}

interface Setting {
  readonly postgres: Postgres
  readonly where: Where
  readonly names: readonly string[]
}

const busyPeople = 8
const steadyPeople = 8
const devicesCount = 2
const longestCommandMs = 31_000

type SetUp = (room: Room, folder: string) => Promise<Setting>

function play(name: string, options: SceneOptions, interrupted: Promise<never>, setUp: SetUp): Promise<SceneReport> {
  return inRoom(async (room) => {
    const folder = await makeFolder(room)
    let work: Promise<unknown> = Promise.resolve()
    // otherwise a command that is still running would create the folder again
    room.atEnd(() => Promise.race([work.catch(() => undefined), sleep(longestCommandMs, undefined, { ref: false })]))
    const playing = playIn(room, name, options, (inner) => setUp(inner, `${folder}/database`))
    work = playing
    return Promise.race([playing, interrupted])
  })
}

async function playIn(
  room: Room,
  name: string,
  options: SceneOptions,
  setUp: (room: Room) => Promise<Setting>,
): Promise<SceneReport> {
  const { postgres, where, names } = await setUp(room)
  const ledger = createLedger(options.tokenCacheSeconds * 1_000)
  const encryptionKey = randomBytes(32).toString('base64')
  const variables = {
    ...costVariables(trivialCost),
    DIALECTS: 'webapi,webapi-session,envelope,device',
    ENCRYPTION_KEY: encryptionKey,
    TOKEN_CACHE_SECONDS: String(options.tokenCacheSeconds),
    THROTTLE: 'off', // it would count the sign-ins of disabled users as guesses
  }
  const servers = await Promise.all(
    names.map((server) => makeServer(room, { name: server, where, variables, report: ledger.report })),
  )
  await Promise.all(servers.map((server) => server.start()))
  const everyone = await addPeople(where, postgres.url, busyPeople + steadyPeople, trivialCost)
  const devices = await addDevices(postgres.url, encryptionKey, devicesCount)
  const [webapi, session, envelope] = [webapiWay(everyone), webapiSessionWay(everyone), envelopeWay(everyone)]
  const users = Array.from({ length: everyone.count }, (_one, index) => userName(index + 1))
  const asking = createAsking()
  const stage: Stage = {
    ledger,
    recoveries: createRecoveries(kinds),
    servers,
    where,
    everyone,
    ask: asking.ask,
    counts: noCounts(),
    busy: users.slice(0, busyPeople).map((user) => ledger.addPerson(user, ['', 'phone', 'tablet'])),
    steady: users.slice(busyPeople).map((user) => ledger.addPerson(user, [''])),
    devices: Array.from({ length: devicesCount }, (_one, number) => ({
      person: ledger.addPerson(`device-${number}`, ['']),
      way: deviceWay(devices, number),
    })),
    waysOf: (device) => (device === '' ? [webapi, session] : [session, envelope]),
    ended: [],
    aborted: new AbortController(),
  }
  room.atEnd(async () => {
    stage.aborted.abort()
    asking.close()
  })
  const random = createRandom(options.seed)
  for (const { seats } of stage.steady) {
    for (const seat of seats) await signIn(stage, seat, webapi, random.pick(servers))
  }
  const tell = (sentence: string) => options.onProgress?.(`${name}: ${sentence}`)
  const proofs = await playRounds(room, stage, postgres, { ...options, onProgress: tell }).catch((cause: unknown) => {
    throw new Error([...ledger.violations, String(cause)].join('\n'), { cause }) // earlier violations may be the reason
  })
  await closeDown(stage, postgres)
  await searchLogs(stage, [everyone.password, everyone.client.secret, devices.customerKey, encryptionKey])
  const { violations, echo } = ledger
  const kills = [...stage.recoveries.figures.values()]
  return { name, counts: stage.counts, kills, echo, proofs, tokens: stage.ended.length, violations }
}

/** Runs rounds of kills under load, with a proof after each one. Returns the number of rounds. */
async function playRounds(room: Room, stage: Stage, postgres: Postgres, options: SceneOptions): Promise<number> {
  const { servers, recoveries, ledger } = stage
  const { signal } = stage.aborted
  let underWay: Promise<unknown> = Promise.resolve()
  room.atEnd(async () => {
    stage.aborted.abort()
    await Promise.race([underWay, sleep(10_000, undefined, { ref: false })])
  })
  const random = createRandom(options.seed)
  const strike = createBlows({ servers, postgres, recoveries, random: createRandom(options.seed + 1) })
  const rounds = Math.max(1, Math.round(options.seconds / options.roundSeconds))
  for (let round = 1; ; round += 1) {
    options.onProgress?.(`round ${round} of ${rounds}`)
    const deadline = performance.now() + (options.seconds / rounds) * 1_000
    let isUp = false
    const blows = strike(() => signal.aborted || performance.now() > deadline).finally(() => {
      isUp = true
    })
    // the load continues until everything is up again, to measure each recovery
    underWay = Promise.allSettled([blows, runLoad(stage, random, () => signal.aborted || isUp)])
    await underWay
    await blows
    signal.throwIfAborted()
    options.onProgress?.('everything is up, proving')
    await prove(stage, postgres, options.tokenCacheSeconds * 1_000)
    for (const violation of ledger.violations) options.onProgress?.(violation)
    if (round === rounds || ledger.violations.length > 0) return round // later violations may only be consequences
  }
}

/** Checks that everything closes in time, and an embedded PostgreSQL with its last server. */
async function closeDown({ servers, where, ledger }: Stage, postgres: Postgres): Promise<void> {
  await Promise.all(servers.map((server) => server.end('SIGTERM')))
  if (!('folder' in where)) return
  for (const began = performance.now(); await postgres.isThere(); await sleep(50)) {
    if (performance.now() - began < 10_000) continue
    ledger.report('the embedded PostgreSQL still runs though its last user has closed')
    return
  }
}

/** Checks that no server has logged a password, a secret or a token. */
async function searchLogs({ servers, ended, busy, steady, ledger }: Stage, secrets: readonly string[]): Promise<void> {
  const living = [...busy, ...steady].flatMap(({ seats }) => seats.flatMap(({ tokens }) => tokens))
  const values = new Set([...ended, ...living].map(({ value }) => value))
  for (const server of servers) {
    for (const log of server.logs) {
      for await (const line of createInterface(createReadStream(log))) {
        const words = line.match(/[\w.-]{72,}/g) ?? []
        const isTelling = words.some((word) => values.has(word)) || secrets.some((secret) => line.includes(secret))
        if (isTelling) ledger.report(`${server.name} has written a secret into its log`)
      }
    }
  }
}

function noCounts(): Counts {
  const requests = { signIns: 0, acknowledged: 0, unknown: 0, checks: 0, checksAnswered: 0 }
  return { ...requests, revocations: 0, revocationsAcknowledged: 0, commands: 0, commandsDone: 0 }
}
