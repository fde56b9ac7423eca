import { readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Finds the postmaster of a data folder by its pid file, or null. */
export async function findPostmaster(path: string): Promise<number | null> {
  const text = await readFile(join(path, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  if (!(pid > 1)) return null
  // the id may belong to another process by now, which must not be hit
  const [where, wanted] = await Promise.all([readlink(`/proc/${pid}/cwd`).catch(() => ''), realpath(path)])
  return where === wanted ? pid : null
}

/** Tells whether a process is running. A zombie is not. */
export async function isRunning(pid: number): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return line !== '' && !/^\d+ \(.*\) [ZX]/s.test(line)
}

/** Sends a signal. Ignores a process that has already ended. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // the process has ended
  }
}

/** Waits until a process has ended. Returns false if it still runs after `patienceMs`. */
export async function hasEnded(pid: number, patienceMs: number): Promise<boolean> {
  for (const began = performance.now(); await isRunning(pid); await sleep(10)) {
    if (performance.now() - began > patienceMs) return false
  }
  return true
}
