import type { Findings } from './attack.ts'
import type { Costs } from './costs.ts'
import type { Fault } from './faults.ts'

/** The findings at one setting, and its seed. */
export interface Found extends Findings {
  readonly setting: string
  readonly costs: Costs
}

/** Writes the findings as a table: the requests to each endpoint, and the answers. */
export function writeReport(found: readonly Found[], seed: number): string {
  return [...found.map(writeTable), ...found.map((one) => writeFaults(one, seed))]
    .filter((text) => text !== '')
    .join('\n\n')
}

function writeTable({ setting, sent, seconds, beginMib, endMib, statuses, faults, costs }: Found): string {
  const rows = [...statuses]
    .map(([endpoint, counts]) => [endpoint, sum(counts), writeCounts(counts)] as const)
    .sort(([, one], [, other]) => other - one)
  const widest = Math.max(...rows.map(([endpoint]) => endpoint.length))
  return [
    `${setting}: ${sent} requests, ${Math.round(sent / seconds)} a second, resident memory ${beginMib.toFixed()} MiB ` +
      `after the warm-up and ${endMib.toFixed()} MiB at the end, ${faults.length} kinds of faults`,
    `  an ordinary refusal takes ${costs.ordinaryMs.toFixed(2)} ms of the processor, the dearest of ${costs.measured} ` +
      `repetitions ${costs.dearest.ms.toFixed(2)} ms: ${costs.dearest.place}, ${costs.dearest.piece}`,
    ...rows.map(([endpoint, count, counts]) => `  ${endpoint.padEnd(widest)}  ${String(count).padStart(7)}  ${counts}`),
  ].join('\n')
}

function sum(counts: ReadonlyMap<number, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0)
}

function writeCounts(counts: ReadonlyMap<number, number>): string {
  return [...counts]
    .sort(([one], [other]) => one - other)
    .map(([status, count]) => `${status === 0 ? 'none' : status}: ${count}`)
    .join(', ')
}

/** Writes each kind of fault with its first request, and how to send that again. */
export function writeFaults({ setting, faults }: Pick<Found, 'setting' | 'faults'>, seed: number): string {
  return faults.map((fault) => writeFault(fault, setting, seed)).join('\n\n')
}

function writeFault({ what, count, number, evidence }: Fault, setting: string, seed: number): string {
  const again = number === null ? `--seed ${seed}` : `--seed ${seed} --only ${setting} --first ${number} --requests 1`
  return `FAULT ${what} (${count} times; again with ${again})\n  ${evidence}`
}
