// Any PostgreSQL: asks which packages a process has loaded
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { startServer } from '../support/processes.ts'

/** Tells at the end, on standard error, what was loaded. */
const witness = `process.on('exit', () => process.stderr.write(JSON.stringify(Object.keys(require.cache))))`

let environment: Record<string, string>

beforeAll(async () => {
  const { database, url } = await freshDatabase()
  await database.close()
  const file = join(await temporaryFolder(), 'witness.cjs')
  await writeFile(file, witness)
  environment = { DATABASE_URL: url, NODE_OPTIONS: `--require ${file}` }
})

test.each([
  ['off', false],
  ['on', true],
])('DOCS=%s decides whether the packages of the page are loaded: %s', async (DOCS, areLoaded) => {
  const server = startServer({ environment: { ...environment, DOCS } })
  await server.ready
  server.signal('SIGTERM')
  expect(await server.exited).toBe(0)
  const loaded: string[] = JSON.parse(server.stderr())
  expect(loaded.some((path) => path.includes('@fastify/formbody'))).toBe(true)
  expect(loaded.some((path) => /@fastify\/(swagger|static)/.test(path))).toBe(areLoaded)
})
