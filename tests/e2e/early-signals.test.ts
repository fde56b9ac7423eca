// Any PostgreSQL: the process hears signals before it has a database
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { fillFolder } from '../support/made-folder.ts'
import { readyServer, runCommand, spawnCommand, spawnProgram } from '../support/processes.ts'
import { ask, eventually } from '../support/wire.ts'

const namespace = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']
const mayUnshare = spawnSync(namespace[0] ?? '', [...namespace.slice(1), 'true']).status === 0

describe.runIf(mayUnshare)('a server as the first process of a container', () => {
  let folder: string

  beforeAll(async () => {
    folder = await fillFolder(await temporaryFolder())
    expect((await runCommand(['migrate', '--embedded', folder])).code).toBe(0)
  })

  test('handles signals before it has loaded anything', async () => {
    const idle = ['-e', 'process.on("SIGHUP", () => process.exit()); setInterval(() => undefined, 1000)']
    const least = await startFirst(spawnCommand([...namespace, process.execPath, ...idle], { stdio: 'ignore' }))
    const server = await startFirst(spawnServer())
    for (const { child } of [least, server]) child.kill('SIGKILL')
    expect(server.cpuTicks).toBeLessThanOrEqual(2 * least.cpuTicks + 2)
  })

  test.each([0, 20, 50, 100, 200, 300, 600])(
    'exits with 0 and leaves no PostgreSQL behind after SIGTERM %i ms later',
    async (delayMs) => {
      const { child, pid } = await startFirst(spawnServer())
      const ended = once(child, 'exit').then(([code]) => code)
      await sleep(delayMs)
      process.kill(pid, 'SIGTERM')
      expect(await Promise.race([ended, sleep(10_000, 'still running after ten seconds')])).toBe(0)
      expect(await readdir(join(folder, 'cluster'))).not.toContain('postmaster.pid')
    },
  )

  test('survives SIGHUP at any moment', async () => {
    const { child, pid } = await startFirst(spawnServer())
    process.kill(pid, 'SIGHUP')
    let log = ''
    child.stdout?.setEncoding('utf8').on('data', (text) => (log += text))
    await eventually(
      async () => log,
      (text) => text.includes('ready on'),
    )
    process.kill(pid, 'SIGHUP')
    await sleep(100)
    process.kill(pid, 'SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(log).toContain('closing after SIGTERM')
  })

  function spawnServer(): ChildProcess {
    return spawnProgram(['serve', '--port', '0', '--embedded', folder], { launcher: namespace })
  }
})

test.runIf(!mayUnshare)('only root can run as the first process of a container', (context) => {
  context.skip('this user may not make a process namespace with unshare')
})

describe('SIGHUP', () => {
  test('leaves a server and its embedded database running', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const server = await readyServer({ environment: { EMBEDDED_FOLDER: folder } })
    const postmaster = readFileSync(join(folder, 'cluster', 'postmaster.pid'), 'utf8')
    server.signal('SIGHUP')
    server.signal('SIGHUP')
    await sleep(300)
    expect((await ask(`${server.url}/health/ready`)).status).toBe(200)
    expect(readFileSync(join(folder, 'cluster', 'postmaster.pid'), 'utf8')).toBe(postmaster)
    await server.end()
    expect(await server.exited).toBe(0)
  })

  test.each(['SIGHUP', 'SIGTERM', 'SIGINT'] as const)('%s ends a command that waits for its input', async (signal) => {
    const { url, database } = await freshDatabase()
    const command = spawnProgram(['user', 'add', 'ada', '--password-stdin'], { environment: { DATABASE_URL: url } })
    await eventually(async () => hearsHangup(command.pid ?? 0), Boolean)
    command.kill(signal)
    expect(await once(command, 'exit')).toEqual([130, null])
    await database.close()
  })
})

/**
 * Waits until the process inside the namespace handles signals, without a pause that would hide how early that is. SIGHUP
 * tells: for the others Node has a handler of its own from the beginning, which the first process does not die of.
 */
async function startFirst(child: ChildProcess): Promise<{ child: ChildProcess; pid: number; cpuTicks: number }> {
  await once(child, 'spawn')
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const pid = findChild(child.pid ?? 0)
    if (pid !== null && hearsHangup(pid)) return { child, pid, cpuTicks: readCpuTicks(pid) }
  }
  throw new Error('the process handles no signal')
}

function findChild(parent: number): number | null {
  try {
    const text = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
    return Number.parseInt(text, 10) || null
  } catch {
    return findChildOf(parent)
  }
}

/** Where the kernel lists no children. */
function findChildOf(parent: number): number | null {
  const isChild = (name: string) => Number(readStat(Number(name))[1]) === parent
  const found = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isChild(name))
  return found === undefined ? null : Number(found)
}

/** Whether a process has a handler for SIGHUP. */
function hearsHangup(pid: number): boolean {
  try {
    const [, mask = '0'] = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return (BigInt(`0x${mask}`) & 1n) === 1n
  } catch {
    return false
  }
}

function readCpuTicks(pid: number): number {
  const fields = readStat(pid)
  return Number(fields[11]) + Number(fields[12])
}

/** The fields of /proc/PID/stat from the state on. */
function readStat(pid: number): string[] {
  try {
    return (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '').split(' ')
  } catch {
    return []
  }
}
