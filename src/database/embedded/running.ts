import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Reads PostgreSQL's own file about the postmaster of a cluster; null when there is no such file. */
export async function readPostmaster(path: string): Promise<{ pid: number; isStopping: boolean } | null> {
  const lines = await readFile(join(path, 'postmaster.pid'), 'utf8').then(
    (text) => text.split('\n'),
    () => null,
  )
  return lines && { pid: Number.parseInt(lines[0] ?? '', 10), isStopping: lines[7]?.trim() === 'stopping' }
}

/** Tells whether a PostgreSQL runs on the cluster, judging by its file and the processes of this machine. */
export async function hasLivePostmaster(path: string): Promise<boolean> {
  const pid = (await readPostmaster(path))?.pid
  const found = pid ? await readProcess(pid) : null
  return found?.isAlive === true && found.name === 'postgres'
}

/**
 * Reads the state of a process; null when there is none. A zombie is not alive: in a container, process 1 may never
 * reap it.
 */
export async function readProcess(pid: number): Promise<{ isAlive: boolean; name: string; parentPid: number } | null> {
  if (process.platform !== 'linux') return signalZero(pid)
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  const [, name = '', state = '', parentPid] = /^\d+ \((.*)\) (\w) (\d+)/s.exec(line ?? '') ?? []
  return line === null ? null : { isAlive: !/[ZX]/.test(state), name, parentPid: Number(parentPid) }
}

function signalZero(pid: number) {
  try {
    return { isAlive: process.kill(pid, 0), name: 'postgres', parentPid: 0 }
  } catch {
    return null
  }
}
