import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { startSharedCluster } from './shared-cluster.ts'
import { eventually } from './wire.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The server the suite runs on, as the URL of its maintenance database. */
    clusterUrl: string
    /** A migrated database to copy. */
    template: string
    /** The cluster of an embedded database to copy, which has never run; null where the suite runs on a given server. */
    madeCluster: string | null
  }
}

/**
 * The PostgreSQL of this run: TEST_DATABASE_URL, else one in a folder that goes with the run.
 * Leaves nothing behind on either.
 */
export default async function setUpCluster(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return undefined // they need none
  const given = process.env['TEST_DATABASE_URL'] || null
  const shared = given === null ? await startSharedCluster() : null
  const clusterUrl = given ?? shared?.url ?? ''
  const prefix = `password_grant_test_${process.pid}_${Date.now()}`
  const template = `${prefix}_template`

  if (shared !== null) await eventually(() => isAnswering(clusterUrl), Boolean)
  await runOn(clusterUrl, [`create database ${template}`])
  const database = await openDatabase(databaseUrl(clusterUrl, template))
  await migrate(database)
  await database.close()
  project.provide('clusterUrl', clusterUrl)
  project.provide('template', template)
  project.provide('madeCluster', shared?.madePath ?? null)

  return () => shared?.remove() ?? dropDatabases(clusterUrl, prefix)
}

/** Whether a PostgreSQL takes statements. */
export function isAnswering(url: string): Promise<boolean> {
  return runOn(url, ['select 1']).then(
    () => true,
    () => false,
  )
}

async function dropDatabases(clusterUrl: string, prefix: string): Promise<void> {
  const names = await runOn(clusterUrl, [`select datname as name from pg_database where datname like '${prefix}%'`])
  await runOn(
    clusterUrl,
    names.map(({ name }) => `drop database if exists ${name} with (force)`),
  )
}

/** The URL of another database of the same server. */
export function databaseUrl(clusterUrl: string, name: string): string {
  const url = new URL(clusterUrl)
  url.pathname = `/${name}`
  return url.href
}

/** Runs statements one by one on a connection of their own; returns the last one's rows. */
export async function runOn(url: string, statements: readonly string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}

/** Our sessions in a database that meet a condition. */
export async function countSessions(url: string, condition: string): Promise<number> {
  const [row] = await runOn(url, [
    `select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and application_name = 'password-grant' and ${condition}`,
  ])
  return row?.['count'] as number
}
