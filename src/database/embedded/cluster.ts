import { execFile } from 'node:child_process'
import { chmod, constants, lchown, mkdir, open, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Account, findAccount, findNobody } from './account.ts'
import { type Binaries, findBinaries, readyBinaries } from './binaries.ts'
import { errorCode } from './error-code.ts'
import { isStaging, stage, sync } from './stage.ts'

/** An initialised PostgreSQL cluster, running or not, with the account and the binaries that run it. */
export interface Cluster {
  readonly folder: string
  /** PostgreSQL's data folder. */
  readonly path: string
  readonly account: Account
  readonly binaries: Binaries
}

/**
 * Finds the cluster in a folder, or creates both. Throws Error with a sentence for the user in these cases:
 * - The folder holds other files, or a cluster of another PostgreSQL version or another user.
 * - The folder is empty and `mayCreate` is false.
 * - PostgreSQL does not run on this system.
 */
export async function readyCluster(givenFolder: string, mayCreate = true): Promise<Cluster> {
  refusePlatform()
  if (!mayCreate) await requireCluster(resolve(givenFolder))
  const installed = await findBinaries()
  const folder = await makeFolder(resolve(givenFolder))
  const path = join(folder, 'cluster')
  const exists = await findCluster(folder, path, installed)
  const account = await findAccount(folder, path)
  const binaries = await readyBinaries(installed, account)
  await closeToOthers(folder)
  const cluster = { folder, path, account, binaries }
  if (exists) {
    await settleOwnership(cluster)
    return cluster
  }
  await stage(path, (staging) => initialise(staging, cluster))
  return { ...cluster, account: await findAccount(folder, path) } // another process may have created it first
}

/** Throws when there is no cluster, so that a mistyped folder does not become a new database. Creates nothing. */
async function requireCluster(folder: string): Promise<void> {
  const names: string[] = await readdir(folder).catch((cause: unknown): string[] => {
    if (errorCode(cause) === 'ENOENT') return []
    throw refuseFolder(folder, cause)
  })
  const path = join(folder, 'cluster')
  const isForeign = (name: string) => !harmlessNames.has(name) && name !== 'cluster' && !isStaging(name, path)
  const inside: string[] = names.includes('cluster') ? await readdir(path).catch(() => [path]) : []
  if (inside.length > 0 || names.some(isForeign)) return // the caller examines it
  throw new Error(
    `There is no embedded database in ${folder}. Check the folder's name. ` +
      '`password-grant serve` and `password-grant migrate` create a database in an empty folder.',
  )
}

/** Returns the data folder as PostgreSQL sees it. On Linux that works even when it cannot enter the parent folders. */
export function dataFolder(path: string): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : path
}

/** The whole environment of PostgreSQL: this process's own may contain secrets. */
export const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C', TZ: 'UTC' }

function refusePlatform(): void {
  if (process.platform === 'win32') {
    throw new Error('The embedded database does not run on Windows. Use your own PostgreSQL: set DATABASE_URL.')
  }
  if (process.platform !== 'linux' && process.getuid?.() === 0) {
    throw new Error('PostgreSQL does not run as root. Run this command as an ordinary user, or set DATABASE_URL.')
  }
}

async function makeFolder(folder: string): Promise<string> {
  try {
    const firstMade = await mkdir(folder, { recursive: true })
    if (firstMade) {
      for (let made = folder; made.length >= firstMade.length; made = dirname(made)) await sync(dirname(made))
    }
    return await realpath(folder)
  } catch (cause) {
    throw refuseFolder(folder, cause)
  }
}

function refuseFolder(folder: string, cause: unknown): Error {
  return new Error(`The embedded database folder ${folder} cannot be used: ${(cause as Error).message}.`, { cause })
}

/**
 * The name of the key file. It lies beside the cluster, so that a copy of the database alone decrypts no customer key.
 */
export const encryptionKeyFile = 'encryption-key'

/** Names that a folder for a database may contain: the key, and what mount points and fresh clones have. */
const harmlessNames = new Set([encryptionKeyFile, 'lost+found', '.gitkeep', '.gitignore', '.DS_Store'])

