import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readyCluster } from '../../src/database/embedded/cluster.ts'
import { readPostmaster, startPostmaster } from '../../src/database/embedded/postmaster.ts'
import { runOn } from './test-cluster.ts'
import { eventually } from './wire.ts'

/** A PostgreSQL of a test's own, which nobody looks after: it is there or away as the test says. */
export interface OwnCluster {
  readonly url: string
  /** Starts it; resolves when it answers. */
  start(): Promise<void>
  /** SIGINT is a fast shutdown, SIGQUIT an immediate one, SIGKILL a crash. Resolves when it is gone. */
  stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void>
  /** Whatever its state, it ends and goes. */
  remove(): Promise<void>
}

/** Makes one, not running, from the binaries of the embedded database. */
export async function makeCluster(): Promise<OwnCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'password-grant-own-'))
  const cluster = await readyCluster(folder)
  const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(cluster.path)}`
  const isAnswering = () =>
    runOn(url, ['select 1']).then(
      () => true,
      () => false,
    )

  async function start(): Promise<void> {
    // after a crash its own processes may take a moment to end, and until then it refuses to start
    await eventually(
      async () => {
        const started = await startPostmaster(cluster)
        await eventually(
          async () => started.hasEnded() || (await isAnswering()),
          (isDecided) => isDecided,
        )
        await started.forget()
        return !started.hasEnded()
      },
      (isRunning) => isRunning,
    )
  }

  async function stop(signal: NodeJS.Signals): Promise<void> {
    const pid = (await readPostmaster(cluster.path))?.pid
    if (pid === undefined) return
    process.kill(pid, signal)
    await eventually(async () => !isAlive(pid), Boolean)
  }

  return {
    url,
    start,
    stop,
    remove: async () => {
      await stop('SIGQUIT').catch(() => undefined) // killed already
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
