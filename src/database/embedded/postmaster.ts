import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, dataFolder, environment } from './cluster.ts'
import { readPostmaster, readProcess } from './running.ts'

/** A PostgreSQL that this process has started. */
export interface Start {
  hasEnded(): boolean
  /** Whether it ended by itself with an error. */
  hasFailed(): boolean
  /** Begins a shutdown, which continues without this process. */
  stop(): void
  /** Returns the last lines of its log. */
  readLog(): Promise<string>
  /** Closes its log file. Does not stop PostgreSQL. */
  forget(): Promise<void>
}

/** Passed on the command line, which no file in the cluster can override, so that every start is the same. */
const settings = [
  'listen_addresses=',
  'unix_socket_directories=.',
  'unix_socket_permissions=0700',
  'max_connections=100',
  'shared_buffers=64MB',
  'huge_pages=off',
  'jit=off',
  'io_method=sync',
  'max_parallel_workers_per_gather=0',
  'max_logical_replication_workers=0',
  'wal_level=minimal',
  'max_wal_senders=0',
  'fsync=on',
  'synchronous_commit=on',
  'full_page_writes=on',
  'logging_collector=on',
  'log_directory=log',
  'log_filename=postgresql-%a.log',
  'log_truncate_on_rotation=on',
  'log_rotation_age=1d',
  'log_rotation_size=0',
  'log_checkpoints=off',
  'log_min_messages=warning',
  'log_min_error_statement=panic',
  'log_parameter_max_length_on_error=0',
  'log_error_verbosity=terse', // the DETAIL of a violated constraint contains the row's values
]

/**
 * Starts PostgreSQL in a session of its own: Ctrl+C does not reach it, and it survives a crash of this process. Rejects
 * when it cannot be spawned. A spawned one may still fail: see `hasEnded`, or connect.
 */
export async function startPostmaster({ path, account, binaries }: Cluster): Promise<Start> {
  const log = await openStartLog(path, account)
  try {
    const flags = ['-D', dataFolder(path), ...settings.flatMap((setting) => ['-c', setting])]
    const child = spawn(join(binaries.native, 'bin', 'postgres'), flags, {
      ...account,
      cwd: path,
      env: environment,
      detached: true,
      stdio: ['ignore', 'ignore', log.fd],
    })
    let exitCode: number | null | undefined
    child.once('exit', (code) => {
      exitCode = code
    })
    await once(child, 'spawn') // rejects when spawning fails
    child.unref()
    return {
      hasEnded: () => exitCode !== undefined,
      hasFailed: () => Boolean(exitCode),
      stop: () => void child.kill('SIGINT'), // a fast shutdown, which is clean
      readLog: () => readLog(log, path),
      forget: () => log.close(),
    }
  } catch (error) {
    await log.close()
    throw error
  }
}

/** Replaces the log file instead of emptying it: root must not write through a link that the cluster's owner made. */
async function openStartLog(path: string, account: Cluster['account']): Promise<FileHandle> {
  const name = join(path, 'start.log')
  const fresh = `${name}.${randomUUID()}`
  const log = await open(fresh, 'wx+', 0o600)
  if (account.uid !== undefined) await log.chown(account.uid, account.gid ?? account.uid)
  await rename(fresh, name)
  return log
}

/** Reads from the open file, since another start may have replaced the file of that name. */
async function readLog(log: FileHandle, path: string): Promise<string> {
  const { buffer, bytesRead } = await log.read(Buffer.alloc(4_000), 0, 4_000, 0)
  const starting = buffer.toString('utf8', 0, bytesRead).trim()
  if (!starting.includes('logging collector')) return starting
  const names = await readdir(join(path, 'log')).catch(() => [])
  const days = await Promise.all(
    names.map(async (name) => ({ name, writtenMs: (await stat(join(path, 'log', name))).mtimeMs })),
  )
  const latest = days.sort((one, other) => other.writtenMs - one.writtenMs)[0]
  return latest ? (await readFile(join(path, 'log', latest.name), 'utf8')).trim().slice(-1_000) : starting
}

/**
 * Begins a fast, clean shutdown of the postmaster and waits up to 8 seconds for its end; the shutdown continues after
 * that. `backendPid` is the process of a connection that this process holds. It must be a child of the postmaster, or else
 * the postmaster is another one, as after a crash: then it throws Error.
 */
export async function stopPostmaster(path: string, backendPid: number): Promise<void> {
  const pid = (await readPostmaster(path))?.pid
  if (!pid || !(await isParent(pid, backendPid))) throw new Error('the postmaster is not the parent of this connection')
  process.kill(pid, 'SIGINT')
  for (let waits = 0; waits < 800 && (await readProcess(pid))?.isAlive; waits++) await sleep(10)
}

async function isParent(pid: number, childPid: number): Promise<boolean> {
  // other systems have neither /proc nor containers with their own process ids, so the file is proof enough
  return process.platform !== 'linux' || (await readProcess(childPid))?.parentPid === pid
}

/**
 * Removes stale lock files that PostgreSQL would respect: another program has the process id by now, as after the
 * restart of a container, or a power loss has emptied the file. A mistake is harmless: PostgreSQL also refuses a
 * cluster while another one is attached to its shared memory.
 */
export async function removeStaleLocks(path: string): Promise<void> {
  for (const name of ['postmaster.pid', '.s.PGSQL.5432.lock']) {
    const lock = join(path, name)
    const text = await readFile(lock, 'utf8').catch(() => null)
    const found = await stat(lock).catch(() => null)
    if (text === null || !found || Date.now() - found.mtimeMs < 2_000) continue // it may be about to be written
    if (await isStale(text)) await rm(lock, { force: true })
  }
}

async function isStale(lock: string): Promise<boolean> {
  if (lock === '') return true
  const holder = process.platform === 'linux' ? await readProcess(Number.parseInt(lock, 10)) : null
  return holder !== null && !(holder.isAlive && holder.name === 'postgres')
}
