import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { childEnvironment, dist } from './place.ts'
import type { Room } from './room.ts'

const program = fileURLToPath(new URL('bin.cjs', dist))

/** A running server. */
export interface Server {
  readonly url: string
  readonly pid: number
  /** The time from spawn to the ready line. */
  readonly startMs: number
  /** The path of its log file. */
  readonly log: string
  /** Resolves with the exit code when the server has ended, or with null if a signal killed it. */
  readonly ended: Promise<number | null>
  stop(): Promise<void>
}

/** The database of a server: a URL, or the folder of an embedded one. */
export type Where = { readonly url: string } | { readonly folder: string }

/** Creates an empty folder, which the room removes at the end. */
export async function makeFolder(room: Room): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'password-grant-bench-'))
  room.atEnd(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Starts `serve` on a free loopback port, with a log file. Rejects with the end of the log if the server does not get ready. */
export async function startServer(
  room: Room,
  where: Where,
  variables: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const log = join(await makeFolder(room), 'log')
  const output = openSync(log, 'w')
  const env = childEnvironment({ PORT: '0', ...databaseVariables(where), ...variables })
  const args = 'folder' in where ? ['serve', '--embedded', where.folder] : ['serve']
  const began = performance.now()
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', output, output] })
  closeSync(output)
  const stop = () => endChild(child)
  const ended = once(child, 'exit').then(() => child.exitCode)
  ended.catch(() => undefined) // reported to the callers that wait for it
  room.atEnd(stop)
  const url = await readReadyLine(child, log)
  return { url, pid: child.pid ?? 0, startMs: performance.now() - began, log, ended, stop }
}

function databaseVariables(where: Where): Record<string, string> {
  return 'url' in where ? { DATABASE_URL: where.url } : {}
}

async function readReadyLine(child: ChildProcess, log: string): Promise<string> {
  for (const began = performance.now(); ; await sleep(5)) {
    const text = await readFile(log, 'utf8')
    const url = /"ready on (http:[^"]+)"/.exec(text)?.[1]
    if (url) return url
    if (child.exitCode !== null || performance.now() - began > 30_000) {
      throw new Error(`the server did not get ready:\n${text.slice(-2_000)}`)
    }
  }
}

/** Ends a process with SIGTERM, and with SIGKILL after 15 seconds. */
async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const killing = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(killing)
}

/** Runs one command of the product and returns its JSON. */
export async function runCommand<T>(where: Where, ...args: string[]): Promise<T> {
  const embedded = 'folder' in where ? ['--embedded', where.folder] : []
  const env = childEnvironment(databaseVariables(where))
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, [program, ...args, '--json', ...embedded], { env, timeout: 30_000 })
  return JSON.parse(stdout) as T
}

/** A child process that answers one question at a time. */
export type Helper<Question, Reply> = (question: Question) => Promise<Reply>

/** Starts a file of `processes/`. Open questions reject when the process ends. */
export function startHelper<Question extends object, Reply>(room: Room, name: string): Helper<Question, Reply> {
  return startHelperAt(room, fileURLToPath(new URL(`../processes/${name}.js`, import.meta.url)))
}

/** Starts any file that answers questions. Open questions reject when the process ends. */
export function startHelperAt<Question extends object, Reply>(
  room: Room,
  file: string,
  variables: Readonly<Record<string, string>> = {},
): Helper<Question, Reply> {
  const child = fork(file, { env: childEnvironment(variables) })
  room.atEnd(() => endChild(child))
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${file} ended`)))
  ended.catch(() => undefined) // reported to the callers that wait for an answer
  return async (question) => {
    const answered = once(child, 'message')
    child.send(question)
    const [reply] = (await Promise.race([answered, ended])) as [Reply]
    return reply
  }
}
