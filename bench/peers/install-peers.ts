import { execFile } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { makeFolder } from '../support/children.ts'
import { root } from '../support/place.ts'
import type { Room } from '../support/room.ts'

const source = fileURLToPath(new URL('bench/peers/', root))

/** Copies the peers to a separate folder and installs their packages from the lock file. */
export async function installPeers(room: Room): Promise<string> {
  const folder = await makeFolder(room)
  for (const name of ['package.json', 'package-lock.json', 'servers']) {
    await cp(join(source, name), join(folder, name), { recursive: true })
  }
  const args = ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--silent']
  await promisify(execFile)('npm', args, { cwd: folder, timeout: 120_000 })
  return folder
}

/** Lists the versions installed in a folder: `express 5.1.0`, ... */
export async function readVersions(folder: string): Promise<string[]> {
  const read = async (path: string) => JSON.parse(await readFile(join(folder, path, 'package.json'), 'utf8'))
  const { dependencies } = await read('.')
  const packages = await Promise.all(Object.keys(dependencies).map((name) => read(join('node_modules', name))))
  return packages.map(({ name, version }) => `${name} ${version}`)
}
