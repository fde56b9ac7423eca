import type { Writable } from 'node:stream'
import { Help } from 'commander'

const indentation = 2

/**
 * Wraps text at the width of a terminal, and indents the continuation of an indented line. Never breaks a word, such as
 * a URL. Returns text for any other stream unchanged, so that programs can search it line by line.
 */
export function wrapText(text: string, stream: Writable & { readonly columns?: number }): string {
  const { columns } = stream
  if (columns === undefined) return text
  return text
    .split('\n')
    .map((line) => wrapLine(line, columns))
    .join('\n')
}

function wrapLine(line: string, columns: number): string {
  const indent = /^ */.exec(line)?.[0] ?? ''
  const hanging = indent === '' ? '' : indent + ' '.repeat(indentation)
  const wrapped = new Help().boxWrap(line.slice(indent.length), columns - hanging.length)
  return indent + wrapped.replaceAll('\n', `\n${hanging}`)
}
