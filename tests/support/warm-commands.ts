import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bareEnvironment, binPath, type Finished, keepProcess } from './processes.ts'

const hostPath = fileURLToPath(new URL('./command-host.mjs', import.meta.url))

/** What a command is given. */
export interface WarmOptions {
  readonly environment?: Record<string, string>
  readonly input?: string | Buffer
}

/**
 * Runs commands of the built program as `runCommand` does, in one process that loads it only once: most of a command's
 * time is its start. That a command is a process of its own which ends is for `runCommand` to show.
 */
export function warmCommands(): (args: readonly string[], options?: WarmOptions) => Promise<Finished> {
  let host: Promise<Host> | null = null
  let turn: Promise<unknown> = Promise.resolve()

  async function run(args: readonly string[], { environment, input = '' }: WarmOptions): Promise<Finished> {
    host ??= startHost()
    const { child, hear } = await host
    child.send({ args, environment: { ...bareEnvironment, ...environment }, input })
    return hear()
  }

  return (args, options = {}) => {
    const finished = turn.then(() => run(args, options))
    turn = finished.catch(() => undefined)
    return finished
  }
}

interface Host {
  readonly child: ChildProcess
  /** What it says next. Rejects when it ends before. */
  readonly hear: () => Promise<Finished>
}

async function startHost(): Promise<Host> {
  const cli = new URL('./cli.js', pathToFileURL(binPath)).href
  const options: ForkOptions = { serialization: 'advanced', execArgv: [], env: bareEnvironment }
  const child = keepProcess(fork(hostPath, [cli], options))
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the process that runs the commands ended with ${code}`)
  })
  ended.catch(() => undefined) // it does after the file
  const hear = async () => (await Promise.race([once(child, 'message'), ended]))[0]
  await hear()
  return { child, hear }
}
