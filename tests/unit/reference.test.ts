import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeApiPages } from '../../docs/generate/write-api-pages.ts'
import { writeCollection, writePages } from '../../docs/generate/write-pages.ts'

const reference = new URL('../../docs/reference/', import.meta.url)
const pages = Object.entries(await writePages())

// the message of a failure says what to run
test.each(pages)('docs/reference/%s is what npm run docs:reference writes', (name, page) => {
  expect(readFileSync(new URL(name, reference), 'utf8')).toBe(page)
})

test('the Postman collection is what npm run docs:reference writes', async () => {
  const collection = new URL('../../postman/fastify-password-grant.postman_collection.json', import.meta.url)
  expect(readFileSync(collection, 'utf8')).toBe(await writeCollection())
})

const scratch = mkdtempSync(join(tmpdir(), 'reference-'))
afterAll(() => rmSync(scratch, { recursive: true }))

test('docs/reference/api/ is what npm run docs:reference writes', { timeout: 120_000 }, async () => {
  await writeApiPages(join(scratch, 'api'))
  const written = readPages(join(scratch, 'api'))
  const kept = readPages(new URL('api/', reference).pathname)
  expect(Object.keys(kept)).toEqual(Object.keys(written))
  for (const [name, page] of Object.entries(written)) expect(kept[name], name).toBe(page)
})

test('the reference names no folder of the machine that wrote it', () => {
  const api = readPages(new URL('api/', reference).pathname)
  const text = [...pages.map(([, page]) => page), ...Object.values(api)].join()
  expect(text).not.toContain(new URL('../../', import.meta.url).pathname)
})

/** The pages of a folder, by their paths in it. */
function readPages(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}
