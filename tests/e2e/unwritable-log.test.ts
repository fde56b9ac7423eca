// Any PostgreSQL: the log is a file or a pipe
import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { runCommand, spawnCommand, spawnProgram } from '../support/processes.ts'
import { freePort } from '../support/sockets.ts'
import { ask, eventually } from '../support/wire.ts'

const loggerPath = fileURLToPath(new URL('../../dist/logger.js', import.meta.url))

/** More bytes of lines than the log buffers, one line every tick, and then a second in which lines may be written. */
const floodScript = `
  const { openLog } = await import(${JSON.stringify(loggerPath)})
  const log = await openLog('info', { isTerminal: process.stdout.isTTY === true, isHeld: false })
  for (let line = 0; line < 20_000; line += 1) log.logger.info({ line }, 'x'.repeat(100))
  process.on('SIGTERM', async () => {
    log.logger.info('the last line')
    await log.flush()
    process.exit(0)
  })
  process.stderr.write(JSON.stringify({ bytes: process.memoryUsage().rss }) + '\\n')
  setInterval(() => undefined, 1_000)`

describe('a server whose log cannot be written', () => {
  let url: string

  beforeAll(async () => {
    const fresh = await freshDatabase()
    url = fresh.url
    return () => fresh.database.close()
  })

  test
    .runIf(process.platform === 'linux')
    .each(['a full device', 'a pipe without a reader', 'a pipe whose reader stands still'])(
    'answers, and exits on SIGTERM: %s',
    async (what) => {
      const stdout = await openOutput(what)
      const port = await freePort()
      const server = spawnProgram(['serve'], { environment: { DATABASE_URL: url, PORT: `${port}` }, stdout })
      const origin = `http://127.0.0.1:${port}`
      await eventually(() => isLive(origin), Boolean)
      for (let asked = 0; asked < 20; asked += 1) {
        expect((await ask(`${origin}/Token`, { method: 'POST' })).status).toBeGreaterThanOrEqual(400)
      }
      expect(await isLive(origin)).toBe(true)
      expect(await endedBy(server, 'SIGTERM')).toBe(0)
    },
  )

  test.runIf(process.platform === 'linux')('still writes its last lines to a late reader', async () => {
    const pipe = await makePipe()
    pipe.fill()
    const port = await freePort()
    const environment = { DATABASE_URL: url, PORT: `${port}` }
    const server = spawnProgram(['serve'], { environment, stdout: pipe.writeEnd })
    await eventually(() => isLive(`http://127.0.0.1:${port}`), Boolean)
    const ended = endedBy(server, 'SIGTERM') // from here on it tries for a second, not all of the time
    const read = readWhile(pipe.readEnd, () => server.exitCode === null)
    expect(await ended).toBe(0)
    expect(await read).toMatch(/"event":"closed".*\n$/)
  })

  async function openOutput(what: string): Promise<number> {
    if (what === 'a full device') return openForTest('/dev/full', constants.O_WRONLY)
    const pipe = await makePipe()
    if (what === 'a pipe without a reader') closeSync(pipe.readEnd)
    else pipe.fill()
    return pipe.writeEnd
  }
})

