import { readFileSync } from 'node:fs'
import { findBlocks } from './page-snippets.ts'

/** Returns the one code block of a page of `docs/` that holds `mark`. Throws Error when there is none or more than one. */
export function readSnippet(page: string, mark: string): string {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
  const [found, another] = findBlocks(text).filter((block) => block.text.includes(mark))
  if (found === undefined || another !== undefined) throw new Error(`docs/${page}: not one code block with ${mark}`)
  return found.text
}
