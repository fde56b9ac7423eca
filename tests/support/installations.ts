import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterProcesses } from './processes.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A folder of a test's own, gone after the test file and all its processes. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'password-grant-test-'))
  afterProcesses.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A second copy of the built program, whose migrations a test may change; in a folder of that name, if given. */
export async function copyInstallation(name = 'installation'): Promise<{ bin: string; sql: string }> {
  const folder = join(await temporaryFolder(), name)
  await mkdir(folder)
  for (const name of ['dist', 'sql', 'package.json', 'openapi.yaml']) {
    await cp(join(root, name), join(folder, name), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return { bin: join(folder, 'dist', 'bin.cjs'), sql: join(folder, 'sql') }
}
