// Any PostgreSQL: the tests bring their own
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { findAccount } from '../../src/database/embedded/account.ts'
import { findBinaries, readyBinaries } from '../../src/database/embedded/binaries.ts'
import { openEmbedded } from '../../src/database/embedded/embedded.ts'
import { fillFolder } from '../support/made-folder.ts'

const isRoot = process.getuid?.() === 0
const nobody = 65_534
const builtModule = new URL('../../dist/database/embedded/embedded.js', import.meta.url)
const openerPath = fileURLToPath(new URL('./fixtures-embedded/opener.mjs', import.meta.url))

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('an embedded database in a folder', () => {
  test('is created for its owner only', async () => {
    const folder = join(await temporaryFolder(), 'a', 'data')
    const database = await open(folder)
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect((await stat(join(folder, 'cluster'))).mode & 0o777).toBe(0o700)
    expect(await readdir(folder)).toEqual(['cluster'])
  })

  test('restricts a folder that others could read', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o755)
    await open(folder)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
  })

  test('listens on no network address and loses no acknowledged row', async () => {
    const database = await open(await madeFolder())
    const settings = await database.script<{ name: string; setting: string }>(
      `select name, setting from pg_settings where name in
       ('listen_addresses', 'fsync', 'synchronous_commit', 'full_page_writes', 'unix_socket_permissions')`,
    )
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      listen_addresses: '',
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      unix_socket_permissions: '0700',
    })
  })

  test('keeps its rows when it is closed and opened again', async () => {
    const folder = await madeFolder()
    const first = await open(folder)
    await first.script('create table public.kept as select 7 as seven')
    await first.close()
    const second = await open(folder)
    expect(await second.script('select seven from public.kept')).toEqual([{ seven: 7 }])
  })

  test('compares and sorts UTF-8 alike on every machine', async () => {
    const database = await open(await temporaryFolder())
    const found = await database.script(
      `select datlocprovider as provider, datlocale as locale, pg_encoding_to_char(encoding) as encoding
       from pg_database where datname = current_database()`,
    )
    expect(found).toEqual([{ provider: 'b', locale: 'C.UTF-8', encoding: 'UTF8' }])
  })

  test('writes no statement and no value into its log', async () => {
    const folder = await madeFolder()
    const database = await open(folder)
    await database.script('create table public.words (word text primary key)')
    for (const _ of ['once', 'twice']) {
      await database.script('insert into public.words values ($1)', ['pencil-case']).catch(() => undefined)
    }
    await database.close()
    const log = await readLogs(folder)
    expect(log).toContain('duplicate key')
    expect(log).not.toContain('pencil-case')
    expect(log).not.toContain('insert into')
  })

  test('gets nothing of the server’s environment, which may hold secrets', async () => {
    const folder = await madeFolder()
    const opener = await openElsewhere(folder, { env: { ...process.env, ENCRYPTION_KEY: 'pencil-case' } })
    const pid = await postmasterPid(folder)
    if (existsSync('/proc/self/environ')) {
      expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain('pencil-case')
    }
    await opener.close()
  })

  test.runIf(process.platform === 'linux')('works where the path is too long for a socket', async () => {
    const folder = join(await temporaryFolder(), 'long'.repeat(20), 'path'.repeat(20))
    const database = await open(folder)
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
    await database.close()
    const again = await open(folder)
    expect(await again.script('select 2 as two')).toEqual([{ two: 2 }])
  })

  test.runIf(process.platform === 'linux')(
    'may have a name with spaces, quotes and letters of any script',
    async () => {
      const folder = join(await temporaryFolder(), 'Büro "Nr. 1" – it\'s %20 データ')
      const database = await open(folder)
      expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
    },
  )
})

