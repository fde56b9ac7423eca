import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand, type Where } from '../../bench/support/children.ts'
import type { People } from '../../bench/support/people.ts'
import type { Ask } from './ask.ts'
import type { Deed, Ledger, Person, Seat, Token } from './ledger.ts'
import { checkQuestion, readCheck, readSignIn, revokeQuestion, type SignInReply, type Way } from './questions.ts'
import type { Random } from './random.ts'
import type { Recoveries } from './recoveries.ts'
import type { Server } from './server.ts'

/** The counts of requests and their outcomes. */
export interface Counts {
  signIns: number
  acknowledged: number
  unknown: number
  checks: number
  checksAnswered: number
  revocations: number
  revocationsAcknowledged: number
  commands: number
  commandsDone: number
}

/** The accounts and tools of a load. */
export interface Stage {
  readonly ledger: Ledger
  readonly recoveries: Recoveries
  readonly servers: readonly Server[]
  readonly where: Where
  readonly everyone: People
  readonly ask: Ask
  readonly counts: Counts
  /** Users that sign in repeatedly, on several seats. */
  readonly busy: readonly Person[]
  /** Users that have signed in once and whose token stays live. */
  readonly steady: readonly Person[]
  /** Devices, each with a way to sign in. */
  readonly devices: readonly { readonly person: Person; readonly way: Way }[]
  /** The ways to take a seat. */
  waysOf(device: string): readonly Way[]
  /** Ended tokens, to be checked again. */
  readonly ended: Token[]
  /** Aborts when everything must stop at once. */
  readonly aborted: AbortController
}

const signInWorkers = 6
const checkWorkers = 6
const longestCommandMs = 120_000

/** Signs in, checks, revokes and runs commands until `isOver`. Resolves when no request is under way. */
export async function runLoad(stage: Stage, random: Random, isOver: () => boolean): Promise<void> {
  const repeat = async (work: () => Promise<unknown>, minMs: number, maxMs: number) => {
    while (!isOver()) {
      await work()
      await sleep(random.between(minMs, maxMs))
    }
  }
  await Promise.all([
    ...Array.from({ length: signInWorkers }, () => repeat(() => signInSome(stage, random), 10, 150)),
    ...Array.from({ length: checkWorkers }, () => repeat(() => checkOne(stage, random), 1, 15)),
    ...stage.devices.map(({ person, way }) =>
      repeat(
        () => Promise.all(person.seats.map((seat) => signIn(stage, seat, way, random.pick(stage.servers)))),
        1_000,
        2_000,
      ),
    ),
    repeat(() => revokeOne(stage, random), 50, 400),
    repeat(() => runOne(stage, random), 300, 1_500),
  ])
}

/** Chooses the seats to take: mostly one, sometimes the same seat five times at once, or all seats of a user. */
async function signInSome(stage: Stage, random: Random): Promise<void> {
  const person = random.pick(stage.busy)
  const seat = random.pick(person.seats)
  const many = random.chance(0.1) ? person.seats : [seat]
  const seats = random.chance(0.1) ? Array.from({ length: 5 }, () => seat) : many
  const tokens = await Promise.all(
    seats.map((taken) => signIn(stage, taken, random.pick(stage.waysOf(taken.device)), random.pick(stage.servers))),
  )
  if (tokens.includes(null)) await sleep(random.between(100, 400)) // a server that is down would only get more requests
}

/** Signs in once, and records it before and after. */
export async function signIn(stage: Stage, seat: Seat, way: Way, server: Server): Promise<Token | null> {
  const { ledger, counts, recoveries, ask, everyone } = stage
  const url = server.url
  if (url === null) return pause()
  counts.signIns += 1
  const deed = ledger.beginSignIn(seat, `${way.name} sign-in at ${server.name}`)
  const reply = readSignIn(way, await ask(url, way.ask(seat.person.name, seat.device)))
  if (typeof reply === 'object' && 'value' in reply) {
    counts.acknowledged += 1
    recoveries.succeeded(server.name, deed.sentMs)
    return ledger.acknowledge(seat, deed, reply.value, way.builtIn ?? everyone.client.id)
  }
  concludeSignIn(stage, seat, deed, reply)
  return null
}

async function pause(): Promise<null> {
  await sleep(25)
  return null
}

function concludeSignIn(
  { ledger, counts }: Stage,
  seat: Seat,
  deed: Deed,
  reply: Exclude<SignInReply, { value: string }>,
) {
  if (reply === 'denied') return ledger.denied(seat, deed)
  if (reply === 'nobody') return ledger.conclude(deed, 'without effect')
  counts.unknown += 1
  ledger.conclude(deed, 'unknown')
  if (typeof reply === 'object') ledger.report(`#${deed.number} ${deed.what} was answered ${reply.strange}`, seat)
}

