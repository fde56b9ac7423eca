import { availableParallelism } from 'node:os'
import { median } from '../support/figure.ts'
import type { SignIns } from './measure-sign-ins.ts'

/** One round of one server. */
export interface PeerRound {
  readonly trivial: SignIns
  readonly usual: SignIns
  /** Bare argon2id checks a second around it. */
  readonly bare: number
  readonly residentMib: number
}

/** One server, and how its rounds went. */
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

/** The comparison as a table in Markdown, of medians, with what it was made on. */
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

/** Sign-ins with the default hash as a share of what the hash alone allows. */
export function ofBare({ usual, bare }: PeerRound): number {
  return usual.perSecond / bare
}