async function findCluster(folder: string, path: string, { version }: Binaries): Promise<boolean> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw refuseFolder(folder, cause)
  })
  if (names.includes('cluster') && (await isCluster(folder, path, version.split('.')[0] ?? ''))) return true
  const foreign = names.find((name) => name !== 'cluster' && !harmlessNames.has(name) && !isStaging(name, path))
  if (!foreign) return false
  throw new Error(
    `The folder ${folder} holds other files (${foreign}) and no embedded database. Choose an empty folder.`,
  )
}

/** Returns false for an empty folder, which the new cluster replaces. */
async function isCluster(folder: string, path: string, ourMajor: string): Promise<boolean> {
  try {
    const major = (await readFile(join(path, 'PG_VERSION'), 'utf8')).trim()
    if (major === ourMajor) return true
    throw new Error(
      `The embedded database in ${folder} was made by PostgreSQL ${major}, and this is PostgreSQL ${ourMajor}. ` +
        'See docs/guides/embedded-database.md.',
    )
  } catch (error) {
    if (errorCode(error) === 'EACCES') await findAccount(folder, path) // throws a better sentence
    if (errorCode(error) !== 'ENOENT') throw errorCode(error) ? refuseFolder(folder, error) : error
  }
  if ((await readdir(path)).length === 0) return false
  throw new Error(`The folder ${path} holds something that is not a PostgreSQL cluster. Choose an empty folder.`)
}

async function closeToOthers(path: string): Promise<void> {
  const found = await stat(path)
  if (found.uid === process.getuid?.() && (found.mode & 0o077) !== 0) await chmod(path, 0o700)
}

/**
 * Repairs a cluster that root restored from a backup: root owns it, with loose modes, so no PostgreSQL can run in it.
 */
async function settleOwnership({ path, account }: Cluster): Promise<void> {
  await closeToOthers(path)
  if (account.uid !== undefined && (await stat(path)).uid !== account.uid) await handOver(path, account)
}

/** Walks open folders as root, so that no user can replace one by a link to files of another user meanwhile. */
async function handOver(path: string, account: Account): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const inside = `/proc/self/fd/${handle.fd}`
    for (const entry of await readdir(inside, { withFileTypes: true })) {
      const inner = join(inside, entry.name)
      const handingOver = entry.isDirectory()
        ? handOver(inner, account)
        : lchown(inner, account.uid ?? -1, account.gid ?? -1)
      await handingOver.catch(ignoreMissing) // another process may have started PostgreSQL, which removed a file
    }
    await handle.chown(account.uid ?? -1, account.gid ?? -1) // last, since its owner marks the whole as handed over
  } finally {
    await handle.close()
  }
}

function ignoreMissing(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error
}

async function initialise(staging: string, { account, binaries, folder }: Cluster): Promise<void> {
  try {
    await runInitdb(staging, binaries, account).catch(async (error: InitdbError) => {
      if (account.uid === undefined || !isNameless(error)) throw error
      // the owner of a mounted folder may have no name on this system; only initdb requires one
      await runInitdb(staging, binaries, await findNobody())
      await handOver(staging, account)
    })
  } catch (cause) {
    const said = (cause as InitdbError).stderr?.trim() || (cause as Error).message
    const advice = isNameless(cause as InitdbError)
      ? '. Give this user a line in /etc/passwd, or set DATABASE_URL.'
      : ''
    throw new Error(`No embedded database could be created in ${folder}: ${said}${advice}`, { cause })
  }
}

function isNameless({ stderr = '' }: InitdbError): boolean {
  return stderr.includes('could not look up effective user')
}

type InitdbError = Error & { stderr?: string }

async function runInitdb(staging: string, { native }: Binaries, account: Account): Promise<void> {
  const flags = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  flags.push('--locale=C', '--no-instructions', '-D', dataFolder(staging))
  if (account.uid !== undefined) await lchown(staging, account.uid, account.gid ?? account.uid)
  await promisify(execFile)(join(native, 'bin', 'initdb'), flags, { ...account, cwd: staging, env: environment })
}
