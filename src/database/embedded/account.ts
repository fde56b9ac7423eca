import { readFile, stat } from 'node:fs/promises'

/** Whom PostgreSQL runs as: empty for ourselves, an unprivileged user when we are root. */
export interface Account {
  readonly uid?: number
  readonly gid?: number
}

/**
 * Finds the account for a cluster: ourselves, or as root (which PostgreSQL refuses) the owner of the cluster,
 * of its folder, else an id that nobody has. Throws Error when the cluster belongs to somebody we cannot act for.
 */
export async function findAccount(folder: string, clusterPath: string): Promise<Account> {
  const cluster = await stat(clusterPath).catch(() => null)
  const ourUid = process.getuid?.()
  if (ourUid === 0) return ownerUnlessRoot(cluster) ?? ownerUnlessRoot(await stat(folder)) ?? findFreeAccount()
  if (cluster && cluster.uid !== ourUid) {
    throw new Error(
      `The embedded database in ${folder} belongs to the user with the id ${cluster.uid}. Run this command as that user.`,
    )
  }
  return {}
}

function ownerUnlessRoot(owner: { uid: number; gid: number } | null): Account | null {
  return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : null
}

/** An id that no user of this machine has, so that no other process shares its rights. */
async function findFreeAccount(): Promise<Account> {
  const taken = await Promise.all(['/etc/passwd', '/etc/group'].map((file) => readFile(file, 'utf8').catch(() => '')))
  let id = 65_432 // in a range that distributions leave alone
  while (new RegExp(`^[^:]*:[^:]*:${id}:`, 'm').test(taken.join('\n'))) id -= 1
  return { uid: id, gid: id }
}

/** The user with the fewest rights, who has a name. */
export async function findNobody(): Promise<Account> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? []
  return Number(uid) > 0 ? { uid: Number(uid), gid: Number(gid) } : { uid: 65_534, gid: 65_534 }
}
