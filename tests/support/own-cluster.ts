import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { readyCluster } from '../../src/database/embedded/cluster.ts'
import { startPostmaster } from '../../src/database/embedded/postmaster.ts'
import { readPostmaster } from '../../src/database/embedded/running.ts'
import { fillFolder } from './made-folder.ts'
import { isAnswering } from './test-cluster.ts'
import { eventually } from './wire.ts'

/** A PostgreSQL of one test, without a supervisor: the test starts and stops it. */
export interface OwnCluster {
  readonly url: string
  /** Its socket. */
  readonly socketPath: string
  /** Starts it; resolves when it answers. */
  start(): Promise<void>
  /** SIGINT is a fast shutdown, SIGQUIT an immediate one, SIGKILL a crash. Resolves when it is gone. */
  stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>
  /** All its processes stand still: connections stay, the system accepts new ones, and no process answers. */
  freeze(): Promise<void>
  /** They go on. */
  thaw(): void
  /** Stops it in any state and removes it. */
  remove(): Promise<void>
}

/** Makes one, not running, from the binaries of the embedded database. */
export async function makeCluster(): Promise<OwnCluster> {
  const folder = await fillFolder(await mkdtemp(join(tmpdir(), 'password-grant-own-')))
  const cluster = await readyCluster(folder)
  const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(cluster.path)}`

  async function start(): Promise<void> {
    // after a crash its own processes may take a moment to end, and until then it refuses to start
    await eventually(
      async () => {
        const started = await startPostmaster(cluster)
        await eventually(
          async () => started.hasEnded() || (await isAnswering(url)),
          (isDecided) => isDecided,
        )
        await started.forget()
        return !started.hasEnded()
      },
      (isRunning) => isRunning,
    )
  }

  let frozen: number[] = []

  async function freeze(): Promise<void> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const pid = (await readPostmaster(cluster.path))?.pid ?? 0
    process.kill(pid, 'SIGSTOP') // before its children are counted: from now on there are no new ones
    frozen = [pid]
    const { rows } = await client.query<{ pid: number }>(
      'select pid from pg_stat_activity where pid <> pg_backend_pid()',
    )
    await client.end()
    for (const child of rows) if (signalProcess(child.pid, 'SIGSTOP')) frozen.push(child.pid)
  }

  function thaw(): void {
    for (const pid of frozen.splice(0)) signalProcess(pid, 'SIGCONT')
  }

  async function stop(signal: NodeJS.Signals): Promise<void> {
    thaw()
    const pid = (await readPostmaster(cluster.path))?.pid
    if (pid === undefined) return
    process.kill(pid, signal)
    await eventually(async () => !signalProcess(pid, 0), Boolean)
  }

  return {
    url,
    socketPath: join(cluster.path, '.s.PGSQL.5432'),
    start,
    stop,
    freeze,
    thaw,
    remove: async () => {
      await stop('SIGQUIT').catch(() => undefined) // killed already
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** False when there is no such process any more. */
function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
