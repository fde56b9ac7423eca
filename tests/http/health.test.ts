import Fastify from 'fastify'
import { afterAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { createReadinessCheck } from '../../src/database/readiness.ts'
import { healthRoute } from '../../src/http/routes/health-route.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { readSnippet } from '../support/read-snippet.ts'
import { testServer } from '../support/test-server.ts'

const { app } = await testServer()

/** The health routes on a database of some kind. */
function healthOn(database: Database) {
  const app = Fastify()
  app.register(healthRoute, { findProblem: createReadinessCheck(database.lookups) })
  afterAll(async () => {
    await app.close()
    await database.close()
  })
  return app
}

describe('health', () => {
  test('is live and ready on a migrated database, and is not cached', async () => {
    const live = await app.inject({ url: '/health/live' })
    const ready = await app.inject({ url: '/health/ready' })
    expect([live.statusCode, live.json()]).toEqual([200, { status: 'live' }])
    expect([ready.statusCode, ready.json()]).toEqual([200, { status: 'ready' }])
    for (const { headers } of [live, ready]) {
      expect(headers['cache-control']).toBe('no-store')
      expect(headers['content-type']).toBe('application/json; charset=utf-8')
    }
  })

  test('is live but not ready before the database is migrated, and ready after it, without a restart', async () => {
    const { database } = await freshDatabase({ isMigrated: false })
    const health = healthOn(database)
    const before = await health.inject({ url: '/health/ready' })
    expect([before.statusCode, before.json()]).toEqual([
      503,
      { status: 'not ready', reason: 'the database is not migrated' },
    ])
    expect(before.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(before.headers['cache-control']).toBe('no-store')
    expect((await health.inject({ url: '/health/live' })).statusCode).toBe(200)
    await migrate(database)
    expect((await health.inject({ url: '/health/ready' })).json()).toEqual({ status: 'ready' })
  })

  test('is not ready on a database made by a newer version that refuses this one', async () => {
    const { database } = await freshDatabase()
    const health = healthOn(database)
    await database.script('update password_grant.compatibility set oldest_code = 1000000')
    const response = await health.inject({ url: '/health/ready' })
    expect(response.statusCode).toBe(503)
    expect(response.json().reason).toBe('the database is too new for this version of fastify-password-grant')
  })

  test('is live but not ready while the database is away, and hides the address of the database', async () => {
    const health = healthOn(await openDatabase('postgres://someone:sesame@127.0.0.1:1/none'))
    const ready = await health.inject({ url: '/health/ready' })
    expect([ready.statusCode, `${ready.body}\n`]).toEqual([503, readSnippet('operations/health.md', 'not ready')])
    expect((await health.inject({ url: '/health/live' })).statusCode).toBe(200)
  })

  test('answers HEAD for load balancers', async () => {
    expect((await app.inject({ method: 'HEAD', url: '/health/live' })).statusCode).toBe(200)
    expect((await app.inject({ method: 'HEAD', url: '/health/ready' })).statusCode).toBe(200)
  })
})