/** Chooses a token: the latest of a seat, an earlier one, one that must be live, or one that ended long ago. */
function pickToken({ busy, steady, devices, ended }: Stage, random: Random): Token | null {
  if (random.chance(0.2) && ended.length > 0) return random.pick(ended)
  const people = random.chance(0.3) ? steady : [...busy, ...devices.map(({ person }) => person)]
  const { tokens } = random.pick(random.pick(people).seats)
  if (tokens.length === 0) return null
  return random.chance(0.6) ? (tokens.at(-1) ?? null) : random.pick(tokens.slice(-4))
}

async function checkOne(stage: Stage, random: Random): Promise<void> {
  const token = pickToken(stage, random)
  const said = token && (await check(stage, token, random.pick(stage.servers), random.chance(0.2)))
  if (said === null) await sleep(random.between(25, 100))
}

/** Checks a token and compares the verdict with the records. Returns the verdict, or null if there was none. */
export async function check(stage: Stage, token: Token, server: Server, asBackend = false): Promise<boolean | null> {
  const { ledger, counts, ask, everyone } = stage
  const url = server.url
  if (url === null) return pause()
  counts.checks += 1
  const beganMs = performance.now()
  const said = readCheck(await ask(url, checkQuestion(token, asBackend ? everyone : null)), asBackend)
  if (typeof said === 'object') ledger.report(`a check at ${server.name} was answered ${said.strange}`, token.seat)
  if (typeof said !== 'boolean') return null
  counts.checksAnswered += 1
  if (said) ledger.accepted(token, beganMs, server.name)
  else ledger.refused(token, server.name)
  return said
}

async function revokeOne(stage: Stage, random: Random): Promise<void> {
  const { ledger, counts, ask, everyone, busy, devices } = stage
  const { tokens } = random.pick(random.pick([...busy, ...devices.map(({ person }) => person)]).seats)
  const server = random.pick(stage.servers)
  const token = tokens.at(-1)
  if (!token || server.url === null) return
  counts.revocations += 1
  const ending = ledger.beginEnding(token, `revocation at ${server.name} of the token of #${token.signIn.number}`)
  const reply = await ask(server.url, revokeQuestion(token, everyone))
  if (reply === 'nobody') return ledger.conclude(ending, 'without effect')
  const isDone = typeof reply === 'object' && reply.status === 200
  if (isDone) counts.revocationsAcknowledged += 1
  ledger.conclude(ending, isDone ? 'acknowledged' : 'unknown')
  if (typeof reply === 'object' && !isDone && reply.status !== 503) {
    ledger.report(`a revocation at ${server.name} was answered ${reply.status} ${reply.text.slice(0, 200)}`, token.seat)
  }
}

/** Runs a command that ends a user's tokens. Enables a disabled user again. */
async function runOne(stage: Stage, random: Random): Promise<void> {
  const person = random.pick(stage.busy)
  const role = random.pick(['Editor', 'Reader', 'Administrator'])
  const args = random.pick([
    ['token', 'revoke', '--user', person.name],
    ['user', 'set-role', person.name, role],
    ['user', 'disable', person.name],
  ])
  const isDisabling = args[1] === 'disable'
  const ending = stage.ledger.beginEnding(person, `\`${args.slice(0, 2).join(' ')}\``, isDisabling)
  stage.ledger.conclude(ending, (await isCommandDone(stage, args)) ? 'acknowledged' : 'unknown')
  if (!isDisabling) return
  await Promise.all(
    person.seats.map((seat) => signIn(stage, seat, random.pick(stage.waysOf(seat.device)), random.pick(stage.servers))),
  )
  stage.ledger.beginEnabling(ending)
  for (
    const began = performance.now();
    !(await isCommandDone(stage, ['user', 'enable', person.name]));
    await sleep(100)
  ) {
    stage.aborted.signal.throwIfAborted()
    if (performance.now() - began > longestCommandMs) throw new Error('a user could not be enabled again')
  }
  stage.ledger.concludeEnabling(ending)
}

/** Tells whether the command reported success. If not, its effect is unknown. */
async function isCommandDone({ where, counts }: Stage, args: readonly string[]): Promise<boolean> {
  counts.commands += 1
  const isDone = await runCommand(where, ...args).then(
    () => true,
    () => false,
  )
  if (isDone) counts.commandsDone += 1
  return isDone
}
