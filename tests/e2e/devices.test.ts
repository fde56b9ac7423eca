// Any PostgreSQL: the recipes ask over HTTP
import { execFileSync, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { generateBytes } from '../../src/secrets.ts'
import { nextTimestamp } from '../support/device-time.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret, leakedLines } from '../support/kept-secrets.ts'
import { fillFolder } from '../support/made-folder.ts'
import { randomWord } from '../support/people.ts'
import { type Finished, readyServer, runCommand, type ServerProcess } from '../support/processes.ts'
import { readDocument } from '../support/read-document.ts'
import { freePort } from '../support/sockets.ts'
import { lacksTools, toolPath } from '../support/tools.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { type Answered, ask, eventually, whoseAt } from '../support/wire.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const runWarm = warmCommands()
const kid = expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)

interface Signer {
  readonly deviceKey: string
  readonly customerKey: string
}

async function signInAt(url: string, { deviceKey, customerKey }: Signer): Promise<Answered> {
  const timestamp = nextTimestamp()
  const answered = await ask(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      device_key: deviceKey,
      timestamp,
      device_signature: createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex'),
    }),
  })
  if (answered.status === 200) keepSecret(answered.body.token)
  return answered
}

const newSigner = (): Signer => ({ deviceKey: `device-${randomWord()}`, customerKey: keepSecret(randomWord()) })

async function serverDatabase(): Promise<Record<string, string>> {
  const { database, url } = await freshDatabase()
  await database.close()
  return { DATABASE_URL: url, ENCRYPTION_KEY: keepSecret(generateBytes(32).toString('base64')) }
}

const embeddedDatabase = async () => ({ EMBEDDED_FOLDER: await fillFolder(await temporaryFolder()) })