describe('several programs on one folder', () => {
  test('share one PostgreSQL when both start at once on an empty folder', async () => {
    const folder = await temporaryFolder()
    const [one, other] = await Promise.all([openElsewhere(folder), openElsewhere(folder)])
    await one.ask('create table public.shared as select 5 as five')
    expect(await other.ask('select five from public.shared')).toEqual({ rows: [{ five: 5 }] })
    expect(await readdir(folder)).toEqual(['cluster'])
    await Promise.all([one.close(), other.close()])
    expect(await isStopped(folder)).toBe(true)
  })

  test('leave it running for the others, and the last one stops it', async () => {
    const folder = await madeFolder()
    const server = await openElsewhere(folder)
    const pid = await postmasterPid(folder)
    const command = await open(folder)
    await command.script('create table public.made (n int)')
    await command.close()
    expect(await server.ask('select * from public.made')).toEqual({ rows: [] })
    expect(await postmasterPid(folder)).toBe(pid)
    await server.close()
    expect(await isStopped(folder)).toBe(true)
    expect(isRunning(pid)).toBe(false)
  })

  test('all get in when many come and go at once, and leave nothing behind', async () => {
    const folder = await madeFolder()
    await (await open(folder)).close()
    const comeAndGo = async (name: number) => {
      for (let round = 0; round < 8; round++) {
        const database = await openEmbedded({ folder })
        expect(await database.script('select $1::int as name', [name])).toEqual([{ name }])
        await database.close()
      }
    }
    await Promise.all([1, 2, 3, 4, 5].map(comeAndGo))
    expect(await isStopped(folder)).toBe(true)
  })

  test('that leave at the same moment stop it together', async () => {
    const folder = await madeFolder()
    const databases = await Promise.all([1, 2, 3, 4].map(() => openEmbedded({ folder })))
    const pid = await postmasterPid(folder)
    await Promise.all(databases.map((database) => database.close()))
    expect(isRunning(pid)).toBe(false)
    expect(await isStopped(folder)).toBe(true)
  })

  test('close it once, even when asked twice', async () => {
    const folder = await madeFolder()
    const database = await openEmbedded({ folder })
    await Promise.all([database.close(), database.close()])
    await database.close()
    expect(await isStopped(folder)).toBe(true)
  })
})

