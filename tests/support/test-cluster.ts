import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { readyCluster } from '../../src/database/embedded/cluster.ts'
import { openEmbedded } from '../../src/database/embedded/embedded.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/postgres.ts'

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
 * The PostgreSQL of this run: TEST_DATABASE_URL, else an embedded one in a folder that goes with the run.
 * Leaves nothing behind on either.
 */
export default async function setUpCluster(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return undefined // they need none
  const given = process.env['TEST_DATABASE_URL'] || null
  const folder = given !== null ? null : await mkdtemp(join(tmpdir(), 'password-grant-test-'))
  const madeCluster = folder === null ? null : await keepMadeCluster(folder)
  const embedded = folder === null ? null : await openEmbedded({ folder })
  const clusterUrl = given ?? `postgres://postgres@localhost/postgres?host=${encodeURIComponent(`${folder}/cluster`)}`
  const prefix = `password_grant_test_${process.pid}_${Date.now()}`
  const template = `${prefix}_template`

  await runOn(clusterUrl, [`create database ${template}`])
  const database = await openDatabase(databaseUrl(clusterUrl, template))
  await migrate(database)
  await database.close()
  project.provide('clusterUrl', clusterUrl)
  project.provide('template', template)
  project.provide('madeCluster', madeCluster)

  return async () => {
    if (embedded === null || folder === null || madeCluster === null) return dropDatabases(clusterUrl, prefix)
    await embedded.close()
    await rm(folder, { recursive: true, force: true })
    await rm(dirname(madeCluster), { recursive: true, force: true })
  }
}

/** Makes the cluster in a folder, and a copy of it. */
async function keepMadeCluster(folder: string): Promise<string> {
  const { path } = await readyCluster(folder)
  const copy = join(await mkdtemp(`${folder}-made-`), 'cluster')
  await promisify(execFile)('cp', ['-R', path, copy])
  return copy
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

/** Sessions of ours in a database of which something holds. */
export async function countSessions(url: string, condition: string): Promise<number> {
  const [row] = await runOn(url, [
    `select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and application_name = 'password-grant' and ${condition}`,
  ])
  return row?.['count'] as number
}
