// Any PostgreSQL: the tests bring their own
// The steps of the guide to the embedded database, and of the runbook for a lost key.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openEmbedded } from '../../src/database/embedded/embedded.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { fillFolder } from '../support/made-folder.ts'
import { randomWord } from '../support/people.ts'
import { readyServer, startServer } from '../support/processes.ts'
import { readSnippet } from '../support/read-snippet.ts'
import { warmCommands } from '../support/warm-commands.ts'

const runWarm = warmCommands()
const saving = readSnippet('guides/embedded-database.md', 'tar -czf')
const restoring = readSnippet('guides/embedded-database.md', 'tar -xzpf')
const lostKey = readSnippet('operations/runbook.md', 'delete from password_grant.signing_keys')

const runIn = (cwd: string, script: string) => spawnSync('sh', ['-euc', script], { cwd, encoding: 'utf8' })

async function listUsers(folder: string): Promise<string[]> {
  const { stdout } = await runWarm(['user', 'list', '--json', '--embedded', folder])
  return JSON.parse(stdout).map(({ userName }: { userName: string }) => userName)
}

const addUser = (folder: string, name: string) =>
  runWarm(['user', 'add', name, '--password-stdin', '--embedded', folder], { input: keepSecret(randomWord()) })

describe('a backup of an embedded database', () => {
  test('is refused while a server runs, and brings back what was there when it was made', async () => {
    const parent = await temporaryFolder()
    const folder = join(parent, 'data')
    await mkdir(folder)
    await fillFolder(folder)
    const server = await readyServer({ environment: { EMBEDDED_FOLDER: folder } })
    await addUser(folder, 'before')
    expect(runIn(parent, saving).status).toBe(1)
    expect(existsSync(join(parent, 'data.tgz'))).toBe(false)
    server.signal('SIGTERM')
    expect(await server.exited).toBe(0)
    expect(runIn(parent, saving)).toMatchObject({ status: 0, stderr: '' })
    await addUser(folder, 'after')
    expect(await listUsers(folder)).toEqual(['after', 'before'])
    expect(runIn(parent, restoring)).toMatchObject({ status: 0, stderr: '' })
    expect(await listUsers(folder)).toEqual(['before'])
  })
})

describe('an embedded database without its encryption key', () => {
  test('serves devices again after the statements of the runbook, and keeps its users', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const environment = { EMBEDDED_FOLDER: folder, DIALECTS: 'webapi,device' }
    const addDevice = () =>
      runWarm(['device', 'add', 'sensor', '--customer-key-stdin'], { environment, input: keepSecret(randomWord()) })
    await (await readyServer({ environment })).end()
    expect((await addDevice()).code).toBe(0)
    await addUser(folder, 'ada')
    await rm(join(folder, 'encryption-key'))
    const refused = startServer({ environment })
    expect(await refused.exited).toBe(1)
    expect(refused.stderr()).toContain('cannot be decrypted: ENCRYPTION_KEY is not the one it was encrypted with')
    const { script, close } = await openEmbedded({ folder })
    await script(lostKey)
    await close()
    expect((await runWarm(['user', 'remove', 'sensor'], { environment })).code).toBe(0)
    expect((await addDevice()).code).toBe(0)
    const server = await readyServer({ environment })
    expect(server.lines.filter((line) => line.includes('encryption-key'))).toEqual([])
    expect(await listUsers(folder)).toEqual(['ada', 'sensor'])
  })
})