describe('after a crash', () => {
  test('of the program, the next one finds every commit and stops it in the end', async () => {
    const folder = await madeFolder()
    const crashing = await openElsewhere(folder)
    const pid = await postmasterPid(folder)
    await crashing.ask('create table public.kept as select generate_series(1, 1000) as n')
    await crashing.kill()
    expect(isRunning(pid)).toBe(true)
    const next = await open(folder)
    expect(await next.script('select count(*)::int as rows from public.kept')).toEqual([{ rows: 1000 }])
    expect(await postmasterPid(folder)).toBe(pid)
    await next.close()
    expect(isRunning(pid)).toBe(false)
  })

  test('of PostgreSQL, queries report an outage and then work again without reopening', async () => {
    const folder = await madeFolder()
    const told: string[] = []
    const database = await openEmbedded({ folder, onProgress: (sentence) => told.push(sentence) })
    cleanups.push(() => database.close())
    await database.script('create table public.kept as select 7 as seven')
    const pid = await postmasterPid(folder)
    process.kill(pid, 'SIGKILL')
    await expect(askUntilRefused(database)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(await askUntilAnswered(database, 'select seven from public.kept')).toEqual([{ seven: 7 }])
    await database.close()
    expect(await isStopped(folder)).toBe(true)
    expect(told).toContain('The embedded database has stopped unexpectedly. Starting it again.')
    expect(told).toContain('The embedded database is back.')
  })

  test('of PostgreSQL, all programs that use it come back to the same one', async () => {
    const folder = await madeFolder()
    const [one, other] = await Promise.all([open(folder), open(folder)])
    process.kill(await postmasterPid(folder), 'SIGKILL')
    await expect(askUntilRefused(one)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    await askUntilAnswered(one, 'create table public.made as select 3 as three')
    expect(await askUntilAnswered(other, 'select three from public.made')).toEqual([{ three: 3 }])
    await one.close()
    expect(await askUntilAnswered(other, 'select three from public.made')).toEqual([{ three: 3 }])
    await other.close()
    expect(await isStopped(folder)).toBe(true)
  })

  test('of one of its processes, queries work again', async () => {
    const folder = await madeFolder()
    const database = await open(folder)
    const [backend] = await database.script<{ pid: number }>('select pg_backend_pid() as pid')
    process.kill(backend?.pid ?? 0, 'SIGKILL')
    expect(await askUntilAnswered(database, 'select 1 as one')).toEqual([{ one: 1 }])
    await database.close()
    expect(await isStopped(folder)).toBe(true)
  })

  test('of both, the next program finds every commit', async () => {
    const folder = await madeFolder()
    const crashing = await openElsewhere(folder)
    await crashing.ask('create table public.kept as select generate_series(1, 1000) as n')
    const pid = await postmasterPid(folder)
    process.kill(pid, 'SIGKILL')
    await crashing.kill()
    const next = await open(folder)
    expect(await next.script('select count(*)::int as rows from public.kept')).toEqual([{ rows: 1000 }])
    await next.close()
    expect(await isStopped(folder)).toBe(true)
  })

  test('a PostgreSQL that another process stopped comes back', async () => {
    const folder = await madeFolder()
    const database = await open(folder)
    const pid = await postmasterPid(folder)
    process.kill(pid, 'SIGTERM')
    for (let waits = 0; waits < 1_000 && isRunning(pid); waits++) await sleep(10)
    expect(await askUntilAnswered(database, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await postmasterPid(folder)).not.toBe(pid)
  })

  test('closing while PostgreSQL is away or on its way back leaves nothing running', async () => {
    const folder = await madeFolder()
    for (const waitMs of [0, 5, 20, 50, 100, 200]) {
      const database = await openEmbedded({ folder })
      process.kill(await postmasterPid(folder), 'SIGKILL')
      await sleep(waitMs)
      await database.close()
      const pid = await postmasterPid(folder).catch(() => null)
      expect(pid !== null && isRunning(pid)).toBe(false)
    }
  })

  test('closing while PostgreSQL recovers by itself leaves nothing running', async () => {
    const folder = await madeFolder()
    for (const waitMs of [0, 5, 20, 50, 100, 200]) {
      const database = await openEmbedded({ folder })
      const [backend] = await database.script<{ pid: number }>('select pg_backend_pid() as pid')
      process.kill(backend?.pid ?? 0, 'SIGKILL')
      await sleep(waitMs)
      await database.close()
      expect(await isStopped(folder)).toBe(true)
    }
  })

  test.runIf(process.platform === 'linux')('a lock file with a recycled process id does not block it', async () => {
    const folder = await madeFolder()
    await (await open(folder)).close()
    const stranger = spawn('sleep', ['60'], isRoot ? { uid: nobody, gid: nobody } : {})
    cleanups.push(() => stranger.kill())
    for (const name of ['postmaster.pid', '.s.PGSQL.5432.lock']) {
      const lock = join(folder, 'cluster', name)
      await writeFile(lock, `${stranger.pid}\n/proc/self/cwd\n1\n5432\n`)
      if (isRoot) await chown(lock, nobody, nobody)
    }
    const database = await open(folder)
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('a folder that cannot be opened is refused with a message', () => {
  test('when it holds other files, which stay unchanged', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'thesis.txt'), 'mine')
    await expect(open(folder)).rejects.toThrow(/holds other files \(thesis\.txt\) and no embedded database/)
    expect(await readdir(folder)).toEqual(['thesis.txt'])
    expect((await stat(folder)).mode & 0o777).toBe(0o755)
  })

  test('when it was made by another PostgreSQL', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'cluster'))
    await writeFile(join(folder, 'cluster', 'PG_VERSION'), '15\n')
    await expect(open(folder)).rejects.toThrow(
      /made by PostgreSQL 15, and this is PostgreSQL \d+\. See docs\/guides\/embedded-database\.md\./,
    )
  })

  test('when its cluster is incomplete', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'cluster'))
    await writeFile(join(folder, 'cluster', 'notes.txt'), 'mine')
    await expect(open(folder)).rejects.toThrow(/not a PostgreSQL cluster/)
  })

  test('when it is a file', async () => {
    const file = join(await temporaryFolder(), 'file')
    await writeFile(file, '')
    await expect(open(file)).rejects.toThrow(/cannot be used/)
  })

  test('when PostgreSQL cannot start there, with PostgreSQL’s own message', async () => {
    const folder = await madeFolder()
    await (await open(folder)).close()
    await rm(join(folder, 'cluster', 'global', 'pg_control'))
    await expect(open(folder)).rejects.toThrow(/did not start: .*pg_control/s)
  })

  test.runIf(isRoot)('when it belongs to another user', async (context) => {
    if (!isReachableForNobody()) context.skip('nobody may not enter this clone')
    const folder = await madeFolder()
    await (await open(folder)).close()
    const locked = await openElsewhere(folder, asNobody)
    expect(locked.greeting).toMatchObject({ failed: expect.stringMatching(/cannot be used: .*permission denied/) })
    await chown(folder, nobody, nobody)
    await chown(join(folder, 'cluster'), 4_321, 4_321)
    const foreign = await openElsewhere(folder, asNobody)
    expect(foreign.greeting).toMatchObject({ failed: expect.stringMatching(/belongs to the user with the id 4321/) })
  })
})

