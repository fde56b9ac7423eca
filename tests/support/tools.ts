import { spawnSync } from 'node:child_process'

/** Folders of system programs that the PATH of an ordinary user may lack. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** Where tests look for tools: in PATH, then in the folders of system programs. */
export const toolPath = [process.env['PATH'] ?? '', ...systemFolders].filter((folder) => folder !== '').join(':')

/**
 * Tells whether to skip the tests that need some tools, and names the missing ones on stderr. Each tool is given as a
 * command that succeeds where it is installed. Skips nothing in CI, where a missing tool fails its tests.
 */
export function lacksTools(file: string, ...commands: readonly (readonly string[])[]): boolean {
  const missing = process.env['CI'] ? [] : commands.filter((command) => !succeeds(command))
  for (const command of missing) {
    const where = `neither in PATH (${process.env['PATH']}) nor in ${systemFolders.join(', ')}`
    process.stderr.write(`${file} skips what needs ${command[0]}: \`${command.join(' ')}\` fails, ${where}\n`)
  }
  return missing.length > 0
}

function succeeds([tool = '', ...args]: readonly string[]): boolean {
  return spawnSync(tool, args, { env: { ...process.env, PATH: toolPath } }).status === 0
}
