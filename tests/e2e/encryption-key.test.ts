// Any PostgreSQL: the key is about folders and settings
import { createHmac } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { generateBytes } from '../../src/secrets.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { fillFolder } from '../support/made-folder.ts'
import { randomWord } from '../support/people.ts'
import { readyServer, runCommand, startServer } from '../support/processes.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { ask } from '../support/wire.ts'

const runWarm = warmCommands()
const newKey = () => keepSecret(generateBytes(32).toString('base64'))

async function addDevice(environment: Record<string, string>, run = runWarm) {
  const deviceKey = `device-${randomWord()}`
  const customerKey = keepSecret(randomWord())
  const args = ['device', 'add', deviceKey, '--customer-key-stdin']
  return { deviceKey, customerKey, finished: await run(args, { environment, input: customerKey }) }
}

async function statusAt(url: string, { deviceKey, customerKey }: { deviceKey: string; customerKey: string }) {
  const timestamp = Math.floor(Date.now() / 1000)
  const signature = createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
  const { status, body } = await ask(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ device_key: deviceKey, timestamp, device_signature: signature }),
  })
  if (status === 200) keepSecret(body.token)
  return status
}

async function migrated(): Promise<string> {
  const { database, url } = await freshDatabase()
  await database.close()
  return url
}

describe('an embedded database', () => {
  test('gets one encryption key in its folder, for its owner only, even when two processes start at once', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const environment = { EMBEDDED_FOLDER: folder }
    expect((await runWarm(['migrate'], { environment })).code).toBe(0)
    expect(await readdir(folder)).not.toContain('encryption-key')
    const devices = await Promise.all([addDevice(environment, runCommand), addDevice(environment, runCommand)])
    for (const { finished } of devices) expect(finished).toMatchObject({ code: 0, stderr: '' })

    const path = join(folder, 'encryption-key')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const text = await readFile(path, 'utf8')
    expect(text).toMatch(/^[A-Za-z0-9+/]{43}=\n$/)
    keepSecret(text.trim())
    expect((await readdir(folder)).filter((name) => name.includes('encryption-key'))).toEqual(['encryption-key'])

    const server = await readyServer({ environment: { ...environment, DIALECTS: 'device' } })
    for (const device of devices) expect(await statusAt(server.url, device)).toBe(200)
    expect(await readFile(path, 'utf8')).toBe(text)
    await server.end()
  })

  test('is not served when its key file holds no key', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const environment = { EMBEDDED_FOLDER: folder, DIALECTS: 'device' }
    expect((await runWarm(['migrate'], { environment: { EMBEDDED_FOLDER: folder } })).code).toBe(0)
    for (const text of ['', 'too short', `${'x'.repeat(60)}\n`]) {
      await writeFile(join(folder, 'encryption-key'), text)
      const starting = startServer({ environment })
      expect(await starting.exited).toBe(1)
      expect(starting.stderr()).toMatch(/encryption-key does not hold 32 bytes in base64\.\n$/)
    }
  })

  test('uses ENCRYPTION_KEY where it is set and creates no file', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const environment = { EMBEDDED_FOLDER: folder, ENCRYPTION_KEY: newKey() }
    expect((await runWarm(['migrate'], { environment })).code).toBe(0)
    expect((await addDevice(environment)).finished.code).toBe(0)
    expect(await readdir(folder)).not.toContain('encryption-key')
  })
})

describe('with DATABASE_URL', () => {
  test('a server with devices refuses to start without ENCRYPTION_KEY and names the variable', async () => {
    const starting = startServer({ environment: { DATABASE_URL: await migrated(), DIALECTS: 'webapi,device' } })
    expect(await starting.exited).toBe(2)
    expect(starting.stderr()).toMatch(/ENCRYPTION_KEY: .*32 bytes.*device dialect/)
    expect(starting.lines.join('\n')).not.toContain('ready on')
  })

  test('a server without devices starts without ENCRYPTION_KEY', async () => {
    const server = await readyServer({ environment: { DATABASE_URL: await migrated() } })
    expect((await ask(`${server.url}/health/ready`)).status).toBe(200)
    await server.end()
  })

  test('commands refuse to change devices and keys without ENCRYPTION_KEY', async () => {
    const environment = { DATABASE_URL: await migrated() }
    for (const finished of [
      (await addDevice(environment)).finished,
      await runWarm(['key', 'rotate'], { environment }),
    ]) {
      expect(finished).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(/ENCRYPTION_KEY: expected 32/),
      })
    }
    expect((await runWarm(['device', 'list', '--json'], { environment })).stdout).toBe('[]\n')
  })

  test('commands refuse to change devices and keys with a different ENCRYPTION_KEY', async () => {
    const environment = { DATABASE_URL: await migrated(), DIALECTS: 'device', ENCRYPTION_KEY: newKey() }
    const device = await addDevice(environment)
    const server = await readyServer({ environment })
    const another = { ...environment, ENCRYPTION_KEY: newKey() }
    const refused = [(await addDevice(another)).finished, await runWarm(['key', 'rotate'], { environment: another })]
    for (const { code, stdout, stderr } of refused) {
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toContain('ENCRYPTION_KEY is not the one it was encrypted with')
    }
    expect(await statusAt(server.url, device)).toBe(200)
    expect(JSON.parse((await runWarm(['device', 'list', '--json'], { environment })).stdout)).toHaveLength(1)
    await server.end()
  })

  test.each(['c2hvcnQ=', 'x'.repeat(44), '*'.repeat(43)])('%s is refused as a key and not repeated', async (wrong) => {
    const environment = { DATABASE_URL: await migrated(), DIALECTS: 'device', ENCRYPTION_KEY: wrong }
    const starting = startServer({ environment })
    expect(await starting.exited).toBe(2)
    expect(starting.stderr()).toContain('ENCRYPTION_KEY: expected 32 bytes in base64')
    expect(starting.stderr()).not.toContain(wrong)
  })

  test('a server with a different ENCRYPTION_KEY refuses to start with a message and changes nothing', async () => {
    const environment = { DATABASE_URL: await migrated(), DIALECTS: 'device', ENCRYPTION_KEY: newKey() }
    const device = await addDevice(environment)
    const first = await readyServer({ environment })
    const wrong = newKey()
    const starting = startServer({ environment: { ...environment, ENCRYPTION_KEY: wrong } })
    expect(await starting.exited).toBe(1)
    expect(starting.stderr()).toMatch(
      /^signing key [\w-]{43} cannot be decrypted: ENCRYPTION_KEY is not the one it was encrypted with\n$/,
    )
    expect(starting.lines.join('\n')).not.toContain('ready on')
    for (const secret of [wrong, environment.ENCRYPTION_KEY]) expect(starting.stderr()).not.toContain(secret)
    expect(await statusAt(first.url, device)).toBe(200)
    await first.end()
  })
})