describe('a leftover of a crash or a hurried clean-up', () => {
  test('does not block the folder, and is removed once it is old', async () => {
    const folder = await temporaryFolder()
    const young = join(folder, 'cluster.aaaaaa')
    const old = join(folder, 'cluster.bbbbbb')
    await mkdir(young)
    await mkdir(old)
    await writeFile(join(old, 'PG_VERSION'), '18\n')
    await utimes(old, 0, 0)
    await open(folder)
    expect((await readdir(folder)).sort()).toEqual(['cluster', 'cluster.aaaaaa'])
  })
})

describe('the user that PostgreSQL runs as', () => {
  test.runIf(isRoot)('has a unique id under root, even where only root may enter the parent folders', async () => {
    const parent = await temporaryFolder() // mkdtemp makes it 0700
    const folder = join(parent, 'data')
    const database = await open(folder)
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
    expect((await stat(folder)).uid).toBe(0)
    const { uid } = await stat(join(folder, 'cluster'))
    expect([0, nobody]).not.toContain(uid)
    const everyone = await readFile('/etc/passwd', 'utf8')
    expect(everyone.split('\n').map((line) => line.split(':')[2])).not.toContain(String(uid))
  })

  test.runIf(isRoot)('differs for each folder of root and stays with a folder that moves', async () => {
    const parent = await temporaryFolder()
    const [one, other] = [join(parent, 'one'), join(parent, 'other')]
    const [first, second] = await Promise.all([open(one), open(other)])
    const uids = await Promise.all([one, other].map(uidOfCluster))
    expect(uids[0]).not.toBe(uids[1])
    expect(await uidOfProcess(await postmasterPid(one))).toBe(uids[0])
    // the superuser of one database may go where its PostgreSQL may
    const path = `/proc/${await postmasterPid(other)}/cwd/PG_VERSION`
    const reading = first.script('select pg_read_file($1)', [path])
    await expect(reading).rejects.toMatchObject({ reason: expect.stringMatching(/permission denied/i) })
    await Promise.all([first.close(), second.close()])
    const moved = join(parent, 'moved')
    await rename(one, moved)
    const again = await open(moved)
    expect(await again.script('select 1 as one')).toEqual([{ one: 1 }])
    expect(await uidOfCluster(moved)).toBe(uids[0])
  })

  test.runIf(isRoot)('is the same for root processes that open a folder at once', async () => {
    const folder = await temporaryFolder()
    for (const _ of ['a new one', 'one that root restored']) {
      const openers = await Promise.all([openElsewhere(folder), openElsewhere(folder), openElsewhere(folder)])
      for (const opener of openers) expect(opener.greeting).toEqual({ opened: true })
      for (const opener of openers) expect(await opener.ask('select 1 as one')).toEqual({ rows: [{ one: 1 }] })
      for (const opener of openers) await opener.close()
      execFileSync('chown', ['-R', '0:0', join(folder, 'cluster')])
    }
  })

  test.runIf(isRoot)('replaces the shared id of an older version once no PostgreSQL runs', async () => {
    const folder = await madeFolder()
    await (await open(folder)).close()
    const shared = 65_432
    execFileSync('chown', ['-R', `${shared}:${shared}`, join(folder, 'cluster')])
    const database = await open(folder)
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
    expect(await uidOfCluster(folder)).not.toBe(shared)
  })

  test.runIf(isRoot)('keeps the shared id while the PostgreSQL of an older version runs', async () => {
    const folder = await temporaryFolder()
    await chown(folder, 65_432, 65_432) // makes it the owner
    const running = await openElsewhere(folder)
    await chown(folder, 0, 0)
    const database = await open(folder)
    expect(await database.script('select 1 as one')).toEqual([{ one: 1 }])
    expect(await uidOfCluster(folder)).toBe(65_432)
    await running.close()
  })

  test.runIf(isRoot)('is the owner of the folder under root', async () => {
    const folder = await temporaryFolder()
    await chown(folder, 4_321, 4_321)
    await (await open(folder)).close()
    expect((await stat(join(folder, 'cluster'))).uid).toBe(4_321)
    expect(await findAccount(folder, join(folder, 'cluster'))).toEqual({ uid: 4_321, gid: 4_321 })
    await (await open(folder)).close()
  })

  test.runIf(isRoot)('gets back a cluster that root restored from a copy', async () => {
    const folder = await temporaryFolder()
    const first = await open(folder)
    await first.script('create table public.kept as select 7 as seven')
    await first.close()
    const restored = join(await temporaryFolder(), 'restored')
    await cp(folder, restored, { recursive: true })
    const database = await open(restored)
    expect(await database.script('select seven from public.kept')).toEqual([{ seven: 7 }])
  })

  test.runIf(isRoot)('is the ordinary user that opens the folder', async (context) => {
    if (!isReachableForNobody()) context.skip('nobody may not enter this clone')
    const parent = await temporaryFolder()
    await chown(parent, nobody, nobody)
    const folder = join(parent, 'data')
    const ordinary = await openElsewhere(folder, asNobody)
    expect(await ordinary.ask('select 1 as one')).toEqual({ rows: [{ one: 1 }] })
    expect((await stat(folder)).uid).toBe(nobody)
    await ordinary.close()
    expect(await isStopped(folder)).toBe(true)
  })

  test.runIf(isRoot)('can share the folder with root', async (context) => {
    if (!isReachableForNobody()) context.skip('nobody may not enter this clone')
    const parent = await temporaryFolder()
    await chown(parent, nobody, nobody)
    const folder = join(parent, 'data')
    const ordinary = await openElsewhere(folder, asNobody)
    const database = await open(folder)
    await database.script('create table public.made as select 3 as three')
    expect(await ordinary.ask('select three from public.made')).toEqual({ rows: [{ three: 3 }] })
    await ordinary.close()
    expect(await database.script('select three from public.made')).toEqual([{ three: 3 }])
  })
})

