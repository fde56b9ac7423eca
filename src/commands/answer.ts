import type { Database } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'

/** What a command works with. */
export interface CommandTools {
  readonly database: Database
  /** Made when first asked for: most commands hash nothing. */
  readonly passwords: () => Promise<Passwords>
  /** What the keys of devices are encrypted with. Rejects where there is none. */
  readonly encryptionKey: () => Promise<Buffer>
  /** Standard input to its end, less one trailing line end: the only way a password or a chosen secret comes in. */
  readonly readSecret: () => Promise<string>
}

/** Opens the database, does the work, prints the answer, closes whatever happens. */
export type AnswerWith = (work: (tools: CommandTools) => Promise<Answer>) => Promise<void>

/** What a command answers: one JSON document, and the same for people. */
export interface Answer {
  readonly json: unknown
  readonly text: string
}

/** Rows under a heading, in columns as wide as their widest text. */
export function writeTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return [heading, ...rows].map((cells) => line(cells).trimEnd()).join('\n')
}
