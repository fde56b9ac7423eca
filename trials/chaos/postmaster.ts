import { setTimeout as sleep } from 'node:timers/promises'
import { embeddedUrl, onDatabase } from '../../bench/support/cluster.ts'
import { importBuilt } from '../../bench/support/place.ts'
import { findChildren } from '../../bench/support/proc.ts'
import type { Room } from '../../bench/support/room.ts'
import { findPostmaster, hasEnded, signal } from './processes.ts'
import type { Random } from './random.ts'

/** The ways to hit PostgreSQL. */
export const postgresKills = [
  'PostgreSQL SIGKILL',
  'PostgreSQL SIGKILL, all its processes',
  'PostgreSQL backend SIGKILL',
  'PostgreSQL SIGQUIT',
  'PostgreSQL SIGINT',
  'PostgreSQL SIGSTOP',
] as const
export type PostgresKill = (typeof postgresKills)[number]

/** A PostgreSQL that can be hit. */
export interface Postgres {
  readonly url: string
  /** Starts it, unless a server does that itself. Resolves when it answers. */
  start(): Promise<void>
  /** Hits it. Resolves after the hit, including the thaw of a freeze, or with false if it was not running. */
  hit(kill: PostgresKill, random: Random): Promise<boolean>
  /** Tells whether a postmaster is running. */
  isThere(): Promise<boolean>
}

const patienceMs = 60_000

interface Cluster {
  readonly path: string
}

interface Start {
  hasEnded(): boolean
  forget(): Promise<void>
}

/** Creates a PostgreSQL that only the trial starts, in a folder of its own. Like the embedded one, it writes durably. */
export async function makePostgres(room: Room, folder: string): Promise<Postgres> {
  const { readyCluster } = await importBuilt<{ readyCluster(folder: string): Promise<Cluster> }>(
    'database/embedded/cluster.js',
  )
  type Built = { startPostmaster(cluster: Cluster): Promise<Start> }
  const { startPostmaster } = await importBuilt<Built>('database/embedded/postmaster.js')
  const cluster = await readyCluster(folder)
  const postgres = reachPostgres(room, folder)
  let isOver = false
  room.atEnd(async () => {
    isOver = true
  })

  async function startOnce(): Promise<boolean> {
    const started = await startPostmaster(cluster)
    const began = performance.now()
    while (!started.hasEnded() && !(await isAnswering(postgres.url))) {
      if (isOver || performance.now() - began > patienceMs) break
      await sleep(20)
    }
    await started.forget()
    return !started.hasEnded()
  }

  return {
    ...postgres,
    start: async () => {
      // after a crash it refuses to start until the processes of the previous one have ended
      for (const began = performance.now(); !isOver && !(await startOnce()); await sleep(50)) {
        if (performance.now() - began > patienceMs) throw new Error('PostgreSQL does not start')
      }
    },
  }
}

/** Creates a handle on the PostgreSQL of an embedded folder, which its servers start and stop. */
export function reachPostgres(room: Room, folder: string): Postgres {
  const url = embeddedUrl(folder)
  const path = `${folder}/cluster`
  const frozen = new Set<number>()
  const thaw = () => {
    for (const pid of frozen) signal(pid, 'SIGCONT')
    frozen.clear()
  }
  room.atEnd(async () => {
    thaw()
    await endPostmaster(path)
  })

  async function freeze(postmaster: number, ms: number): Promise<void> {
    const freezeOne = (pid: number) => {
      frozen.add(pid)
      signal(pid, 'SIGSTOP')
    }
    freezeOne(postmaster) // a frozen postmaster starts no new children
    for (const child of await findChildren(postmaster)) freezeOne(child)
    await sleep(ms)
    thaw()
  }

  return {
    url,
    start: async () => undefined,
    isThere: async () => (await findPostmaster(path)) !== null,
    hit: async (kill, random) => {
      const postmaster = await findPostmaster(path)
      if (postmaster === null) return false
      const children = await findChildren(postmaster)
      switch (kill) {
        case 'PostgreSQL SIGSTOP':
          await freeze(postmaster, random.between(200, 3_000))
          return true
        case 'PostgreSQL backend SIGKILL': {
          const backend = await findBackend(url)
          if (backend === null || !children.includes(backend)) return false
          signal(backend, 'SIGKILL')
          return true
        }
        case 'PostgreSQL SIGKILL, all its processes':
          for (const pid of [postmaster, ...children]) signal(pid, 'SIGKILL')
          break
        default:
          signal(postmaster, (/SIG\w+/.exec(kill)?.[0] ?? 'SIGKILL') as NodeJS.Signals)
      }
      if (!(await hasEnded(postmaster, 20_000))) signal(postmaster, 'SIGKILL')
      return true
    },
  }
}

/** Finds a process that serves a connection of one of the servers. */
async function findBackend(url: string): Promise<number | null> {
  const text = `select pid from pg_stat_activity where application_name = 'password-grant' order by random() limit 1`
  const rows = await onDatabase(url, (client) => client.query<{ pid: number }>(text)).catch(() => null)
  return rows?.rows[0]?.pid ?? null
}

async function isAnswering(url: string): Promise<boolean> {
  return onDatabase(url, (client) => client.query('select 1')).then(
    () => true,
    () => false,
  )
}

async function endPostmaster(path: string): Promise<void> {
  const pid = await findPostmaster(path).catch(() => null)
  if (pid === null) return
  const children = await findChildren(pid)
  signal(pid, 'SIGQUIT')
  if (await hasEnded(pid, 10_000)) return
  for (const one of [pid, ...children]) signal(one, 'SIGKILL')
}
