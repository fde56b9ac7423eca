import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Setting, settings } from '../../src/config/settings.ts'

test("the README's table of settings is the one the code reads", () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const rows = readme.split('\n').filter((line) => /^\| `[A-Z0-9_]+` \|/.test(line))
  const expected = Object.entries<Setting>(settings).map(([name, setting]) => {
    const words = setting.defaultWords ?? (setting.default === undefined ? '–' : `\`${setting.default}\``)
    return `| \`${name}\` | ${words} | ${setting.meaning} | ${setting.expected} |`
  })
  expect(rows).toEqual(expected)
})