describe.each([
  ['a PostgreSQL and ENCRYPTION_KEY', serverDatabase],
  ['an embedded database', embeddedDatabase],
])('beside a running server, with %s', (_what, makeEnvironment) => {
  let environment: Record<string, string>
  let server: ServerProcess

  beforeAll(async () => {
    environment = await makeEnvironment()
    server = await readyServer({ environment: { ...environment, DIALECTS: 'device' } })
  })

  async function run(args: readonly string[], input = ''): Promise<Finished> {
    const finished = await runWarm(args, { environment, input })
    expect(leakedLines([finished.stdout, finished.stderr])).toEqual([])
    return finished
  }

  async function json(args: readonly string[], input = '') {
    const { code, stdout, stderr } = await run([...args, '--json'], input)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return readDocument(stdout)
  }

  async function addDevice(): Promise<Signer> {
    const signer = newSigner()
    await json(['device', 'add', signer.deviceKey, '--customer-key-stdin'], `${signer.customerKey}\n`)
    return signer
  }

  test('device add prints the id, and the device signs in at once', async () => {
    const signer = newSigner()
    const args = ['device', 'add', signer.deviceKey, '--role', 'Sensor', '--customer-key-stdin']
    const added = await json(args, `${signer.customerKey}\n`)
    expect(added).toEqual({ userId: uuid, device_key: signer.deviceKey, role: 'Sensor' })
    expect(Object.keys(added)).toEqual(['userId', 'device_key', 'role'])
    const { status, headers, body } = await signInAt(server.url, signer)
    expect([status, Object.keys(body), headers.get('x-ratelimit-limit')]).toEqual([200, ['token'], '10'])
    expect((await whoseAt(server.url, body.token)).body).toMatchObject({
      userName: signer.deviceKey,
      userId: added.userId,
      role: 'Sensor',
    })
  })

  test('device add stores an empty role by default and refuses a duplicate key', async () => {
    const { deviceKey, customerKey } = newSigner()
    const args = ['device', 'add', deviceKey, '--customer-key-stdin']
    expect(await json(args, customerKey)).toEqual({ userId: uuid, device_key: deviceKey, role: '' })
    expect(await run(args, customerKey)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/exists/) })
  })

  test('device disable ends the token and blocks sign-ins until device enable', async () => {
    const signer = await addDevice()
    const { token } = (await signInAt(server.url, signer)).body
    const listed = { userId: uuid, device_key: signer.deviceKey, role: '', enabled: false, created: moment }
    expect(await json(['device', 'disable', signer.deviceKey])).toEqual(listed)
    const { body } = await eventually(
      () => whoseAt(server.url, token),
      ({ status }) => status === 401,
    )
    expect(body.error_description).toBe('The token was revoked. Sign in again.')
    expect((await signInAt(server.url, signer)).status).toBe(401)
    expect(await json(['device', 'list'])).toContainEqual(listed)
    expect(await json(['device', 'enable', signer.deviceKey])).toEqual({ ...listed, enabled: true })
    expect((await whoseAt(server.url, token)).status).toBe(401)
    expect((await signInAt(server.url, signer)).status).toBe(200)
    expect(await json(['device', 'list'])).toContainEqual({ ...listed, enabled: true })
  })

  test('key rotate makes the server sign with the new key and keeps older tokens valid', async () => {
    const older = (await signInAt(server.url, await addDevice())).body.token
    const rotated = await json(['key', 'rotate'])
    expect(rotated).toEqual({ kid })
    const newer = (await signInAt(server.url, await addDevice())).body.token
    expect(decodeProtectedHeader(newer).kid).toBe(rotated.kid)
    expect(decodeProtectedHeader(older).kid).not.toBe(rotated.kid)
    const keys = createRemoteJWKSet(new URL(`${server.url}/.well-known/jwks.json`))
    for (const token of [older, newer]) {
      expect((await whoseAt(server.url, token)).status).toBe(200)
      await expect(jwtVerify(token, keys)).resolves.toBeDefined()
    }
  })

  test('device and key commands work as separate processes and exit by themselves', async () => {
    const { deviceKey, customerKey } = newSigner()
    const commands = [
      [`device add ${deviceKey} --customer-key-stdin`, customerKey],
      [`device disable ${deviceKey}`, ''],
      [`device enable ${deviceKey}`, ''],
      ['device list', ''],
      ['key rotate', ''],
    ] as const
    for (const [command, input] of commands) {
      const { code, stdout, stderr } = await runCommand(`${command} --json`.split(' '), { environment, input })
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
      readDocument(stdout)
    }
  })

  test('unknown keys, empty keys and a missing customer key are refused', async () => {
    for (const word of ['disable', 'enable']) expect((await run(['device', word, 'nobody'])).code).toBe(1)
    const add = ['device', 'add', `device-${randomWord()}`]
    expect((await run([...add, '--customer-key-stdin'], '')).code).toBe(1)
    expect((await run(add, 'a customer key')).code).toBe(2)
  })
})

