import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { hasLivePostmaster } from './running.ts'

/** The user that PostgreSQL runs as: empty for the current user, an unprivileged one when this process is root. */
export interface Account {
  readonly uid?: number
  readonly gid?: number
}

/**
 * Finds the account for a cluster: the current user, or, when that is root, which PostgreSQL refuses, the owner of the
 * cluster, the owner of its folder, or an id that no other folder has. The cluster keeps its owner, even when it is
 * mounted at another path. Throws Error when the cluster belongs to a user whom this process cannot become.
 */
export async function findAccount(folder: string, clusterPath: string): Promise<Account> {
  const cluster = await stat(clusterPath).catch(() => null)
  const ourUid = process.getuid?.()
  if (ourUid === 0) {
    const owner = (await hasSharedId(cluster, clusterPath)) ? null : ownerUnlessRoot(cluster)
    const found = await stat(folder)
    return owner ?? ownerUnlessRoot(found) ?? findFreeAccount(found)
  }
  if (cluster && cluster.uid !== ourUid) {
    throw new Error(
      `The embedded database in ${folder} belongs to the user with the id ${cluster.uid}. Run this command as that user.`,
    )
  }
  return {}
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

function ownerUnlessRoot(owner: Owner | null): Account | null {
  return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : null
}

/** Version 0.1.0 gave all folders of root the highest of these ids, or the next lower one that no user had. */
const sharedIds = { highest: 65_432, lowest: 65_400 }

/** Tells whether a cluster has a shared id of version 0.1.0 and can get its own, since no PostgreSQL runs on it. */
async function hasSharedId(cluster: Owner | null, clusterPath: string): Promise<boolean> {
  if (!cluster || cluster.uid !== cluster.gid) return false
  if (cluster.uid > sharedIds.highest || cluster.uid < sharedIds.lowest) return false
  return !(await isTaken(cluster.uid)) && !(await hasLivePostmaster(clusterPath))
}

/** A range of ids, both ends included. */
type IdRange = readonly [first: number, last: number]

/**
 * Lies above the ids that systemd gives to containers and that directory services map, and below the limit of 31 bits.
 */
const largeRange: IdRange = [2_000_300_000, 2_147_000_000]
/** For a container that maps only 16 bits: lies above the ids of people and below the overflow ids of the kernel. */
const smallRange: IdRange = [60_706, 65_399]

/**
 * Derives an id from the folder's place on its disk: different folders get different ids, and two processes that open
 * the same folder choose the same one. Skips the ids of users and groups.
 */
async function findFreeAccount(folder: Stats): Promise<Account> {
  const [first, last] = (await canUse(largeRange)) ? largeRange : smallRange
  const count = last - first + 1
  const place = `${folder.dev}:${folder.ino}:${folder.birthtimeMs}`
  const start = createHash('sha256').update(place).digest().readUIntBE(0, 6) % count
  for (let tries = 0; tries < Math.min(count, 1_000); tries += 1) {
    const id = first + ((start + tries) % count)
    if (!(await isTaken(id))) return { uid: id, gid: id }
  }
  throw new Error('No user id is free for the embedded database. Run this command as an ordinary user.')
}

/** Tells whether this user namespace maps the ids; a container may map fewer than the machine has. */
async function canUse([first, last]: IdRange): Promise<boolean> {
  const maps = await Promise.all(['uid_map', 'gid_map'].map((name) => readLines(`/proc/self/${name}`)))
  return maps.every((lines) =>
    lines.some((line) => {
      const [start = 0, , count = 0] = line.trim().split(/\s+/).map(Number)
      return start <= first && start + count > last
    }),
  )
}

/** Tells whether a user or a group of this machine has the id. */
async function isTaken(id: number): Promise<boolean> {
  const lines = await Promise.all(['/etc/passwd', '/etc/group'].map(readLines))
  if (lines.flat().some((line) => line.split(':')[2] === String(id))) return true
  const delegated = await Promise.all(['/etc/subuid', '/etc/subgid'].map(readLines))
  return delegated.flat().some((line) => {
    const [, start = Number.NaN, count = 0] = line.split(':').map(Number)
    return id >= start && id < start + count
  })
}

async function readLines(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split('\n')
}

/** Returns the named user with the fewest rights. */
export async function findNobody(): Promise<Account> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? []
  return Number(uid) > 0 ? { uid: Number(uid), gid: Number(gid) } : { uid: 65_534, gid: 65_534 }
}
