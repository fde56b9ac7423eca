// Any PostgreSQL: the tests bring their own
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/installations.ts'
import { runCommand } from '../support/processes.ts'
import { warmCommands } from '../support/warm-commands.ts'

const runWarm = warmCommands()

const commands = [
  'user list',
  'user add ada --password-stdin',
  'client list',
  'client add web-shop',
  'token list',
  'token revoke --user ada',
  'device list',
  'key rotate',
]

describe('a command on a folder without a database', () => {
  test.each(commands)('names the folder and creates nothing: %s', async (command) => {
    const parent = await temporaryFolder()
    const folder = join(parent, 'typo')
    const refused = await runWarm([...command.split(' '), '--embedded', folder], { input: 'pencil-case 12' })
    expect(refused).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(noDatabase(folder)) })
    expect(await readdir(parent)).toEqual([])
  })

  test('leaves an empty folder unchanged', async () => {
    const folder = join(await temporaryFolder(), 'empty')
    await mkdir(folder, { mode: 0o755 })
    const { stderr, code } = await runCommand(['user', 'list', '--embedded', folder])
    expect([code, stderr]).toEqual([1, expect.stringContaining(noDatabase(folder))])
    expect(await readdir(folder)).toEqual([])
    expect((await stat(folder)).mode & 0o777).toBe(0o755)
  })

  test('leaves the folder of an interrupted start unchanged', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'cluster'))
    await mkdir(join(folder, 'cluster.abc123'))
    const { stderr, code } = await runCommand(['user', 'list', '--embedded', folder])
    expect([code, stderr]).toEqual([1, expect.stringContaining(noDatabase(folder))])
    expect(await readdir(join(folder, 'cluster'))).toEqual([])
  })

  test('works once `migrate` has created the database', async () => {
    const folder = join(await temporaryFolder(), 'data')
    expect((await runCommand(['migrate', '--embedded', folder])).code).toBe(0)
    expect(await runCommand(['user', 'list', '--json', '--embedded', folder])).toMatchObject({
      code: 0,
      stdout: '[]\n',
    })
  })
})

function noDatabase(folder: string): string {
  return (
    `There is no embedded database in ${folder}. Check the folder's name. ` +
    '`password-grant serve` and `password-grant migrate` create a database in an empty folder.'
  )
}
