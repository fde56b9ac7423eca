import { availableParallelism } from 'node:os'
import { median } from '../support/figure.ts'
import type { SignIns } from './measure-sign-ins.ts'

/** One round of a server. */
export interface PeerRound {
  readonly trivial: SignIns
  readonly usual: SignIns
  /** Bare argon2id checks per second, measured around the round. */
  readonly bare: number
  readonly residentMib: number
}

/** A server and its rounds. */
export interface PeerResult {
  readonly name: string
  readonly idleMib: number
  readonly rounds: readonly PeerRound[]
}

const heading = [
  'server',
  'trivial hash: sign-ins/s',
  'server ms',
  'PostgreSQL ms',
  'default hash: sign-ins/s',
  '÷ bare argon2id',
  'RSS idle → load MiB',
]

/** Writes the comparison as a Markdown table of medians, with the machine and the versions. */
export function writePeers(results: readonly PeerResult[], versions: readonly string[]): string {
  const rows = [heading, heading.map(() => '---'), ...results.map(writeRow)]
  const made = [new Date().toISOString().slice(0, 10), `Node ${process.version}`, `${availableParallelism()} cores`]
  return [...rows.map((cells) => `| ${cells.join(' | ')} |`), '', [...made, ...versions].join(', ')].join('\n')
}

function writeRow({ name, idleMib, rounds }: PeerResult): string[] {
  const of = (read: (round: PeerRound) => number) => median(rounds.map(read))
  return [
    name,
    of(({ trivial }) => trivial.perSecond).toFixed(0),
    of(({ trivial }) => trivial.serverMs).toFixed(2),
    of(({ trivial }) => trivial.postgresMs).toFixed(2),
    of(({ usual }) => usual.perSecond).toFixed(1),
    `${of(ofBare).toFixed(2)} (bare ${of(({ bare }) => bare).toFixed(0)}/s)`,
    `${idleMib.toFixed(0)} → ${of(({ residentMib }) => residentMib).toFixed(0)}`,
  ]
}

/** Divides the rate of sign-ins with the default hash by the rate that the hash alone allows. */
export function ofBare({ usual, bare }: PeerRound): number {
  return usual.perSecond / bare
}
