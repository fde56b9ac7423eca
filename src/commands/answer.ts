import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Database } from '../database/database.ts'
import type { Passwords } from '../passwords/password.ts'
import { accent } from './accent.ts'

/** The tools of a command. */
export interface CommandTools {
  readonly database: Database
  /** Created at the first call, since most commands hash nothing. */
  readonly passwords: () => Promise<Passwords>
  /** Returns the key that encrypts the keys of devices. Rejects when there is none. */
  readonly encryptionKey: () => Promise<Buffer>
  /**
   * Reads standard input to its end, without one trailing line end: the only way to enter a password or chosen secret.
   */
  readonly readSecret: () => Promise<string>
}

/** Opens the database, does the work, prints the answer, and closes the database in every case. */
export type AnswerWith = (work: (tools: CommandTools) => Promise<Answer | ListAnswer>) => Promise<void>

/** The answer of a command, as one JSON document and as text for people. */
export interface Answer {
  readonly json: unknown
  readonly text: string
}

/** The answer of a command that lists any number of rows. */
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
 * Writes an answer as one JSON document or as text for people. Writes a list page by page, at the reader's pace, and
 * stops when the reader leaves, as `| head` does.
 */
export async function writeAnswer(out: Writable, answer: Answer | ListAnswer, isJson: boolean): Promise<void> {
  let isRead = true
  const leave = () => {
    isRead = false
  }
  out.on('error', leave).on('close', leave) // standard output is never destroyed: only its events report this
  for await (const part of writeParts(answer, isJson, out)) {
    if (!out.write(part)) await drained(out).catch(leave)
    if (!isRead) return
  }
}

/** Resolves when the output accepts more, or has closed. Removes its listeners. */
async function drained(out: Writable): Promise<void> {
  const turn = new AbortController()
  const { signal } = turn
  await Promise.race([once(out, 'drain', { signal }), once(out, 'close', { signal })]).finally(() => turn.abort())
}

function writeParts(
  answer: Answer | ListAnswer,
  isJson: boolean,
  out: Writable,
): AsyncIterable<string> | readonly string[] {
  if ('pages' in answer) return isJson ? writeArray(answer) : writeTable(answer, out)
  return [`${isJson ? JSON.stringify(answer.json) : answer.text}\n`]
}

/** Writes one row a line, so that the list can end at any line when the reader leaves. */
async function* writeArray({ pages }: ListAnswer): AsyncGenerator<string> {
  let before = '['
  for await (const page of pages) {
    if (page.length === 0) continue
    yield before + page.map(({ json }) => JSON.stringify(json)).join(',\n')
    before = ',\n'
  }
  yield before === '[' ? '[]\n' : ']\n'
}

/** Writes rows under a heading. The first page sets the widths of the columns; later rows may be wider. */
async function* writeTable({ heading, pages }: ListAnswer, out: Writable): AsyncGenerator<string> {
  let widths: number[] | null = null
  const line = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join('  ')
  for await (const page of pages) {
    const rows = page.map(({ cells }) => cells)
    const isFirst = widths === null
    widths ??= heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
    if (isFirst) yield `${accent(line(heading).trimEnd(), out)}\n`
    yield rows.map((cells) => `${line(cells).trimEnd()}\n`).join('')
  }
}

/** Describes the rows of a list lazily, page by page. */
export async function* describePages<Row>(
  pages: AsyncIterable<readonly Row[]>,
  describe: (row: Row) => ListedRow,
): AsyncGenerator<readonly ListedRow[]> {
  for await (const page of pages) yield page.map(describe)
}
