import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Runs npm in a folder and returns what it printed. */
export async function runNpm(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('npm', args, { cwd, env: environment, maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

/** Installs into a project, from what npm has downloaded before where that is enough. */
export async function installIn(project: string, ...packages: string[]): Promise<void> {
  await runNpm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', ...packages)
}

/** Without what npm told the script that runs these tests: it would speak for another package. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(registry|userconfig|cache))/i.test(name)),
)
