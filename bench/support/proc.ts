import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'

let ticksPerSecond = 0

/** The fields in proc(5) for the user and system time of a process, and of its ended children. */
const [ofItself, ofEndedChildren] = [14, 16]

/** Reads the processor time of a process with all its threads. */
export function cpuMs(pid: number, field = ofItself): number {
  return readCpuMs(`/proc/${pid}/stat`, field)
}

/** Processor time of a process's first thread, which in Node runs the event loop. */
export function firstThreadCpuMs(pid: number): number {
  return readCpuMs(`/proc/${pid}/task/${pid}/stat`, ofItself)
}

function readCpuMs(path: string, field: number): number {
  ticksPerSecond ||= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const stat = readFileSync(path, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // from field 3 on
  return ((Number(fields[field - 3]) + Number(fields[field - 2])) * 1_000) / ticksPerSecond
}

/** Reads the processor time of PostgreSQL's backends, including the ended ones, since connections come and go. */
export async function postgresCpuMs(postmaster: number): Promise<number> {
  const living = (await findChildren(postmaster)).map(cpuMsUnlessEnded)
  return living.reduce((sum, ms) => sum + ms, cpuMs(postmaster, ofEndedChildren))
}

/** Returns 0 for a process that has just ended, since it is among the ended ones. */
function cpuMsUnlessEnded(pid: number): number {
  try {
    return cpuMs(pid)
  } catch {
    return 0
  }
}

/** Lists the running children of a process. */
export async function findChildren(parent: number): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')))
  return lines.flatMap((line) => {
    const [, id, state = '', parentId] = /^(\d+) \(.*\) (\w) (\d+)/s.exec(line) ?? []
    return Number(parentId) === parent && !/[ZX]/.test(state) ? [Number(id)] : []
  })
}

/** Starts to watch a process. The returned function tells how many cores the process has used on average since. */
export function watchCores(pid: number): () => number {
  const [before, began] = [cpuMs(pid), performance.now()]
  return () => (cpuMs(pid) - before) / (performance.now() - began)
}

/** Reads the resident memory of a process. */
export function residentMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** Reads the peak resident memory of a process since its start. */
export function highestResidentMib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
