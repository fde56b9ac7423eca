import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from './cluster.ts'
import { errorCode } from './error-code.ts'
import { removeStaleLocks, type Start, startPostmaster, stopPostmaster } from './postmaster.ts'
import { readPostmaster } from './running.ts'

/** A connection whose shared lock marks the cluster as in use. */
export interface Keeper {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<unknown>
  /** Disconnects, and stops PostgreSQL unless another process uses the cluster. Rejects when the connection is lost. */
  leave(): Promise<void>
  /** Turns a shutdown that waits for all clients, this one included, into one that does not wait. */
  hastenStop(): Promise<void>
}

const patienceMs = 30_000
// a server must close within 10 s; recovery from a killed backend takes 4 s on a busy machine
const leavingPatienceMs = 8_000

/**
 * Joins the PostgreSQL on the cluster, and starts it when none runs. Rejects with Error, which contains PostgreSQL's
 * last log lines, when that takes more than 30 seconds or PostgreSQL gives up. After `leaving` aborts, starts no
 * PostgreSQL and rejects within 8 seconds; still joins one that is starting or recovering, so that the caller can stop
 * it. Stops its own PostgreSQL if that does not answer by then.
 */
export async function enterCluster(cluster: Cluster, host: string, leaving: AbortSignal): Promise<Keeper> {
  let start: Start | null = null
  let endsAt = Date.now() + (leaving.aborted ? leavingPatienceMs : patienceMs)
  const hasten = () => {
    endsAt = Math.min(endsAt, Date.now() + leavingPatienceMs)
  }
  leaving.addEventListener('abort', hasten)
  try {
    for (const began = Date.now(); ; ) {
      const joined = await joinCluster(cluster, host).catch((error: unknown) => ({ error }))
      if (!('error' in joined)) return joined
      if (!isPassing(joined.error)) throw refuseEntry(cluster, 'cannot be opened', joined.error)
      if (start?.hasEnded()) start = await giveUp(cluster, start)
      if (Date.now() > endsAt) {
        if (leaving.aborted) start?.stop()
        throw await losePatience(cluster, start, joined.error)
      }
      if (!start && nobodyListens(joined.error)) {
        leaving.throwIfAborted()
        start = await startPostmaster(cluster).catch((cause: unknown) => {
          throw refuseEntry(cluster, 'cannot be started', cause)
        })
      }
      await sleep(Math.min(10 + (Date.now() - began) / 20, 200)) // each try is a line in PostgreSQL's log
    }
  } finally {
    leaving.removeEventListener('abort', hasten)
    await start?.forget()
  }
}

async function joinCluster(cluster: Cluster, host: string): Promise<Keeper> {
  const client = new pg.Client({ ...keeperConnection, host })
  client.on('error', () => undefined) // 'end' follows and is handled
  const ended = new Promise((resolve) => client.once('end', resolve))
  try {
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    await client.query('select pg_advisory_lock_shared($1, $2)', occupancy)
    // the last user's shutdown releases its lock, so this lock may come from a PostgreSQL that is stopping
    if ((await readPostmaster(cluster.path))?.isStopping) throw new Error('PostgreSQL is being stopped')
    return keeperOn(client, cluster, ended, rows[0]?.pid ?? 0)
  } catch (error) {
    client.end().catch(() => undefined)
    throw error
  }
}

// two numbers that no other program in this database is likely to use: "pwgr", and the first of its locks
const occupancy = [0x70776772, 1]

const keeperConnection = {
  options: '-c search_path=pg_catalog',
  port: 5432,
  user: 'postgres',
  database: 'postgres',
  ssl: false,
  application_name: 'password-grant keeper',
  connectionTimeoutMillis: 5_000,
  lock_timeout: 5_000,
  query_timeout: 10_000,
}

function keeperOn(client: pg.Client, { path }: Cluster, ended: Promise<unknown>, backendPid: number): Keeper {
  return {
    ended,
    leave: async () => {
      try {
        // unlock first: when several processes leave at once, their shared locks must not make the last one fail
        await client.query('select pg_advisory_unlock_shared($1, $2)', occupancy)
        const { rows } = await client.query('select pg_try_advisory_lock($1, $2) as "isLast"', occupancy)
        if (rows[0]?.isLast) await stopPostmaster(path, backendPid)
      } finally {
        await client.end()
      }
    },
    hastenStop: () => stopPostmaster(path, backendPid),
  }
}

/**
 * Recognizes the errors of a PostgreSQL that starts, stops or has no free connection. A retry cannot fix any other
 * error.
 */
function isPassing(error: unknown): boolean {
  const code = String(errorCode(error))
  if (error instanceof pg.DatabaseError) return /^(08|53|55P03|57)/.test(code)
  return !['EACCES', 'EPERM', 'EINVAL', 'ENAMETOOLONG'].includes(code)
}

function nobodyListens(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' || errorCode(error) === 'ECONNREFUSED'
}

const contention = ['" already exists', '" is empty', 'remove old lock file', 'shared memory block']

/**
 * Throws unless a retry can help: another start was faster, or the processes of a killed PostgreSQL are still ending.
 */
async function giveUp(cluster: Cluster, start: Start): Promise<null> {
  const log = await start.readLog()
  const isPassing = !start.hasFailed() || contention.some((words) => log.includes(words))
  if (!isPassing) throw refuseEntry(cluster, 'did not start', new Error(log))
  await start.forget()
  await removeStaleLocks(cluster.path)
  await sleep(50)
  return null
}

async function losePatience(cluster: Cluster, start: Start | null, cause: unknown): Promise<Error> {
  const log = await start?.readLog()
  const said = new Error([(cause as Error).message, log].filter(Boolean).join('\n'), { cause })
  return refuseEntry(cluster, `does not answer`, said)
}

function refuseEntry({ folder }: Cluster, what: string, cause: unknown): Error {
  return new Error(`The embedded database in ${folder} ${what}: ${(cause as Error).message}`, { cause })
}
