import { defineConfig } from 'vitest/config'

const project = (name: string, timeoutSeconds: number) => ({
  test: {
    name,
    include: [`tests/${name}/**/*.test.ts`],
    testTimeout: timeoutSeconds * 1000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    ...(name === 'unit' ? {} : { globalSetup: 'tests/support/test-cluster.ts' }),
  },
})

/** A test's folder says what it needs: nothing, a database, several connections, whole processes. */
export default defineConfig({
  test: {
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: 'coverage/tests.json' }]] : ['default'],
    maxWorkers: 2,
    projects: [project('unit', 10), project('http', 30), project('postgres', 60), project('e2e', 120)],
  },
})
