// Any PostgreSQL: the tests bring their own
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { fillFolder } from '../support/made-folder.ts'
import { randomWord } from '../support/people.ts'
import { readyServer, runCommand, type ServerProcess, spawnProgram } from '../support/processes.ts'
import { freePort } from '../support/sockets.ts'
import { lacksTools } from '../support/tools.ts'

const hasCurl = !lacksTools('tests/e2e/first-start.test.ts', ['curl', '--version'])

describe('the first start in an empty folder', () => {
  test('prints credentials once, before the first log line, with a command that works as printed', async () => {
    const cwd = await temporaryFolder()
    const environment = { PORT: String(await freePort()) } // the command shown names the port
    const first = await readyServer({ environment, cwd }, ['start'])
    const { client, secret, user, password } = readCredentials(first)
    expect([client, user]).toEqual(['first-client', 'ada@example.com'])
    expect([secret, password]).toEqual([
      expect.stringMatching(/^[A-Za-z0-9]{43}$/),
      expect.stringMatching(/^[A-Za-z0-9]{20}$/),
    ])
    expect(await readdir(cwd)).toEqual(['data'])

    const [text, log] = splitOutput(first)
    expect(log.map((line) => typeof JSON.parse(line).msg)).toEqual(log.map(() => 'string'))
    expect(log.at(-1)).toContain(`ready on http://127.0.0.1:${environment.PORT}`)
    for (const credential of [secret, password]) expect(log.join('\n')).not.toContain(credential)

    const command = text.findIndex((line) => line.includes('curl '))
    expect(text.slice(0, command).filter((line) => line.length > 80)).toEqual([])
    for (const place of [first.url, `${first.url}/docs`, './data']) expect(text.join('\n')).toMatch(ending(place))

    if (hasCurl) {
      const pasted = text.slice(command).join('\n')
      const { stdout } = await promisify(execFile)('sh', ['-c', pasted], { timeout: 30_000 })
      const answer = JSON.parse(stdout)
      keepSecret(answer.access_token)
      expect(answer).toEqual({
        access_token: expect.stringMatching(/^[A-Za-z0-9_-]{72}$/),
        token_type: 'bearer',
        expires_in: 1_209_600,
        userName: user,
        userId: expect.any(String),
        role: 'Administrator',
        '.issued': expect.stringMatching(/ GMT$/),
        '.expires': expect.stringMatching(/ GMT$/),
      })
    }
    await first.end()
    expect(await first.exited).toBe(0)

    const second = await readyServer({ cwd }, ['start'])
    expect(splitOutput(second)[0]).toEqual([])
    await second.end()
  })

  test('prints its actual port in the command', async () => {
    const server = await readyServer({ cwd: await nearlyStarted() }, ['start', '--port', '0', '--host', '127.0.0.1'])
    expect(splitOutput(server)[0].join('\n')).toContain(` ${server.url}/Token `)
    readCredentials(server)
    await server.end()
  })

  test('prints no credentials when it fails, and keeps them for the next start', { timeout: 90_000 }, async () => {
    const cwd = await nearlyStarted()
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const refused = await runCommand(['start', '--port', `${port}`], { cwd })
    expect(refused.code).toBe(1)
    expect(refused.stdout).not.toMatch(/^ +(secret|password) |curl /m)
    expect(refused.stderr).toContain('EADDRINUSE')

    if (existsSync('/dev/full')) {
      const full = openSync('/dev/full', 'w')
      const unseen = spawnProgram(['start', '--port', '0'], { cwd, stdout: full })
      closeSync(full)
      expect(await once(unseen, 'exit')).toEqual([1, null])
    }

    const next = await readyServer({ cwd }, ['start'])
    readCredentials(next)
    await next.end()
    const { stdout } = await runCommand(['client', 'list', '--json', '--embedded', 'data'], { cwd })
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ client_id: 'first-client' }))
    const last = await readyServer({ cwd }, ['start'])
    expect(splitOutput(last)[0]).toEqual([])
    await last.end()
  })

  test('creates no user when a command has already added one', async () => {
    const cwd = await nearlyStarted()
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    expect((await runCommand(['start', '--port', `${port}`], { cwd })).code).toBe(1)
    const input = keepSecret(randomWord())
    expect(
      (await runCommand(['user', 'add', 'ada@example.com', '--password-stdin', '--embedded', 'data'], { cwd, input }))
        .code,
    ).toBe(0)
    const next = await readyServer({ cwd }, ['start'])
    expect(splitOutput(next)[0]).toEqual([])
    await next.end()
  })

  test('follows EMBEDDED_FOLDER and --embedded instead of ./data', async () => {
    const cwd = await temporaryFolder()
    const named = await readyServer({ environment: { EMBEDDED_FOLDER: join(cwd, 'named') }, cwd }, ['start'])
    readCredentials(named)
    await named.end()
    expect(await readdir(cwd)).toEqual(['named'])
    const given = await readyServer({ cwd }, ['start', '--embedded', './given'])
    readCredentials(given)
    await given.end()
    expect((await readdir(cwd)).toSorted()).toEqual(['given', 'named'])
  })
})

describe('a start with a database of its own', () => {
  test('on DATABASE_URL migrates it, creates no user and prints no credentials', async () => {
    const cwd = await temporaryFolder()
    const { database, url } = await freshDatabase({ isMigrated: false })
    onTestFinished(() => database.close())
    const server = await readyServer({ environment: { DATABASE_URL: url }, cwd }, ['start'])
    const [text] = splitOutput(server)
    expect(text).toEqual([])
    const counts = await database.script(
      `select (select count(*)::integer from password_grant.clients where not is_built_in) as clients,
        (select count(*)::integer from password_grant.users) as users`,
    )
    expect(counts).toEqual([{ clients: 0, users: 0 }])
    expect(await readdir(cwd)).toEqual([])
    await server.end()
  })

  test('by serve on an empty embedded folder creates no user either', async () => {
    const folder = await temporaryFolder()
    const server = await readyServer({}, ['serve', '--embedded', folder])
    expect(splitOutput(server)[0]).toEqual([])
    await server.end()
    const { stdout } = await runCommand(['user', 'list', '--json', '--embedded', folder])
    expect(stdout).toBe('[]\n')
  })
})

/** A line that ends with a text. */
function ending(text: string): RegExp {
  return new RegExp(` ${text.replaceAll('.', '\\.')}$`, 'm')
}

/** A folder in which a start has come as far as a cluster without tables. */
async function nearlyStarted(): Promise<string> {
  const cwd = await temporaryFolder()
  const data = join(cwd, 'data')
  await mkdir(data)
  await fillFolder(data)
  return cwd
}

/** What was printed for people, and the log after it: nothing but JSON from its first line on. */
function splitOutput({ lines }: ServerProcess): [text: string[], log: string[]] {
  const first = lines.findIndex((line) => line.startsWith('{'))
  const log = lines.slice(first)
  for (const line of log) expect(() => JSON.parse(line), line).not.toThrow()
  return [lines.slice(0, first), log]
}

function readCredentials(server: ServerProcess) {
  const [text] = splitOutput(server)
  const read = (name: string) =>
    text.map((line) => new RegExp(`^ +${name} +(\\S+)$`).exec(line)?.[1]).find(Boolean) ?? ''
  return {
    client: read('client'),
    user: read('user'),
    secret: keepSecret(read('secret')),
    password: keepSecret(read('password')),
  }
}
