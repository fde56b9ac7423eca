import { type Known, mask } from './known.ts'
import type { Answer } from './read-answers.ts'
import type { Shot } from './write-request.ts'

/** A kind of fault, with the first request that showed it. */
export interface Fault {
  readonly what: string
  /** How often the fault occurred at the same endpoint with the same status. */
  count: number
  /** The number of the request, or null if it is unknown. */
  readonly number: number | null
  /** The request and the answer as text. Secrets are masked, and everything but visible ASCII is escaped. */
  readonly evidence: string
}

/** Collects faults, each kind once. */
export interface Faults {
  add(what: string, of?: { readonly number: number; readonly shot: Shot; readonly answers: readonly Answer[] }): void
  addText(what: string, evidence: string): void
  all(): readonly Fault[]
  /** Tells whether there are so many kinds that more requests would show nothing new. */
  areTooMany(): boolean
}

const maxKinds = 40
const longestEvidence = 6_000

/** Creates a collector of faults. It masks the known secrets. */
export function gatherFaults(known: Known): Faults {
  const kinds = new Map<string, Fault>()
  function note(kind: string, fault: () => Omit<Fault, 'count'>): void {
    const seen = kinds.get(kind) ?? { ...fault(), count: 0 }
    kinds.set(kind, seen)
    seen.count += 1
  }
  const show = (text: string) => escapeText(mask(known, text)).slice(0, longestEvidence)
  return {
    add: (what, of) => {
      const { shot, answers = [], number = null } = of ?? {}
      const kind = [what, shot?.endpoint, ...answers.map(({ status }) => status)].join('|')
      note(kind, () => {
        const said = [shot?.bytes.toString('latin1') ?? '', ...answers.map(({ text }) => text)]
        return { what: shot ? `${shot.endpoint}: ${what}` : what, number, evidence: said.map(show).join('\n  => ') }
      })
    },
    addText: (what, evidence) =>
      note(`${what}|${evidence.replace(/\d+/g, '')}`, () => ({ what, number: null, evidence: show(evidence) })),
    all: () => [...kinds.values()],
    areTooMany: () => kinds.size >= maxKinds,
  }
}

function escapeText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => {
    if (character === '\r') return '\\r'
    if (character === '\n') return '\\n\n  '
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
