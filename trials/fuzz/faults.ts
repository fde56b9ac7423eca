import { type Known, mask } from './known.ts'
import type { Answer } from './read-answers.ts'
import type { Shot } from './write-request.ts'

/** Something that must not be, with the first request that showed it. */
export interface Fault {
  readonly what: string
  /** How often the same was seen at the same endpoint with the same status. */
  count: number
  /** The request's number, null where it cannot be known. */
  readonly number: number | null
  /** Request and answer as text, secrets masked, everything but visible ASCII escaped. */
  readonly evidence: string
}

/** Where faults are gathered, each kind once. */
export interface Faults {
  add(what: string, of?: { readonly number: number; readonly shot: Shot; readonly answers: readonly Answer[] }): void
  addText(what: string, evidence: string): void
  all(): readonly Fault[]
  /** Whether there are so many kinds of them that going on would tell nothing new. */
  areTooMany(): boolean
}

const maxKinds = 40
const longestEvidence = 6_000

/** Gathers faults; what they show is masked with what is known. */
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
