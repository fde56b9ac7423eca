import { readdirSync, readFileSync } from 'node:fs'
import { SaxesParser } from 'saxes'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { findBlocks, readSnippets, type Snippet } from '../support/page-snippets.ts'
import { exceptions, fileLanguages, readLanguages, runLanguages, shownLanguages } from '../support/snippet-rules.ts'

const repository = new URL('../../', import.meta.url)
const snippets = readSnippets()
const cases = (languages: readonly string[]) =>
  snippets
    .filter(({ language }) => languages.includes(language))
    .map((snippet) => [`${snippet.pages.join(', ')}: ${snippet.text.split('\n', 1).join()}`, snippet] as const)

describe('every snippet of the documentation', () => {
  test('names a language that a rule speaks of', () => {
    const known = [...runLanguages, ...readLanguages, ...fileLanguages, ...shownLanguages]
    expect(snippets.filter(({ language }) => !known.includes(language))).toEqual([])
  })

  test.each(cases(readLanguages))('can be read by a parser: %s', (_where, snippet) => {
    expect(() => readSnippet(snippet)).not.toThrow()
  })

  test('of a configuration file is an excerpt of a file that other tests hold', () => {
    const files = listTestedFiles()
    const strange = cases(fileLanguages).filter(
      ([, { text }]) => !isExcepted(text) && !files.some((file) => squeeze(file).includes(squeeze(text))),
    )
    expect(strange).toEqual([])
  })

  test.each(exceptions)('that no test runs is listed once, for a reason: $mark', ({ mark, reason }) => {
    expect(snippets.filter(({ text }) => text.includes(mark))).toHaveLength(1)
    expect(reason.length).toBeGreaterThan(20)
  })
})

test('snippets are found under lists, in quotes and between longer fences', () => {
  const page =
    '- a list:\n\n  ```sh\n  one\n    two\n  ```\n\n> ```js\n> three()\n> ```\n\n````text\n```sh\nfour\n```\n````\n'
  expect(findBlocks(page)).toEqual([
    { language: 'sh', text: 'one\n  two\n' },
    { language: 'js', text: 'three()\n' },
    { language: 'text', text: '```sh\nfour\n```\n' },
  ])
})

/** Throws for a text that its parser cannot read. */
function readSnippet({ language, text }: Snippet): void {
  const readers: Record<string, () => unknown> = {
    json: () => JSON.parse(text),
    ndjson: () => text.trim().split('\n').map(readLine),
    xml: () => new SaxesParser({ xmlns: true }).write(text).close(),
    yaml: () => parse(text),
  }
  readers[language]?.()
}

const readLine = (line: string): unknown => JSON.parse(line)

const isExcepted = (text: string) => exceptions.some(({ mark }) => text.includes(mark))

/** As one line, so that an excerpt may be indented otherwise. */
const squeeze = (text: string) => text.replaceAll(/\s+/g, ' ').trim()

function listTestedFiles(): string[] {
  const examples = readdirSync(new URL('examples/', repository)).map((name) => `examples/${name}`)
  return [...examples, 'Dockerfile'].map((name) => readFileSync(new URL(name, repository), 'utf8'))
}
