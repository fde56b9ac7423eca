import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const folder = new URL('../../docs/decisions/', import.meta.url)
const files = readdirSync(folder)
  .filter((name) => name !== 'README.md')
  .sort()

test('decisions are numbered without a gap', () => {
  expect(files.map((name) => Number(name.slice(0, 4)))).toEqual(files.map((_name, index) => index + 1))
})

test('the index lists every decision once, with its number and title', () => {
  const lines = read('README.md').match(/^\| \d+ \|.*$/gm) ?? []
  const expected = files.map((name) => `| ${Number(name.slice(0, 4))} | [${titleOf(name)}](${name}) |`)
  expect(lines.sort()).toEqual(expected.sort())
})

describe.each(files)('%s', (name) => {
  test('has its number in the title, and its sections in the usual order', () => {
    const page = read(name)
    expect(page).toMatch(new RegExp(`^# ${Number(name.slice(0, 4))}\\. \\S`))
    const sections = [...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
    const usual = ['Context', 'Decision', 'Consequences']
    expect([usual, [...usual, 'Figures']]).toContainEqual(sections)
  })
})

function titleOf(name: string): string {
  return /^# \d+\. (.*)$/m.exec(read(name))?.[1] ?? ''
}

function read(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8')
}
