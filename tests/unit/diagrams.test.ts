import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

test('the diagram of the modules names every folder and file in src/', () => {
  const diagram = readFileSync(new URL('../../docs/diagrams/modules.svg', import.meta.url), 'utf8')
  const words = [...diagram.matchAll(/>([^<>]+)<\/text>/g)].flatMap(([, text]) => text?.split(/[^\w-]+/) ?? [])
  const modules = readdirSync(new URL('../../src/', import.meta.url)).map((name) => name.replace(/\.c?ts$/, ''))
  expect(modules.filter((name) => !words.includes(name))).toEqual([])
})
