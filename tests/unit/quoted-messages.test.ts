// The operations pages quote the program, so that an operator finds a page by what the program says.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string) => readFileSync(`${repository}${file}`, 'utf8')

/** Where Node's words come from: no source of ours has them. */
const wordsOfNode = 'listen EADDRINUSE: address already in use'

const sources = readdirSync(`${repository}src`, { recursive: true, encoding: 'utf8' }).filter((name) =>
  /\.c?ts$/.test(name),
)
const program = [wordsOfNode, ...sources.map((name) => read(`src/${name}`))]
  .join('\n')
  .replaceAll(/['`]\s*\+\s*['`]/g, '') // a text over several lines
  .replaceAll(/\\(['`])/g, '$1')
  .replaceAll(/\$\{[^}]*\}/g, '…')

/** The quotes in the columns whose heading says that they quote the program. */
function readQuotes(page: string): string[] {
  const tables = read(page).match(/(^\|.*\n)+/gm) ?? []
  return tables.flatMap((table) => {
    const [heading = [], , ...rows] = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
    const column = heading.findIndex((cell) => quoting.test(cell))
    const cells = rows.map((row) => row[column] ?? '')
    return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, quote = '']) => quote))
  })
}

const quoting = /^(it says|log line|`msg` begins|`reason`)$/

/** What the program puts together from two texts. */
const composed: Record<string, readonly string[]> = {
  'database away': ['database …', "'away'"],
  'database away: …': ['database …: ', "'away'"],
  'closing after SIGTERM': ['closing after …', "'SIGTERM'"],
  'dialect closed: disabled client': ['dialect closed: …', "'disabled client'"],
  'token expired': ['token …', "'expired'"],
  'token superseded': ['token …', "'superseded'"],
  'token revoked': ['token …', "'revoked'"],
  'token unknown': ['token …', "'unknown'"],
  'the database is too new for this version of fastify-password-grant': [
    'the database is …',
    "'too new for this version of fastify-password-grant'",
  ],
  'ENCRYPTION_KEY: expected': ['…: expected', 'ENCRYPTION_KEY:'],
}

/** What a quote has between the places of names and numbers. */
function readPieces(quote: string): readonly string[] {
  const pieces = composed[quote] ?? quote.split('…').map((piece) => piece.trim())
  return pieces.filter((piece) => piece.length > 2)
}

const pages = ['docs/operations/log.md', 'docs/operations/health.md', 'docs/operations/runbook.md']

describe.each(pages)('%s quotes what the program says', (page) => {
  const quotes = readQuotes(page)

  test('in its tables', () => {
    expect(quotes.length).toBeGreaterThan(2)
  })

  test.each(quotes)('%s', (quote) => {
    expect(readPieces(quote).filter((piece) => !program.includes(piece))).toEqual([])
  })
})

test('each event of a log line in docs/operations/log.md has a row in its tables', () => {
  const log = read('docs/operations/log.md')
  const events = [...log.matchAll(/^\{.*"event":"([\w-]+)"/gm)].map(([, event]) => event)
  expect(new Set(events).size).toBeGreaterThan(10)
  for (const event of events) expect(log).toContain(`\n| \`${event}\` |`)
})

test('each event that the program logs has a row in docs/operations/log.md', () => {
  const named = [...program.matchAll(/\bevent: '([\w-]+)'/g)].map(([, event = '']) => event)
  expect(new Set(named).size).toBeGreaterThan(10)
  const log = read('docs/operations/log.md')
  for (const event of named) expect(log).toContain(`| \`${event}\` |`)
})
