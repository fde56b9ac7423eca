import { expect } from 'vitest'

/** Reads what a command printed with `--json`: one document on one line, or a list with a line for each row. */
// biome-ignore lint/suspicious/noExplicitAny: any command's answer; the tests say what it must be
export function readDocument(stdout: string): any {
  const document: unknown = JSON.parse(stdout)
  const rows = Array.isArray(document) ? document.map((row) => JSON.stringify(row)) : null
  expect(stdout).toBe(`${rows === null ? JSON.stringify(document) : `[${rows.join(',\n')}]`}\n`)
  return document
}
