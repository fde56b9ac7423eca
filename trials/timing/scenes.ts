import { type Cost, defaultCost, trivialCost } from '../../bench/support/place.ts'
import { openTimedConnection } from '../../bench/support/timed-connection.ts'
import { clientFamilies } from './client-families.ts'
import type { Everybody } from './everybody.ts'
import { askFamilies, type Family, type Finding, findOddAnswers, judgeTimes } from './family.ts'
import { isBlind, passwordFamilies } from './password-families.ts'
import { guessAsStrangers, guessUntilWaiting, newcomersAddress, throttledFamily } from './throttled-families.ts'

/** One server, and the requests to it. */
export interface Scene {
  readonly cost: Cost
  readonly olderCost: Cost
  readonly variables: Readonly<Record<string, string>>
  /** The number of requests of each kind. */
  readonly blocks: number
  readonly ask: (asked: Asked) => Promise<Result>
}

/** The server, the accounts and the number of requests. */
export interface Asked {
  readonly url: string
  /** Adds accounts that no request has named yet. */
  readonly addEverybody: () => Promise<Everybody>
  readonly blocks: number
}

/** The results of a scene. */
export interface Result {
  readonly findings: readonly Finding[]
  /** Answers that differ, or a comparison that detects nothing. */
  readonly mistakes: readonly string[]
}

/** Cheap enough that all other work shows, and expensive enough that a missing hash shows too. */
const cheap = { cost: { ...trivialCost, memoryKib: 4_096 }, olderCost: trivialCost }
/** The older one was node-argon2's default until 2022. */
const asShipped = { cost: defaultCost, olderCost: { memoryKib: 4_096, passes: 3, lanes: 1 } }
const noThrottle = { THROTTLE: 'off' }
/** Counts every attempt, but refuses none. */
const wideThrottle = {
  THROTTLE: 'on',
  THROTTLE_FREE_ATTEMPTS: '1000',
  THROTTLE_STRANGERS_LIMIT: '10000',
  THROTTLE_STRANGERS_SOURCE_LIMIT: '10000',
  THROTTLE_NETWORK_NAMES: '1000000',
}

/** The scenes. Most use a hash so cheap that all other work shows. One uses the default hash, to detect a missing hash. */
export const scenes: Readonly<Record<string, Scene>> = {
  'cheap hash': { ...cheap, variables: noThrottle, blocks: 250, ask: askForPasswords },
  'cheap hash, attempts counted': { ...cheap, variables: wideThrottle, blocks: 250, ask: askForPasswords },
  'default hash, attempts counted': { ...asShipped, variables: wideThrottle, blocks: 110, ask: askForPasswords },
  clients: { ...cheap, variables: wideThrottle, blocks: 150, ask: askForClients },
  'made to wait': { ...cheap, variables: { THROTTLE: 'on' }, blocks: 250, ask: askWaiting },
  'strangers refused': {
    ...cheap,
    variables: { THROTTLE: 'on', THROTTLE_STRANGERS_LIMIT: '5' },
    blocks: 250,
    ask: askAsNewcomer,
  },
}

/** The share of the time by which any kind is allowed to differ. */
const share = 0.05

async function askForPasswords(asked: Asked): Promise<Result> {
  const { findings, mistakes } = await askAbout(asked, await peopled(asked, passwordFamilies))
  return {
    findings,
    mistakes: [...mistakes, ...(isBlind(findings) ? ['a missing hash is not noticed: too noisy'] : [])],
  }
}

async function askForClients(asked: Asked): Promise<Result> {
  return askAbout(asked, await peopled(asked, clientFamilies))
}

function peopled({ addEverybody }: Asked, families: readonly ((everybody: Everybody) => Family)[]): Promise<Family[]> {
  return Promise.all(families.map(async (write) => write(await addEverybody())))
}

async function askWaiting(asked: Asked): Promise<Result> {
  const everybody = await asked.addEverybody()
  await onConnection(asked.url, (connection) => guessUntilWaiting(connection, everybody, waitSeconds))
  return askAbout(asked, [throttledFamily('made to wait', everybody)])
}

/** Waits are 1, 2, 4 … seconds. This one is long enough for all requests of the scene. */
const waitSeconds = 15

async function askAsNewcomer(asked: Asked): Promise<Result> {
  const everybody = await asked.addEverybody()
  await guessAsStrangers(asked.url, everybody)
  return askAbout(asked, [throttledFamily('strangers refused', everybody)], newcomersAddress)
}

async function askAbout({ url, blocks }: Asked, families: readonly Family[], from?: string): Promise<Result> {
  const answers = await onConnection(url, (connection) => askFamilies(connection, families, blocks), from)
  const findings = families.flatMap((family) => judgeTimes(family, answers, share))
  const isNoisy = findings.some(({ foundFromMs, quickestMs }) => foundFromMs > maxHidden * quickestMs)
  const mistakes = families.flatMap((family) => findOddAnswers(family, answers))
  return { findings, mistakes: [...mistakes, ...(isNoisy ? ['too noisy to tell: what is found begins too high'] : [])] }
}

/** The share of the time that noise may hide. Beyond it there is no verdict. */
const maxHidden = 0.3

async function onConnection<T>(
  url: string,
  work: (connection: Awaited<ReturnType<typeof openTimedConnection>>) => Promise<T>,
  from?: string,
): Promise<T> {
  const connection = await openTimedConnection(url, from)
  try {
    return await work(connection)
  } finally {
    connection.close()
  }
}
