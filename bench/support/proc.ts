import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

let ticksPerSecond = 0

/** Processor time a process has used, user and system, all its threads: proc(5), fields 14 and 15. */
export function cpuMs(pid: number): number {
  ticksPerSecond ||= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // from field 3 on
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond
}

/** Begins to watch a process. What is returned tells how many cores it has used on average since. */
export function watchCores(pid: number): () => number {
  const [before, began] = [cpuMs(pid), performance.now()]
  return () => (cpuMs(pid) - before) / (performance.now() - began)
}

/** Memory a process has in use. */
export function residentMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** The most memory a process has had in use since its start. */
export function highestResidentMib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
