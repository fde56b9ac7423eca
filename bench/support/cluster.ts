import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { makeFolder } from './children.ts'
import { importBuilt } from './place.ts'
import type { Room } from './room.ts'

/** The PostgreSQL of the bench: its own, or the one at BENCH_DATABASE_URL. */
export interface Cluster {
  readonly isEmbedded: boolean
  /** Creates an empty database, which is dropped at the end, and returns its URL. */
  createDatabase(room: Room): Promise<string>
}

/** Opens BENCH_DATABASE_URL, or else an embedded PostgreSQL in a folder that is removed after the run. */
export async function openCluster(room: Room): Promise<Cluster> {
  const given = process.env['BENCH_DATABASE_URL']
  const url = given ?? (await openEmbedded(room))
  let count = 0
  return {
    isEmbedded: !given,
    createDatabase: async (inner) => {
      count += 1
      const name = `password_grant_bench_${process.pid}_${count}`
      await onDatabase(url, (client) => client.query(`create database ${name}`))
      inner.atEnd(() => onDatabase(url, (client) => client.query(`drop database if exists ${name} with (force)`)))
      const database = new URL(url)
      database.pathname = `/${name}`
      return database.href
    },
  }
}

async function openEmbedded(room: Room): Promise<string> {
  const folder = join(await makeFolder(room), 'database')
  type Built = { openEmbedded(options: { folder: string }): Promise<{ close(): Promise<void> }> }
  const database = await (await importBuilt<Built>('database/embedded/embedded.js')).openEmbedded({ folder })
  room.atEnd(database.close)
  return embeddedUrl(folder)
}

/** Returns the URL of the database in an embedded folder, for connections without the product. */
export function embeddedUrl(folder: string): string {
  return `postgres://postgres@localhost/postgres?host=${encodeURIComponent(join(folder, 'cluster'))}`
}

/** Runs `work` on a new connection. */
export async function onDatabase<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Finds the process id of the PostgreSQL at a URL. Rejects if it does not run on this machine. */
export async function findPostmaster(url: string): Promise<number> {
  const text = `select split_part(pg_read_file('postmaster.pid'), chr(10), 1)::integer as pid`
  const { rows } = await onDatabase(url, (client) => client.query<{ pid: number }>(text))
  const pid = rows[0]?.pid ?? 0
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
  if (!name.startsWith('postgres')) throw new Error('this measurement needs a PostgreSQL on this machine')
  return pid
}