describe('the binaries', () => {
  test('work without the links that their install script makes', async () => {
    const binaries = await copyBinaries()
    await chmod(dirname(dirname(binaries.native)), 0o755)
    expect(await readyBinaries(binaries, isRoot ? { uid: nobody, gid: nobody } : {})).toEqual(binaries)
    expect(await readdir(join(binaries.native, 'lib'))).toContain('libpq.so.5')
  })

  test.runIf(isRoot)('are copied once to a place where the account nobody can run them', async () => {
    const version = `18.0.0-test.${process.pid}`
    const binaries = { ...(await copyBinaries()), version } // in a folder only root may enter
    const account = { uid: nobody, gid: nobody }
    const copy = await readyBinaries(binaries, account)
    cleanups.push(() => removeCopy(copy.native))
    expect(copy.native).not.toBe(binaries.native)
    expect(await stat(copy.native)).toMatchObject({ uid: 0, mode: 0o40755 })
    const made = (await stat(join(copy.native, 'bin', 'postgres'))).mtimeMs
    expect(await readyBinaries(binaries, account)).toEqual(copy)
    expect((await stat(join(copy.native, 'bin', 'postgres'))).mtimeMs).toBe(made)
    const initdb = ['-D', join(await nobodysFolder(), 'cluster'), '-A', 'trust', '--no-sync']
    execFileSync(join(copy.native, 'bin', 'initdb'), initdb, { ...account, cwd: '/', stdio: 'ignore' })
  })

  test.runIf(isRoot)('never come from a copy that others could have changed', async () => {
    const version = `18.0.1-test.${process.pid}`
    const binaries = { ...(await copyBinaries()), version }
    const account = { uid: nobody, gid: nobody }
    const copy = await readyBinaries(binaries, account)
    cleanups.push(() => removeCopy(copy.native))
    await chmod(copy.native, 0o777)
    const other = await readyBinaries(binaries, account)
    cleanups.push(() => removeCopy(other.native))
    expect(other.native).not.toBe(copy.native)
  })
})

