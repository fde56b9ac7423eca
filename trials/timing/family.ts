import { median } from '../../bench/support/figure.ts'
import type { TimedConnection } from '../../bench/support/timed-connection.ts'
import { type Answers, askInBlocks } from './ask-in-blocks.ts'
import { type Comparison, compareTimes, difference, quickestQuarter } from './compare-times.ts'

/**
 * Kinds of request that must not be distinguishable, by text or by time. The first two are the same kind for different
 * accounts, so any difference between them is chance.
 */
export interface Family {
  readonly what: string
  readonly kinds: Readonly<Record<string, readonly string[]>>
  /** The expected status of every answer, to be sure of what is measured; null if answers differ. */
  readonly status: number | null
  /** Kinds that are allowed to differ by more. */
  readonly looser?: Readonly<Record<string, Looser>>
}

/** How much a kind is allowed to differ, in which direction, and why. */
export interface Looser {
  readonly verdict: 'quicker' | 'slower'
  readonly ms: number
  readonly why: string
}

/** The finding about one kind. */
export interface Finding extends Comparison {
  readonly family: string
  readonly kind: string
  readonly count: number
  readonly medianMs: number
  /** The mean of the quickest quarter. */
  readonly quickestMs: number
  /** Why it is allowed to be distinguishable; null if it is not. */
  readonly excuse: string | null
}

/** The answers to every kind of every family, all asked in the same blocks. */
export type FamilyAnswers = (family: Family, kind: string) => Answers[string]

/** Asks all kinds of all families, block by block. */
export async function askFamilies(
  connection: TimedConnection,
  families: readonly Family[],
  blocks: number,
): Promise<FamilyAnswers> {
  const nameOf = ({ what }: Family, kind: string) => `${what}: ${kind}`
  const requests = families.flatMap((family) =>
    Object.entries(family.kinds).map(([kind, each]) => [nameOf(family, kind), each] as const),
  )
  const answers = await askInBlocks(connection, Object.fromEntries(requests), blocks)
  return (family, kind) => answers[nameOf(family, kind)] ?? []
}

/** Compares each kind of a family with the first. `share` is the part of the time by which any kind is allowed to differ. */
export function judgeTimes(family: Family, answers: FamilyAnswers, share: number): Finding[] {
  const timesOf = (kind: string) => answers(family, kind).map(({ ms }) => ms)
  const [first = '', second = '', ...rest] = Object.keys(family.kinds)
  const same = difference(timesOf(second), timesOf(first))
  return [second, ...rest].map((kind) => {
    const comparison = compareTimes(timesOf(kind), timesOf(first), same, share)
    const looser = family.looser?.[kind]
    const isExcused = looser?.verdict === comparison.verdict && Math.abs(comparison.ms) <= looser.ms
    return {
      family: family.what,
      kind,
      count: timesOf(kind).length,
      medianMs: median(timesOf(kind)),
      quickestMs: quickestQuarter(timesOf(kind)),
      excuse: isExcused ? looser.why : null,
      ...comparison,
    }
  })
}

/** Tells whether a finding is a leak. */
export function isLeak({ verdict, excuse }: Finding): boolean {
  return verdict !== 'alike' && excuse === null
}

/** Finds wrong answers in a family: another status, or an answer that differs from the others in any byte. */
export function findOddAnswers(family: Family, answers: FamilyAnswers): string[] {
  const { what, kinds, status } = family
  if (status === null) return []
  const usual = answers(family, Object.keys(kinds)[0] ?? '')[0]
  return Object.keys(kinds).flatMap((kind) => {
    const odd = answers(family, kind).find(
      (answer) => answer.status !== status || withoutTimes(answer.text) !== withoutTimes(usual?.text ?? ''),
    )
    return odd ? [`${what}, ${kind}: expected ${status} and\n${usual?.text}\nbut there came\n${odd.text}`] : []
  })
}

/** Removes the two parts of an answer that change every second. */
function withoutTimes(text: string): string {
  return text.replace(/^(date|retry-after): .*$/gim, '$1: …')
}
