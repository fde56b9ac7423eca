import { readdirSync, readFileSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

/** A folder says what its tests need: nothing, a database, several connections, whole processes. */
const folders = { unit: 30, http: 90, postgres: 180, e2e: 240 } as const
type Folder = keyof typeof folders

/**
 * The first line of a file may say when it runs. `// Trial: <why>` takes long: it runs in `npm run test:trials` alone.
 * `// Any PostgreSQL: <why>` tells nothing more on a server: `npm run test:server`, which repeats the others, omits it.
 */
function runsIn(mode: string, folder: Folder, file: string): boolean {
  const [, note] = /^\/\/ (Trial|Any PostgreSQL): \S/.exec(readFileSync(file, 'utf8')) ?? []
  if (note === 'Trial' || mode === 'trials') return note === 'Trial' && mode === 'trials'
  return mode !== 'server' || (note !== 'Any PostgreSQL' && folder !== 'unit')
}

/** The timeouts only tell that a test hangs; a busy machine takes several times as long as a quiet one. */
const project = (mode: string, folder: Folder) => {
  const files = readdirSync(`tests/${folder}`).map((name) => `tests/${folder}/${name}`)
  return {
    test: {
      name: folder,
      include: [`tests/${folder}/*.test.ts`],
      exclude: files.filter((file) => file.endsWith('.test.ts') && !runsIn(mode, folder, file)),
      testTimeout: folders[folder] * 1000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 30_000 } },
      isolate: false,
      ...(folder === 'unit' ? {} : { setupFiles: 'tests/support/around-each-file.ts' }),
    },
  }
}

export default defineConfig(({ mode }) => ({
  test: {
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: `coverage/${mode}.json` }]] : ['default'],
    maxWorkers: 2, // more would want more connections than PostgreSQL has
    globalSetup: 'tests/support/test-cluster.ts', // one PostgreSQL for all of them
    projects: (Object.keys(folders) as Folder[]).map((folder) => project(mode, folder)),
  },
}))
