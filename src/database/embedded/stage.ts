import { mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from './error-code.ts'

/**
 * Creates the folder `target` completely or not at all: `fill` works in a folder beside it, which is then renamed. When
 * another process was faster, keeps its folder and discards ours. Rejects with the error of `fill`.
 */
export async function stage(target: string, fill: (staging: string) => Promise<void>): Promise<void> {
  await removeAbandoned(target)
  const staging = await mkdtemp(`${target}.`)
  try {
    await fill(staging)
    await rename(staging, target)
    await sync(dirname(target))
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    if (!wasQuicker.has(errorCode(error))) throw error
  }
}

const wasQuicker = new Set<unknown>(['ENOTEMPTY', 'EEXIST'])

/** Tells whether `name` is a folder that `stage` fills before it renames it to `target`. */
export function isStaging(name: string, target: string): boolean {
  return name.startsWith(`${basename(target)}.`) && /^\w{6}$/.test(name.slice(basename(target).length + 1))
}

const abandonedAfterMs = 10 * 60_000

/**
 * Removes old staging folders. Spares young ones, which another process may be filling: ids of processes are not
 * comparable across containers.
 */
async function removeAbandoned(target: string): Promise<void> {
  const folder = dirname(target)
  for (const name of await readdir(folder)) {
    if (!isStaging(name, target)) continue
    const found = await stat(join(folder, name)).catch(() => null)
    if (found && Date.now() - found.mtimeMs > abandonedAfterMs) {
      await rm(join(folder, name), { recursive: true, force: true })
    }
  }
}

/**
 * Makes the content of a file, or the names in a folder, survive a power loss. Rejects with the file system's error.
 */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
