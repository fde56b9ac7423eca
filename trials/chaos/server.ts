import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeFolder, type Where } from '../../bench/support/children.ts'
import { childEnvironment, dist } from '../../bench/support/place.ts'
import type { Room } from '../../bench/support/room.ts'

const program = fileURLToPath(new URL('bin.cjs', dist))
const patienceMs = 90_000
const closingMs = 10_000

/** A server that the trial can hit. */
export interface Server {
  readonly name: string
  /** The URL of the server; null while it is not running. */
  readonly url: string | null
  /** Starts it. Resolves when it is ready. */
  start(): Promise<void>
  /** Ends it with a signal. Resolves when it is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** Its log files, one for each start. */
  readonly logs: readonly string[]
}

/** The options of a server. */
export interface ServerOptions {
  readonly name: string
  readonly where: Where
  readonly variables: Readonly<Record<string, string>>
  /** Receives violations: the server ended by itself, did not start, or did not close in time. */
  readonly report: (violation: string) => void
}

/** Creates a server without starting it. The room ends it. */
export async function makeServer(room: Room, { name, where, variables, report }: ServerOptions): Promise<Server> {
  const folder = await makeFolder(room)
  const logs: string[] = []
  const database = 'url' in where ? { DATABASE_URL: where.url } : { EMBEDDED_FOLDER: where.folder }
  const env = childEnvironment({ PORT: '0', ...database, ...variables })
  let child: ChildProcess | null = null
  let url: string | null = null
  let isExpected = false

  function launch(): { running: ChildProcess; log: string } {
    const log = join(folder, `log-${logs.length + 1}`)
    logs.push(log)
    const output = openSync(log, 'w')
    const running = spawn(process.execPath, [program, 'serve'], { env, stdio: ['ignore', output, output] })
    closeSync(output)
    isExpected = false
    child = running
    running.once('exit', () => {
      url = null
      if (child === running) child = null
    })
    return { running, log }
  }

  async function start(): Promise<void> {
    const { running, log } = launch()
    for (const began = performance.now(); ; await sleep(10)) {
      const text = await readFile(log, 'utf8')
      url = /"ready on (http:[^"]+)"/.exec(text)?.[1] ?? null
      if (url !== null) break
      if (isExpected) return
      if (hasExited(running) || performance.now() - began > patienceMs) {
        running.kill('SIGKILL')
        throw new Error(`${name} did not get ready: ${text.trim().split('\n').slice(-3).join('\n')}`)
      }
    }
    running.once('exit', (code, signal) => {
      if (!isExpected) report(`${name} ended by itself with ${code ?? signal}`)
    })
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const running = child
    if (running === null || hasExited(running)) return
    isExpected = true
    const exited = once(running, 'exit')
    const began = performance.now()
    running.kill(signal)
    const killing = setTimeout(() => running.kill('SIGKILL'), closingMs * 1.5)
    const [code] = await exited
    clearTimeout(killing)
    const tookMs = performance.now() - began
    if (signal === 'SIGTERM' && (code !== 0 || tookMs > closingMs)) {
      report(`${name} closed with ${code ?? 'SIGKILL'} after ${Math.round(tookMs)} ms`)
    }
  }

  let isOver = false
  room.atEnd(() => {
    isOver = true
    return end('SIGTERM')
  })
  return {
    name,
    get url() {
      return url
    },
    start: async () => {
      // a failed start is a violation; the run continues, to find others
      for (let attempt = 1; !isOver; attempt += 1) {
        try {
          return await start()
        } catch (error) {
          report(String(error))
          if (attempt === 3) throw error
        }
      }
    },
    end,
    logs,
  }
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}