describe.runIf(process.platform === 'linux')('a log that cannot be written for a while', () => {
  test('buffers a bounded number of bytes and counts the dropped lines', async () => {
    const pipe = await makePipe()
    pipe.fill()
    const flood = startFlood(pipe.writeEnd)
    const { bytes } = JSON.parse(await nextText(flood))
    expect(bytes).toBeLessThan(150 * 1024 * 1024)
    const slowly = 80 // milliseconds for 64 KiB, so for the whole buffer longer than a flush waits without a write
    const reading = readWhile(pipe.readEnd, () => flood.exitCode === null, slowly)
    expect(await endedBy(flood, 'SIGTERM')).toBe(0)
    expectGap(await reading)
  })

  test('writes again when a full disk has room', async (context) => {
    const folder = await temporaryFolder()
    const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0
    if (!isMounted) context.skip('this user may not mount a small disk')
    onTestFinished(() => void execFileSync('umount', ['--lazy', folder]))
    const path = join(folder, 'log')
    const flood = startFlood(openForTest(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND))
    await nextText(flood)
    const size = (await stat(path)).size
    execFileSync('mount', ['-o', 'remount,size=8m', folder])
    await eventually(
      () => readFile(path, 'utf8'),
      (text) => text.includes('dropped'),
    )
    expect(await endedBy(flood, 'SIGTERM')).toBe(0)
    expect(size).toBeGreaterThan(32 * 1024)
    expectGap(await readFile(path, 'utf8'))
  })

  test('does not block a process behind a paused terminal', async (context) => {
    if (spawnSync('script', ['--version']).status !== 0) context.skip('there is no `script` to make a terminal')
    const pipe = await makePipe()
    pipe.fill()
    const folder = await temporaryFolder()
    const command = `${process.execPath} --input-type=module -e '${floodScript.replaceAll("'", `'\\''`)}' 2> ${folder}/stderr`
    const terminal = spawnCommand(['script', '-qec', command, '/dev/null'], {
      stdio: ['pipe', pipe.writeEnd, 'inherit'],
    })
    const readReport = () => readFile(join(folder, 'stderr'), 'utf8').catch(() => '')
    expect(await eventually(readReport, (text) => text.includes('bytes'))).toContain('bytes')
    terminal.kill('SIGKILL')
  })
})

describe.runIf(process.platform === 'linux')('a command whose answer cannot be written', () => {
  test('fails, unless its reader has left', async () => {
    const { url, database } = await freshDatabase()
    onTestFinished(() => database.close())
    const options = { environment: { DATABASE_URL: url } }
    const full = spawnProgram(['client', 'list'], { ...options, stdout: openForTest('/dev/full', constants.O_WRONLY) })
    const [text] = await Promise.all([nextText(full), once(full, 'close')])
    expect(text).toMatch(/^Cannot write to standard output: .*ENOSPC/)
    expect(full.exitCode).toBe(1)
    const pipe = await makePipe()
    closeSync(pipe.readEnd)
    const left = spawnProgram(['client', 'list'], { ...options, stdout: pipe.writeEnd })
    await once(left, 'close')
    expect(left.exitCode).toBe(0)
    expect((await runCommand(['client', 'list'], options)).code).toBe(0)
  })
})

/** Real pipes, not the sockets that Node gives its children. */
async function makePipe() {
  const path = join(await temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [path])
  const readEnd = openForTest(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writeEnd = openForTest(path, constants.O_WRONLY)
  const fill = () => {
    const filling = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    try {
      for (;;) writeSync(filling, '\n'.repeat(4096))
    } catch {
      closeSync(filling)
    }
  }
  return { readEnd, writeEnd, fill }
}

function openForTest(path: string, flags: number): number {
  const fd = openSync(path, flags, 0o600)
  onTestFinished(() => {
    try {
      closeSync(fd)
    } catch {
      // closed by the test
    }
  })
  return fd
}

function startFlood(stdout: number): ChildProcess {
  const command = [process.execPath, '--input-type=module', '-e', floodScript]
  return spawnCommand(command, { stdio: ['ignore', stdout, 'pipe'] })
}

async function nextText({ stderr }: ChildProcess): Promise<string> {
  const [text] = await once(stderr ?? process.stdin, 'data')
  return String(text)
}

/** Reads a pipe as long as `isOpen` says, and the rest of it after that. Waits `pauseMs` after each read. */
async function readWhile(fd: number, isOpen: () => boolean, pauseMs = 0): Promise<string> {
  const chunk = Buffer.alloc(65_536)
  let text = ''
  for (let isLast = false; ; ) {
    const bytes = tryRead(fd, chunk)
    text += chunk.toString('utf8', 0, bytes)
    if (bytes > 0 && pauseMs > 0) await sleep(pauseMs)
    if (bytes > 0) continue
    if (isLast) return text
    isLast = !isOpen()
    await sleep(10)
  }
}

function tryRead(fd: number, chunk: Buffer): number {
  try {
    return readSync(fd, chunk)
  } catch {
    return 0 // nothing there now
  }
}

/** Every line of the flood is there or counted, and the last one is there; the count may follow it. */
function expectGap(text: string): void {
  const lines = text.split('\n').filter((line) => line !== '')
  const found = lines.map((line) => JSON.parse(line) as { line?: number; dropped?: number; msg: string })
  const dropped = found.reduce((sum, line) => sum + (line.dropped ?? 0), 0)
  expect(dropped).toBeGreaterThan(0)
  expect(found.filter(({ line }) => line !== undefined).length + dropped).toBe(20_000)
  expect(found.slice(-2).map(({ msg }) => msg)).toContain('the last line')
}

async function isLive(origin: string): Promise<boolean> {
  return ask(`${origin}/health/live`).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** The exit code, and a word instead of it when the contract's ten seconds are over. */
async function endedBy(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null | string> {
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  child.kill(signal)
  return Promise.race([ended, sleep(10_000, 'still running after ten seconds')])
}
