import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { settings as known } from '../../src/config/settings.ts'
import { findBrokenLinks } from '../support/find-broken-links.ts'

/** OWASP ASVS 5.0.0, chapters 6, 7 and 10: by section, the level of each requirement in the order of their numbers. */
const asvsLevels: Readonly<Record<string, string>> = {
  '6.1': '122',
  '6.2': '111111112222',
  '6.3': '11223333',
  '6.4': '112233',
  '6.5': '22222333',
  '6.6': '2223',
  '6.7': '33',
  '6.8': '2222',
  '7.1': '222',
  '7.2': '1111',
  '7.3': '22',
  '7.4': '11222',
  '7.5': '223',
  '7.6': '22',
  '10.1': '22',
  '10.2': '223',
  '10.3': '22223',
  '10.4': '1111122222233333',
  '10.5': '22222',
  '10.6': '22',
  '10.7': '222',
}

const verdicts = ['met', 'not met', 'not applicable'] as const

/** A row of the ASVS tables: one requirement, or a run of a section's. */
interface Row {
  readonly ids: readonly string[]
  readonly level: string
  readonly requirement: string
  readonly verdict: string
  readonly why: string
}

const repository = fileURLToPath(new URL('../../', import.meta.url))
const asvs = read('docs/security/asvs.md')
const rows = [...asvs.matchAll(/^\| (\d+\.\d+\.\d+(?:-\d+\.\d+\.\d+)?) \|(.*)\|$/gm)].map(readRow)
const levels: ReadonlyMap<string, string> = new Map(
  Object.entries(asvsLevels).flatMap(([section, digits]) =>
    [...digits].map((level, index) => [`${section}.${index + 1}`, level] as const),
  ),
)

describe('docs/security/asvs.md on OWASP ASVS 5.0.0', () => {
  test('judges every requirement of chapters 6, 7 and 10 once, in the order of their numbers', () => {
    expect(rows.flatMap(({ ids }) => ids)).toEqual([...levels.keys()])
  })

  test('names the level of each', () => {
    for (const { ids, level } of rows) {
      const expected = [...new Set(ids.map((id) => levels.get(id)))].join(', ')
      expect([ids[0], level]).toEqual([ids[0], expected])
    }
  })

  test('says of each what is asked, one of three verdicts, and why', () => {
    for (const { ids, requirement, verdict, why } of rows) {
      expect(verdicts, ids[0]).toContain(verdict)
      for (const words of [requirement, why]) expect(words, ids[0]).toMatch(/\p{L}{2,}/u)
    }
  })

  test('takes several together only where none applies', () => {
    const together = rows.filter(({ ids }) => ids.length > 1)
    expect(together.filter(({ verdict }) => verdict !== 'not applicable')).toEqual([])
  })

  test('counts them right', () => {
    const counted = ['1', '2', '3'].map((level) => {
      const ofLevel = rows.flatMap(({ ids, verdict }) => ids.map((id) => ({ id, verdict }))).filter(isOf(level))
      const counts = verdicts.map((verdict) => ofLevel.filter((judged) => judged.verdict === verdict).length)
      return `| ${[level, ...counts].join(' | ')} |`
    })
    expect(asvs.match(/^\| [123] \|.*$/gm)).toEqual(counted)
  })
})

test('docs/security/threat-model.md names a test for each defence', () => {
  const defended = section('Defences').match(/^\| (?!Against|---).*\|$/gm) ?? []
  expect(defended.length).toBeGreaterThan(0)
  expect(defended.filter((row) => !/`tests\/[\w./-]+\.test\.ts`/.test(row.split(' | ').at(-1) ?? ''))).toEqual([])
})

test('the security pages name no setting that the server does not read', () => {
  const settings = securityPages().flatMap((path) => named(read(path), /(?<=`)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?=[`=])/g))
  expect(settings.length).toBeGreaterThan(0)
  expect(settings.filter((name) => !(name in known))).toEqual([])
})

test('SECURITY.md has at most 40 lines', () => {
  expect(read('SECURITY.md').trimEnd().split('\n').length).toBeLessThanOrEqual(40)
})

describe.each(securityPages())('%s', (path) => {
  const page = read(path)

  test('names no test that is not there', () => {
    expect(named(page, /\btests\/[\w./-]+/g).filter((file) => !existsSync(join(repository, file)))).toEqual([])
  })

  test('has only links to files and headings that exist', () => {
    expect(findBrokenLinks(repository, [path])).toEqual([])
  })
})

function securityPages(): string[] {
  const pages = readdirSync(join(repository, 'docs/security')).filter((name) => name.endsWith('.md'))
  return ['SECURITY.md', ...pages.map((name) => `docs/security/${name}`)]
}

function read(path: string): string {
  return readFileSync(join(repository, path), 'utf8')
}

function readRow([, numbers = '', rest = '']: RegExpMatchArray): Row {
  const [first = '', last = first] = numbers.split('-')
  const [level = '', requirement = '', verdict = '', why = ''] = rest.split('|').map((cell) => cell.trim())
  return { ids: runOf(first, last), level, requirement, verdict, why }
}

/** From the first to the last, which are of one section. */
function runOf(first: string, last: string): string[] {
  const [from, to] = [first, last].map((id) => Number(id.split('.')[2])) as [number, number]
  const prefix = first.slice(0, first.lastIndexOf('.'))
  if (!last.startsWith(`${prefix}.`)) return [`${first}-${last}`]
  return Array.from({ length: to - from + 1 }, (_, index) => `${prefix}.${from + index}`)
}

function isOf(level: string): (judged: { readonly id: string }) => boolean {
  return ({ id }) => levels.get(id) === level
}

/** Everything on the page that matches, once. */
function named(page: string, pattern: RegExp): string[] {
  return [...new Set(page.match(pattern) ?? [])]
}

function section(heading: string): string {
  const sections = read('docs/security/threat-model.md').split(/^## /m)
  return sections.find((text) => text.startsWith(heading)) ?? ''
}
