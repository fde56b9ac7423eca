import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { commandTimeouts, type Timeouts } from '../../src/database/timeouts.ts'
import { databaseUrl, runOn } from './test-cluster.ts'

/** As patient as an operator, and with queued callers too: no promise here is about the speed of a machine. */
export const patience: Timeouts = { ...commandTimeouts, connectionMs: 60_000 }

/**
 * A database of one test file's own: a copy of the migrated template, or an empty one. It is patient, since tests hold
 * locks for as long as their machine needs.
 */
export async function freshDatabase({ isMigrated = true } = {}): Promise<{ database: Database; url: string }> {
  const template = inject('template')
  const name = `${template.replace(/_template$/, '')}_${randomBytes(6).toString('hex')}`
  const clusterUrl = inject('clusterUrl')
  await runOn(clusterUrl, [`create database ${name} ${isMigrated ? `template ${template}` : ''}`])
  const url = databaseUrl(clusterUrl, name)
  const database = await openDatabase(url, { timeouts: patience })
  opened.push(database)
  return { database, url }
}

const opened: Database[] = []

/** Closes the databases of a test file that it has left open: all files share the connections of one PostgreSQL. */
export async function closeDatabases(): Promise<void> {
  await Promise.all(opened.splice(0).map((database) => database.close()))
}
