import { setTimeout as sleep } from 'node:timers/promises'
import { residentMib } from '../../bench/support/proc.ts'
import { breakRequest } from './break-request.ts'
import { type Chance, drawnFrom } from './chance.ts'
import { type Fault, type Faults, gatherFaults } from './faults.ts'
import { type Allowed, judge, readToken } from './judge.ts'
import { type Known, keepToken } from './known.ts'
import { type Line, type Outcome, openLine } from './line.ts'
import { type Shot, writeRequest } from './write-request.ts'

/** The server under attack. */
export interface Target {
  readonly url: string
  readonly pid: number
  readonly known: Known
  readonly allowed: Allowed
}

/** The size of an attack. */
export interface Attack {
  readonly seed: number
  /** The number of the first request. A request can be written again from its number. */
  readonly first: number
  readonly requests: number
  readonly seconds: number
  /** Time limit of an answer. */
  readonly answerMs?: number
  /** How much the memory may grow after the warm-up. */
  readonly maxGrowthMib?: number
  /** The pause before the memory is measured. */
  readonly settleMs?: number
}

/** The result of an attack. */
export interface Findings {
  readonly faults: readonly Fault[]
  readonly sent: number
  readonly seconds: number
  /** The resident memory after the warm-up and at the end. */
  readonly beginMib: number
  readonly endMib: number
  /** Answers by endpoint and status. Status 0 counts requests without an answer. */
  readonly statuses: ReadonlyMap<string, ReadonlyMap<number, number>>
}

const lineCount = 48
/** The percentage of requests that are broken at the level of bytes. */
const brokenShare = 5
const usualAnswerMs = 10_000
/**
 * After the warm-up all code is loaded and compiled, and all caches are full. Garbage collection then varied the memory by
 * less than 100 MiB. A leak of 300 bytes for each of half a million requests would exceed that.
 */
const usualGrowthMib = 128
const warmUp = { share: 0.25, most: 20_000 }
const usualSettleMs = 1_000

/** Sends requests until the number or the time is reached, and judges every answer. */
export async function attack(target: Target, options: Attack): Promise<Findings> {
  const { requests, seconds, first, maxGrowthMib = usualGrowthMib, settleMs = usualSettleMs } = options
  const faults = gatherFaults(target.known)
  const statuses = new Map<string, Map<number, number>>()
  const began = performance.now()
  const deadline = began + seconds * 1_000
  const warmUpTo = first + Math.min(warmUp.most, Math.ceil(requests * warmUp.share))
  const warmUpUntil = began + seconds * 1_000 * warmUp.share
  const range = { next: first }
  const fire = (end: number, until: number) => fireUntil(target, options, { range, end, until, faults, statuses })

  await fire(warmUpTo, warmUpUntil)
  await sleep(settleMs)
  const beginMib = measureMib(target)
  await fire(first + requests, deadline)
  const taken = (performance.now() - began - settleMs) / 1_000
  await sleep(settleMs)
  const endMib = measureMib(target)
  if (endMib - beginMib > maxGrowthMib) faults.add(`memory grew from ${beginMib.toFixed()} to ${endMib.toFixed()} MiB`)
  if (Number.isNaN(endMib)) faults.add('the process has ended')
  return { faults: faults.all(), sent: range.next - first, seconds: taken, beginMib, endMib, statuses }
}

/** Reads the memory of a process, or NaN if it has ended. */
function measureMib({ pid }: Target): number {
  try {
    return residentMib(pid)
  } catch {
    return Number.NaN
  }
}

interface Firing {
  /** Each idle connection takes the next number. */
  readonly range: { next: number }
  readonly end: number
  readonly until: number
  readonly faults: Faults
  readonly statuses: Map<string, Map<number, number>>
}

async function fireUntil(target: Target, options: Attack, firing: Firing): Promise<void> {
  const { hostname: host, port } = new URL(target.url)
  const { range, end, until, faults } = firing
  await Promise.all(
    Array.from({ length: lineCount }, async (_, place) => {
      // few networks, so that each one sends too many guesses; only Linux has several loopback addresses
      const localAddress = process.platform === 'linux' ? `127.0.0.${2 + (place % 4)}` : undefined
      const open = () =>
        openLine({ host, port: Number(port), localAddress, answerMs: options.answerMs ?? usualAnswerMs })
      let line: Line | null = null
      while (range.next < end && performance.now() < until && !faults.areTooMany()) {
        const number = range.next
        range.next += 1
        const { shot, pieces } = drawnFrom(options.seed, number, (chance) => writeShot(chance, target.known, number))
        if (shot.isFramed) {
          if (!line?.isOpen()) line = open()
          judgeOutcome(await line.ask(shot, pieces), { shot, number }, target, firing)
        } else {
          judgeOutcome(await open().provoke(shot, pieces), { shot, number }, target, firing)
        }
      }
      line?.close()
    }),
  )
}

interface Numbered {
  readonly shot: Shot
  readonly number: number
}

function writeShot(chance: Chance, known: Known, number: number): { shot: Shot; pieces: Buffer[] } {
  const shot = (chance.is(brokenShare) ? breakRequest : writeRequest)(chance, known, number)
  if (shot.bytes.length === 0 || !chance.is(5)) return { shot, pieces: [shot.bytes] }
  const at = chance.int(0, shot.bytes.length)
  return { shot, pieces: [shot.bytes.subarray(0, at), shot.bytes.subarray(at)] }
}

function judgeOutcome({ answers, fault }: Outcome, { shot, number }: Numbered, target: Target, firing: Firing): void {
  const { faults, statuses } = firing
  const ofEndpoint = statuses.get(shot.endpoint) ?? new Map<number, number>()
  statuses.set(shot.endpoint, ofEndpoint)
  const count = (status: number) => ofEndpoint.set(status, (ofEndpoint.get(status) ?? 0) + 1)
  if (answers.length === 0) count(0)
  if (fault !== null) faults.add(fault, { number, shot, answers })
  for (const answer of answers) {
    count(answer.status)
    for (const what of judge(answer, shot, target.known, target.allowed))
      faults.add(what, { number, shot, answers: [answer] })
    const token = readToken(answer)
    if (token !== null) keepToken(target.known, token)
  }
}
