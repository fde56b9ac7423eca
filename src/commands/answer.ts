import { once } from 'node:events'
import type { Writable } from 'node:stream'
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
export type AnswerWith = (work: (tools: CommandTools) => Promise<Answer | ListAnswer>) => Promise<void>

/** What a command answers: one JSON document, and the same for people. */
export interface Answer {
  readonly json: unknown
  readonly text: string
}

/** What a command answers that lists rows, however many there are. */
export interface ListAnswer {
  readonly heading: readonly string[]
  readonly pages: AsyncIterable<readonly ListedRow[]>
}

/** One row: as JSON, and as cells of a table for people. */
export interface ListedRow {
  readonly json: unknown
  readonly cells: readonly string[]
}

/**
 * Writes an answer as one JSON document or for people. A list is written page by page, at the reader's pace, and ends early
 * when the reader has left, as `| head` does.
 */
export async function writeAnswer(out: Writable, answer: Answer | ListAnswer, isJson: boolean): Promise<void> {
  let isRead = true
  const leave = () => {
    isRead = false
  }
  out.on('error', leave).on('close', leave) // standard output is never destroyed: only its events tell
  for await (const part of writeParts(answer, isJson)) {
    if (!out.write(part)) await drained(out).catch(leave)
    if (!isRead) return
  }
}

/** Resolves when the output takes more, or never will; leaves no listener behind. */
async function drained(out: Writable): Promise<void> {
  const turn = new AbortController()
  const { signal } = turn
  await Promise.race([once(out, 'drain', { signal }), once(out, 'close', { signal })]).finally(() => turn.abort())
}

function writeParts(answer: Answer | ListAnswer, isJson: boolean): AsyncIterable<string> | readonly string[] {
  if ('pages' in answer) return isJson ? writeArray(answer) : writeTable(answer)
  return [`${isJson ? JSON.stringify(answer.json) : answer.text}\n`]
}

/** One row a line, so that a reader who leaves after some lines ends it. */
async function* writeArray({ pages }: ListAnswer): AsyncGenerator<string> {
  let before = '['
  for await (const page of pages) {
    if (page.length === 0) continue
    yield before + page.map(({ json }) => JSON.stringify(json)).join(',\n')
    before = ',\n'
  }
  yield before === '[' ? '[]\n' : ']\n'
}

/** Rows under a heading, in columns as wide as their widest text in the first page: later rows may stand out. */
async function* writeTable({ heading, pages }: ListAnswer): AsyncGenerator<string> {
  let widths: number[] | null = null
  const line = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join('  ')
  for await (const page of pages) {
    const rows = page.map(({ cells }) => cells)
    const lines = widths === null ? [heading, ...rows] : rows
    widths ??= heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
    yield lines.map((cells) => `${line(cells).trimEnd()}\n`).join('')
  }
}

/** Describes a list's rows page by page, as the pages are asked for. */
export async function* describePages<Row>(
  pages: AsyncIterable<readonly Row[]>,
  describe: (row: Row) => ListedRow,
): AsyncGenerator<readonly ListedRow[]> {
  for await (const page of pages) yield page.map(describe)
}
