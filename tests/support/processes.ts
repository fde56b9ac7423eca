import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { leakedLines, logLines } from './kept-secrets.ts'

/** The built command, as users run it. */
export const binPath = fileURLToPath(new URL('../../dist/bin.cjs', import.meta.url))

/** The cheapest hashes there are: tests are about everything else. */
export const cheapHashes = { ARGON2_MEMORY_KIB: '1024', ARGON2_PASSES: '1' }

/** Nothing of the machine's own environment reaches a process under test; on a busy machine its queue takes longer. */
export const bareEnvironment = {
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '',
  HASH_QUEUE_SECONDS: '60',
  ...cheapHashes,
}

/** The steps after a test file when all its processes have ended. */
export const afterProcesses: (() => Promise<void>)[] = []

const living = new Set<ChildProcess>()
process.once('exit', killAll)

/** Ends what a test file has started, cleans up after it, and searches what it logged for secrets. */
export async function endProcesses(): Promise<void> {
  await Promise.all([...living].map(endProcess))
  for (const clean of afterProcesses.splice(0)) await clean()
  expect(leakedLines(), 'log lines with a secret in them').toEqual([])
}

/** What a finished command said. */
export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** How a process is started. */
export interface ProcessOptions {
  readonly environment?: Record<string, string>
  readonly cwd?: string
  /** Another copy of the program. */
  readonly bin?: string
  /** A command that starts it, such as `unshare`, with its arguments. */
  readonly launcher?: readonly string[]
  /** Where its standard output goes instead of to the test. */
  readonly stdout?: number
}

/** Runs one command to its end (three minutes at most) with `input` as its standard input. */
export async function runCommand(
  args: readonly string[],
  options: ProcessOptions & { input?: string | Buffer } = {},
): Promise<Finished> {
  const child = spawnProgram(args, options)
  const limit = setTimeout(() => child.kill('SIGKILL'), 180_000)
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin?.on('error', () => undefined) // a command that reads nothing may be gone before we have written
  child.stdin?.end(options.input ?? '')
  await once(child, 'close')
  clearTimeout(limit)
  return { code: child.exitCode, stdout, stderr }
}

/** A server in a process of its own. */
export interface ServerProcess {
  /** Its address, once it is ready. */
  readonly url: string
  readonly pid: number
  /** What it printed so far, line by line. */
  readonly lines: readonly string[]
  /** Resolves to its exit code, null after a signal that killed it. */
  readonly exited: Promise<number | null>
  signal(name: NodeJS.Signals): void
  /** Kills it in any state. */
  end(): Promise<void>
}

/** A server process that may or may not get ready. */
export interface StartingServer extends Omit<ServerProcess, 'url'> {
  /** Rejects with what it printed when it ends before it is ready. */
  readonly ready: Promise<ServerProcess>
  readonly stderr: () => string
  /** Resolves with the first log line or text that `accepts` returns true for. */
  until(accepts: (line: string) => boolean): Promise<string>
}

/** Starts `serve` (or other `args`) on 127.0.0.1 at any free port; it ends with the test file at the latest. */
export function startServer(options: ProcessOptions, args: readonly string[] = ['serve']): StartingServer {
  const child = spawnProgram(args, { ...options, environment: { PORT: '0', ...options.environment } })
  child.stdin?.end()
  const lines: string[] = []
  const listeners = new Set<() => void>()
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  if (!child.stdout) throw new Error('a process without output')
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    if (line.startsWith('{')) logLines.write(line)
    for (const listener of listeners) listener()
  })
  const exited = once(child, 'close').then(() => child.exitCode)
  const until = (accepts: (line: string) => boolean) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const line = lines.find(accepts)
        if (line === undefined) return
        listeners.delete(look)
        resolve(line)
      }
      listeners.add(look)
      look()
      exited.then((code) =>
        reject(new Error(`the server ended with ${code}:\n${[...lines.slice(-5), stderr].join('\n')}`)),
      )
    })
  const common = {
    pid: child.pid ?? 0,
    lines,
    exited,
    signal: (name: NodeJS.Signals) => void child.kill(name),
    end: () => endProcess(child),
  }
  const ready = until((line) => line.includes('"ready on ')).then((line) => ({
    ...common,
    url: /ready on (\S+)/.exec(JSON.parse(line).msg)?.[1] ?? '',
  }))
  ready.catch(() => undefined) // for callers that only wait for its end
  return { ...common, ready, until, stderr: () => stderr }
}

/** Starts a server and waits until it is ready. */
export async function readyServer(options: ProcessOptions, args?: readonly string[]): Promise<ServerProcess> {
  return startServer(options, args).ready
}

/** Starts the program; it ends with the test file at the latest. */
export function spawnProgram(args: readonly string[], options: ProcessOptions): ChildProcess {
  const { environment, cwd, bin = binPath, launcher = [], stdout } = options
  return spawnCommand([...launcher, process.execPath, bin, ...args], {
    env: { ...bareEnvironment, ...environment },
    stdio: ['pipe', stdout ?? 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
}

/** Starts any command; it ends with the test file at the latest. */
export function spawnCommand([command = '', ...args]: readonly string[], options: SpawnOptions): ChildProcess {
  return keepProcess(spawn(command, args, options))
}

/** Has a process end with the test file at the latest. */
export function keepProcess(child: ChildProcess): ChildProcess {
  living.add(child)
  child.once('close', () => living.delete(child))
  return child
}

/** Gracefully where that works, since an embedded database is stopped with its last user. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000)
  await closed
  clearTimeout(limit)
}

function killAll(): void {
  for (const child of living) child.kill('SIGKILL')
}
