import { wrapText } from './wrap-text.ts'

/** Prints a text for people on standard error: standard output carries only the answer of a command. */
export function tell(text: string): void {
  process.stderr.write(`${wrapText(text, process.stderr)}\n`)
}
