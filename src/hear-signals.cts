import { readFileSync } from 'node:fs'

/** A reason to stop, or SIGHUP, which a server ignores. */
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'npm ended'

/** Calls `listener` with every signal from now on, and at once with each that came earlier. */
export type OnSignal = (listener: (signal: StopSignal) => void) => void

/**
 * Hears signals from this call on and keeps them until the program asks. CommonJS, so that it runs before any ES module
 * loads: the kernel drops a signal without a handler when the process is the first one of a container.
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
 * Calls `onEnd` once the process that started this one under npm is gone. On SIGTERM npm ends the shell between them and
 * itself, and tells this process nothing. A process in a session of its own (`setsid`) is meant to outlive npm.
 */
function watchNpm(onEnd: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return
  const parent = process.ppid
  const session = readSession('self')
  if (session === `${process.pid}`) return
  const parentSession = readSession(parent)
  const isOrphan = session !== null && parentSession !== null && parentSession !== session // adopted before this line
  const watching = setInterval(() => {
    if (!isOrphan && process.ppid === parent) return
    clearInterval(watching)
    onEnd()
  }, watchMilliseconds).unref()
}

/** The session of a process; null where there is no /proc or no such process. */
function readSession(pid: number | 'self'): string | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = line.slice(line.lastIndexOf(') ') + 2) // a program's name may hold a parenthesis
    return fields.split(' ')[3] ?? null
  } catch {
    return null
  }
}