describe('recipes', () => {
  let environment: Record<string, string>
  let server: ServerProcess

  beforeAll(async () => {
    environment = await serverDatabase()
    server = await readyServer({ environment: { ...environment, DIALECTS: 'device' } })
  })

  async function addDevice(chosen: Partial<Signer> = {}): Promise<Signer> {
    const signer = { ...newSigner(), ...chosen }
    const args = ['device', 'add', '--customer-key-stdin', '--', signer.deviceKey]
    const { code, stderr } = await runWarm(args, { environment, input: signer.customerKey })
    expect([code, stderr]).toEqual([0, ''])
    return { ...signer, customerKey: keepSecret(signer.customerKey) }
  }

  const variables = ({ deviceKey, customerKey }: Signer) => ({
    TOKEN_SERVER: server.url,
    DEVICE_KEY: deviceKey,
    CUSTOMER_KEY: customerKey,
  })

  describe.each([
    ['device.py', 'python3', ['python3', '--version']],
    ['device.sh', 'sh', ['openssl', 'version']],
  ])('%s', (file, program, needed) => {
    const isMissing = lacksTools('tests/e2e/devices.test.ts', needed)
    const runRecipe = (more: Record<string, string>) => runProgram([program, `examples/${file}`], more)

    test.skipIf(isMissing)('is in the index with its command', () => {
      const index = readFileSync(join(repository, 'examples', 'README.md'), 'utf8')
      expect(index).toMatch(
        new RegExp(`^\\| \\[${file}\\]\\(${file}\\) \\|.+\\| \`${program} examples/${file}\` \\|$`, 'm'),
      )
    })

    test.skipIf(isMissing).each<[string, Partial<Signer>]>([
      ['a device', {}],
      [
        'a device with odd characters in its keys',
        { deviceKey: `-"\\ü %s ${randomWord()}`, customerKey: `"\\n$HOME %d鍵' and more` },
      ],
      ['a customer key of just one block', { customerKey: randomWord().repeat(4) }],
      ['a customer key longer than a block', { customerKey: `${randomWord().repeat(4)}x` }],
    ])('signs %s in and prints the user', async (_what, chosen) => {
      const signer = await addDevice(chosen)
      const { code, stdout, stderr } = await runRecipe(variables(signer))
      expect([code, stderr]).toEqual([0, ''])
      expect(JSON.parse(stdout)).toMatchObject({ userName: signer.deviceKey })
    })

    test.skipIf(isMissing)('exits with 1 and prints the reason when refused', async () => {
      const { code, stdout, stderr } = await runRecipe({ ...variables(await addDevice()), CUSTOMER_KEY: 'wrong' })
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining('invalid_grant')])
    })

    test.skipIf(isMissing)('exits with 75 when the server is unavailable', async () => {
      const gone = `http://127.0.0.1:${await freePort()}`
      for (const away of [gone, await answering(503), await answering(429)]) {
        const { code, stdout, stderr } = await runRecipe({ ...variables(newSigner()), TOKEN_SERVER: away })
        expect([code, stdout, stderr]).toEqual([75, '', expect.stringMatching(/./)])
        expect(leakedLines([stderr])).toEqual([])
      }
    })

    test.skipIf(isMissing)('passes no secret as a process argument', async () => {
      const folder = await temporaryFolder()
      for (const tool of ['openssl', 'curl', 'od', 'tr', 'sed', 'tail', 'date', program]) {
        const real = execFileSync('sh', ['-c', `command -v ${tool}`], {
          env: { PATH: toolPath },
          encoding: 'utf8',
        }).trim()
        writeFileSync(
          join(folder, tool),
          `#!/bin/sh\nprintf '%s\\n' "$0 $*" >>${folder}/arguments\nexec ${real} "$@"\n`,
        )
        chmodSync(join(folder, tool), 0o755)
      }
      const signer = await addDevice()
      const { code, stdout } = await runRecipe({ ...variables(signer), PATH: `${folder}:${toolPath}` })
      expect(code, stdout).toBe(0)
      const seen = readFileSync(join(folder, 'arguments'), 'utf8')
      expect(seen).toContain(`examples/${file}`)
      expect(seen).not.toMatch(/[\w-]{40}/) // nor a signature or a token
      const spellings = [signer.customerKey, Buffer.from(signer.customerKey).toString('hex')]
      for (const spelling of spellings) expect(seen).not.toContain(spelling)
    })
  })
})

async function runProgram([command = '', ...args]: string[], variables: Record<string, string>): Promise<Finished> {
  const { HOME = '' } = process.env
  const child = spawn(command, args, {
    cwd: repository,
    env: { PATH: toolPath, HOME, PYTHONDONTWRITEBYTECODE: '1', ...variables },
  })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      said[name] += chunk
    })
  }
  child.stdin.end()
  const limit = setTimeout(() => child.kill('SIGKILL'), 180_000)
  await once(child, 'close')
  clearTimeout(limit)
  return { code: child.exitCode, ...said }
}

/** A server that gives one answer to everything, until the test is over. */
async function answering(status: number): Promise<string> {
  const listener = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":"temporarily_unavailable"}')
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => void listener.close().closeAllConnections())
  const address = listener.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}
