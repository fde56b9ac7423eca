import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { inject } from 'vitest'

/**
 * Puts a new embedded database into an empty folder, as the product has made it once for this run: making one takes most
 * of the time of the first start. Leaves the folder empty where the run has none. Returns the folder.
 */
export async function fillFolder(folder: string): Promise<string> {
  const made = inject('madeCluster')
  if (made !== null) await promisify(execFile)('cp', ['-R', made, folder])
  return folder
}
