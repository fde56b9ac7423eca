import { readFileSync } from 'node:fs'

/** A reason to stop, or SIGHUP, which a server ignores. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'npm ended'

/** Calls `listener` at once with each earlier signal, and later with every new one. */
export type OnSignal = (listener: (signal: StopSignal) => void) => void

/**
 * Records signals from this call on, until the program asks for them. The file is CommonJS, so that it runs before any ES
 * module loads: in a container's first process, the kernel drops signals that have no handler.
 */
export function hearSignals(): OnSignal {
  const heard = new Set<StopSignal>()
  const listeners = new Set<(signal: StopSignal) => void>()
  const hear = (signal: StopSignal) => {
    heard.add(signal)
    for (const listener of listeners) listener(signal)
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => hear(signal))
  watchNpm(() => hear('npm ended'))
  return (listener) => {
    listeners.add(listener)
    for (const signal of heard) listener(signal)
  }
}

const watchMilliseconds = 250

/**
 * Calls `onEnd` when the process that started this one under npm is gone. On SIGTERM npm ends itself and the shell between
 * them, and sends no signal to this process. A process in a session of its own (`setsid`) is meant to outlive npm.
 */
function watchNpm(onEnd: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return
  const parent = process.ppid
  const session = readSession('self')
  if (session === `${process.pid}`) return
  const parentSession = readSession(parent)
  const isOrphan = session !== null && parentSession !== null && parentSession !== session // the parent was gone before this line
  const watching = setInterval(() => {
    if (!isOrphan && process.ppid === parent) return
    clearInterval(watching)
    onEnd()
  }, watchMilliseconds).unref()
}

/** Reads the session of a process. Returns null if there is no /proc or no such process. */
function readSession(pid: number | 'self'): string | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = line.slice(line.lastIndexOf(') ') + 2) // a program's name may contain a parenthesis
    return fields.split(' ')[3] ?? null
  } catch {
    return null
  }
}
