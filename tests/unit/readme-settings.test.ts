import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { variables } from '../../src/config.ts'

test("the README's table of settings is the one the code reads", () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const rows = readme.split('\n').filter((line) => /^\| `[A-Z0-9_]+` \|/.test(line))
  const expected = Object.entries(variables).map(([name, variable]) => {
    const fallback = (variable.schema as { default?: unknown }).default
    const words = 'defaultWords' in variable ? variable.defaultWords : fallback === undefined ? '–' : `\`${fallback}\``
    return `| \`${name}\` | ${words} | ${variable.meaning} | ${variable.expected} |`
  })
  expect(rows).toEqual(expected)
})
