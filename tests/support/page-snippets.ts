import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/** A fenced block of the documentation. One that several pages show counts as one. */
export interface Snippet {
  readonly language: string
  readonly text: string
  /** The pages that show it. */
  readonly pages: readonly string[]
}

/** Lists the pages whose snippets are tested: the README and `docs/`, without the pages that TypeDoc writes. */
export function listPages(): string[] {
  const pages = readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('docs', name))
    .filter((name) => name.endsWith('.md') && !/\/(api|node_modules)\//.test(name))
  return ['README.md', ...pages.sort()]
}

/** Reads the snippets of all pages. */
export function readSnippets(pages: readonly string[] = listPages()): Snippet[] {
  const snippets = new Map<string, Snippet>()
  for (const page of pages) {
    for (const { language, text } of findBlocks(readFileSync(join(repository, page), 'utf8'))) {
      const key = `${language}\n${text}`
      snippets.set(key, { language, text, pages: [...(snippets.get(key)?.pages ?? []), page] })
    }
  }
  return [...snippets.values()]
}

/** Finds the fenced blocks of a page, also those indented under a list, quoted, or fenced with more than three signs. */
export function findBlocks(page: string): Pick<Snippet, 'language' | 'text'>[] {
  const fence = /^([ >]*)(`{3,}|~{3,})[ \t]*([\w-]*).*\n([\s\S]*?)^\1\2[ \t]*$/gm
  return [...page.matchAll(fence)].map(([, indent = '', , language = '', body = '']) => ({
    language,
    text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** The snippets that other tests take from a page of `docs/`, with `readSnippet(page, mark)`. */
export function listTaken(): { page: string; mark: string }[] {
  const tests = join(repository, 'tests')
  return readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .flatMap((name) => [...readFileSync(join(tests, name), 'utf8').matchAll(taking)])
    .map(([, page = '', mark = '']) => ({ page: join('docs', page), mark }))
}

const taking = /\breadSnippet\('([^']+)', '([^']+)'\)/g

/** Snippets that a test tries one after the other. */
export class SnippetTrial {
  readonly #snippets: readonly Snippet[]
  readonly #tried = new Set<Snippet>()

  constructor(snippets: readonly Snippet[]) {
    this.#snippets = snippets
  }

  /** The text of the one snippet that holds `mark`, which then counts as tried. */
  take(mark: string): string {
    const [snippet, ...others] = this.#snippets.filter(({ text }) => text.includes(mark))
    if (snippet === undefined) throw new Error(`no snippet has ${mark}`)
    expect(others, `more snippets with ${mark}`).toEqual([])
    this.#tried.add(snippet)
    return snippet.text
  }

  /** The snippets that no test has taken. */
  findUntried(): Snippet[] {
    return this.#snippets.filter((snippet) => !this.#tried.has(snippet))
  }
}
