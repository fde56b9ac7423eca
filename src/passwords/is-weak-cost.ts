import type { Argon2Cost } from './argon2.ts'

// OWASP Password Storage Cheat Sheet: argon2id choices of equal strength, [memory in KiB, passes]
const owaspChoices = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9_216, 4],
  [7_168, 5],
] as const

/** Tells whether a cost is below every choice that OWASP recommends for argon2id. */
export function isWeakCost({ memoryKib, passes }: Argon2Cost): boolean {
  return !owaspChoices.some(([memory, times]) => memoryKib >= memory && passes >= times)
}