const asNobody = { uid: nobody, gid: nobody, env: { PATH: process.env['PATH'], HOME: '/tmp' } }

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-test-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A folder with a database that has not been opened yet. */
async function madeFolder(): Promise<string> {
  return fillFolder(await temporaryFolder())
}

async function nobodysFolder(): Promise<string> {
  const folder = await temporaryFolder()
  await chown(folder, nobody, nobody)
  return folder
}

/** Opens a database that is closed after the test. */
async function open(folder: string): Promise<Database> {
  const database = await openEmbedded({ folder })
  cleanups.push(() => database.close())
  return database
}

/** Opens it in a process of its own; `greeting` says whether that worked. */
async function openElsewhere(folder: string, options: object = {}) {
  const child = spawn(process.execPath, [openerPath, builtModule.href, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: '/',
    ...options,
  })
  cleanups.push(() => endProcess(child))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const hear = async () => JSON.parse((await lines.next()).value ?? 'null')
  const ask = (line: string) => {
    child.stdin.write(`${line}\n`)
    return hear()
  }
  return { greeting: await hear(), ask, close: () => ask('close'), kill: () => endProcess(child) }
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function askUntilRefused(database: Database): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) await database.script('select 1')
}

async function askUntilAnswered(database: Database, sql: string): Promise<object[]> {
  for (let tries = 0; tries < 500; tries++) {
    const rows = await database.script<object>(sql).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'temporarily_unavailable' })
    })
    if (rows) return rows
    await sleep(20)
  }
  throw new Error('PostgreSQL did not come back')
}

async function postmasterPid(folder: string): Promise<number> {
  return Number.parseInt(await readFile(join(folder, 'cluster', 'postmaster.pid'), 'utf8'), 10)
}

async function uidOfCluster(folder: string): Promise<number> {
  return (await stat(join(folder, 'cluster'))).uid
}

async function uidOfProcess(pid: number): Promise<number> {
  return (await stat(`/proc/${pid}`)).uid
}

async function isStopped(folder: string): Promise<boolean> {
  return !(await readdir(join(folder, 'cluster'))).includes('postmaster.pid')
}

/** A zombie, which its parent has not collected yet, does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^Z/.test(execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).trim())
  } catch {
    return false
  }
}

async function readLogs(folder: string): Promise<string> {
  const days = join(folder, 'cluster', 'log')
  const files = [join(folder, 'cluster', 'start.log'), ...(await readdir(days)).map((day) => join(days, day))]
  return (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('')
}

/** Whether an ordinary user could run this build: a clone in root's home is closed to others. */
function isReachableForNobody(): boolean {
  try {
    const look = `require('fs').accessSync(${JSON.stringify(fileURLToPath(builtModule))})`
    execFileSync(process.execPath, ['-e', look], { ...asNobody, cwd: '/', stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The package's files without links, in a folder that only its owner may enter. */
async function copyBinaries() {
  const { native, version } = await findBinaries()
  const copy = join(await temporaryFolder(), 'package', 'native')
  const isFile = async (path: string) => !(await lstat(path)).isSymbolicLink()
  await cp(native, copy, { recursive: true, filter: isFile })
  return { native: copy, version }
}

async function removeCopy(native: string): Promise<void> {
  await rm(native, { recursive: true })
  await rmdir(dirname(native)).catch(() => undefined) // unless it holds the copy in use
}
