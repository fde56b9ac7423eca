import { median } from '../../bench/support/figure.ts'
import type { TimedConnection } from '../../bench/support/timed-connection.ts'
import { type Answers, askInBlocks } from './ask-in-blocks.ts'
import { type Comparison, compareTimes, difference, quickestQuarter } from './compare-times.ts'

/**
 * Kinds of request that nobody may tell apart, by text or by time. The first two are the same thing for different people:
 * what differs between them is chance.
 */
export interface Family {
  readonly what: string
  readonly kinds: Readonly<Record<string, readonly string[]>>
  /** What every answer's status must be, or something else was measured; null where answers differ. */
  readonly status: number | null
  /** Kinds that may differ by more. */
  readonly looser?: Readonly<Record<string, Looser>>
}

/** By how much a kind may differ, to which side, and why. */
export interface Looser {
  readonly verdict: 'quicker' | 'slower'
  readonly ms: number
  readonly why: string
}

/** What is found out about one kind. */
export interface Finding extends Comparison {
  readonly family: string
  readonly kind: string
  readonly count: number
  readonly medianMs: number
  /** Of the quickest quarter. */
  readonly quickestMs: number
  /** Why it may be told apart; null where it may not. */
  readonly excuse: string | null
}

/** What the server answered to every kind of every family, all of them asked in the same blocks. */
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

/** Compares each kind of a family with the first; `share` is what may differ whatever chance does. */
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

/** Whether a finding is one that nobody may find. */
export function isLeak({ verdict, excuse }: Finding): boolean {
  return verdict !== 'alike' && excuse === null
}

/** What is wrong with the answers of a family: another status, or one that differs from the rest in any byte. */
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

/** Everything but the two things that differ from second to second. */
function withoutTimes(text: string): string {
  return text.replace(/^(date|retry-after): .*$/gim, '$1: …')
}
