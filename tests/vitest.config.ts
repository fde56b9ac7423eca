import { defineConfig } from 'vitest/config'

const project = (name: string, timeoutSeconds: number) => ({
  test: {
    name,
    include: [`tests/${name}/**/*.test.ts`],
    testTimeout: timeoutSeconds * 1000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    ...(name === 'unit' ? {} : { globalSetup: 'tests/support/test-cluster.ts' }),
  },
})

/**
 * A test's folder says what it needs: nothing, a database, several connections, whole processes. The timeouts only tell that
 * a test hangs; a busy machine takes several times as long as a quiet one.
 */
export default defineConfig({
  test: {
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: 'coverage/tests.json' }]] : ['default'],
    maxWorkers: 2,
    projects: [project('unit', 30), project('http', 90), project('postgres', 180), project('e2e', 240)],
  },
})
