// Any PostgreSQL: the process hears signals
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { copyInstallation, temporaryFolder } from '../support/installations.ts'
import { binPath, cheapHashes, spawnCommand } from '../support/processes.ts'
import { freePort } from '../support/sockets.ts'
import { ask, eventually } from '../support/wire.ts'

/** Longer than the server takes to notice that npm has ended. */
const noticeMilliseconds = 900

describe.runIf(process.platform === 'linux')('a server that npm started', () => {
  let environment: Record<string, string>

  beforeAll(async () => {
    const { url, database } = await freshDatabase()
    environment = { ...cheapHashes, DATABASE_URL: url }
    return () => database.close()
  })

  test('by `npm start` gets SIGTERM from npm, which waits and exits with the same code', async () => {
    const { bin } = await copyInstallation()
    const folder = dirname(dirname(bin))
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    manifest.scripts.build = 'true' // it is built
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    const port = await freePort()
    const npm = await runReady(['npm', 'start', '--', '--port', `${port}`], folder, port)
    expect(await endedBy(npm, 'SIGTERM')).toBe(0)
    expect(npm.text()).toContain('"event":"closed"')
    await expect(ask(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow()
  })

  test('by `npx` closes when npm has ended and loses nothing', async () => {
    const port = await freePort()
    const npx = await runReady(['npx', '--no', 'password-grant', 'serve', '--port', `${port}`], await project(), port)
    npx.child.kill('SIGTERM')
    await eventually(
      async () => npx.text(),
      (text) => text.includes('"event":"closed"'),
    )
    expect(npx.text()).toContain('closing after npm ended')
    await expect(ask(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow()
  })

  test('outlives npm in a session of its own', async () => {
    const port = await freePort()
    const script = `setsid --fork '${process.execPath}' '${binPath}' serve --port ${port} > log 2>&1 < /dev/null`
    const folder = await project({ background: script })
    execFileSync('npm', ['run', 'background'], { cwd: folder, env: npmEnvironment(), stdio: 'ignore' })
    await eventually(() => isLive(port), Boolean)
    onTestFinished(async () => endServer(await readFile(join(folder, 'log'), 'utf8')))
    await sleep(noticeMilliseconds)
    expect(await isLive(port)).toBe(true)
  })

  test('differs from one without npm, which outlives its shell', async () => {
    const port = await freePort()
    const folder = await temporaryFolder()
    const command = `'${process.execPath}' '${binPath}' serve --port ${port} > log 2>&1 < /dev/null & echo $!`
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    const pid = Number(execFileSync('sh', ['-c', command], { cwd: folder, env, encoding: 'utf8' }))
    onTestFinished(() => void process.kill(pid))
    await eventually(() => isLive(port), Boolean)
    await sleep(noticeMilliseconds)
    expect(await isLive(port)).toBe(true)
  })

  /** A folder in which npm finds the command. */
  async function project(scripts: Record<string, string> = {}): Promise<string> {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'project', version: '1.0.0', scripts }))
    await mkdir(join(folder, 'node_modules', '.bin'), { recursive: true })
    // npm marks what it installs as executable, and the compiler marks nothing
    const program = `#!/usr/bin/env node\nrequire(${JSON.stringify(binPath)})\n`
    await writeFile(join(folder, 'node_modules', '.bin', 'password-grant'), program, { mode: 0o755 })
    return folder
  }

  async function runReady(command: readonly string[], cwd: string, port: number) {
    const child = spawnCommand(command, { cwd, env: npmEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part) => (text += part))
    onTestFinished(() => endServer(text))
    await eventually(() => isLive(port), Boolean)
    return { child, text: () => text }
  }

  function npmEnvironment(): Record<string, string> {
    const npm = { npm_config_update_notifier: 'false', npm_config_loglevel: 'error' }
    return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...npm, ...environment }
  }
})

/** npm's own end does not end a server that has failed its test. */
function endServer(log: string): void {
  const [, pid] = /"pid":(\d+)/.exec(log) ?? []
  try {
    if (pid) process.kill(Number(pid), 'SIGKILL')
  } catch {
    // it has ended, as it is to
  }
}

async function isLive(port: number): Promise<boolean> {
  return ask(`http://127.0.0.1:${port}/health/live`).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** The exit code, and a word instead of it when the contract's ten seconds are over. */
async function endedBy({ child }: { child: ChildProcess }, signal: NodeJS.Signals): Promise<number | null | string> {
  const ended = once(child, 'close').then(([code]) => code as number | null)
  child.kill(signal)
  return Promise.race([ended, sleep(10_000, 'still running after ten seconds')])
}
