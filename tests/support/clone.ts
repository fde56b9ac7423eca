import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { freePort } from './sockets.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/** A script that is ready, on a port of its own. */
export interface Running {
  readonly port: string
  /** Returns the text that the script has printed so far. */
  readonly output: () => string
  readonly end: () => Promise<void>
}

type Environment = Readonly<Record<string, string>>

/** A fresh clone of this repository, in which scripts run as a new user runs them. */
export class Clone {
  readonly folder = mkdtempSync(join(tmpdir(), 'password-grant-clone-'))
  readonly #children: ChildProcess[] = []

  constructor() {
    for (const file of listFiles()) cpSync(join(repository, file), join(this.folder, file))
  }

  /** Runs a script to its end. Returns what it printed. */
  finish(script: string, environment: Environment = {}): string {
    const done = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
      ...this.#options(environment),
      encoding: 'utf8',
    })
    expect(done.status, done.stderr).toBe(0)
    return done.stdout
  }

  /** Runs a script until it prints that it is ready, and on which port. */
  async start(script: string, environment: Environment = {}, ready = /ready on .*:(\d+)/): Promise<Running> {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      ...this.#options(environment),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.push(child)
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk))
    for (let tries = 0; tries < 2_500 && !ready.test(text) && child.exitCode === null; tries += 1) await pause(100)
    const port = ready.exec(text)?.[1]
    expect(port, text).toBeDefined()
    return { port: `${port}`, output: () => text, end: () => end(child) }
  }

  /** Writes a program into the clone and runs it on any free port, until it answers there. */
  async serve(file: string, program: string, environment: Environment): Promise<Running> {
    writeFileSync(join(this.folder, file), program)
    const port = String(await freePort())
    const waiting = `until curl -s -o /dev/null http://127.0.0.1:${port}; do sleep 0.1; done; echo up :${port}; wait`
    return this.start(`node ${file} & ${waiting}`, { ...environment, PORT: port }, /up :(\d+)/)
  }

  /** Writes a program into the clone and runs it to its end. Returns what it printed. */
  run(file: string, program: string, environment: Environment): string {
    writeFileSync(join(this.folder, file), program)
    return this.finish(`node ${file}`, environment)
  }

  /** Ends what still runs in the clone, and removes it. */
  async remove(): Promise<void> {
    for (const child of this.#children) await end(child)
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Imitates the shell of a person: without CI and the suite's database, with the Node that runs these tests. */
  #options(environment: Environment): { cwd: string; env: Record<string, string> } {
    const { PATH = '', HOME = tmpdir() } = process.env
    const shell = { PATH: `${dirname(process.execPath)}:${PATH}`, HOME, npm_config_prefer_offline: 'true' }
    return { cwd: this.folder, env: { ...shell, ...environment } }
  }
}

/** Lists the files that a clone of the work tree would have. Skips symbolic links, since npm would empty their targets. */
function listFiles(): string[] {
  const names = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: repository,
    encoding: 'utf8',
  })
  return names
    .split('\0')
    .filter(Boolean)
    .filter((name) => lstatSync(join(repository, name), { throwIfNoEntry: false })?.isFile())
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** Ends a child and everything it started, and waits for it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('close', resolve))
  process.kill(-child.pid, 'SIGTERM')
  await gone
}
