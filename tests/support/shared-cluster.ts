import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Cluster, dataFolder, environment, readyCluster } from '../../src/database/embedded/cluster.ts'

/** The PostgreSQL of a run. */
export interface SharedCluster {
  readonly url: string
  /** A copy of its cluster which has never run, for tests to copy again. */
  readonly madePath: string
  /** Ends it and leaves nothing behind. */
  remove(): Promise<void>
}

/** Enough for one file a worker; and a run that is cut off begins anew, so nothing need wait for the disk. */
const settings = [
  'listen_addresses=',
  'unix_socket_directories=.',
  'max_connections=200',
  'fsync=off',
  'full_page_writes=off',
  'jit=off',
]

/** Makes a cluster as the embedded database does, and starts it with settings of its own. It answers soon. */
export async function startSharedCluster(): Promise<SharedCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'password-grant-test-'))
  const cluster = await readyCluster(folder)
  const made = await mkdtemp(join(tmpdir(), 'password-grant-made-'))
  await promisify(execFile)('cp', ['-R', cluster.path, made])
  const postmaster = startPostgres(cluster)
  const ended = once(postmaster, 'exit')
  return {
    url: `postgres://postgres@localhost/postgres?host=${encodeURIComponent(cluster.path)}`,
    madePath: join(made, 'cluster'),
    remove: async () => {
      postmaster.kill('SIGQUIT') // at once: it goes anyway
      await ended
      for (const path of [folder, made]) await rm(path, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** In our process group, so that Ctrl-C reaches it too. */
function startPostgres({ path, account, binaries }: Cluster) {
  const flags = ['-D', dataFolder(path), ...settings.flatMap((setting) => ['-c', setting])]
  return spawn(join(binaries.native, 'bin', 'postgres'), flags, {
    ...account,
    cwd: path,
    env: environment,
    stdio: 'ignore',
  })
}
