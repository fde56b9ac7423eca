// Trial: installs a clone, as a new user would
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { randomWord } from '../support/people.ts'
import { freePort } from '../support/sockets.ts'
import { runOn } from '../support/test-cluster.ts'
import { lacksTools } from '../support/tools.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(join(repository, 'README.md'), 'utf8')
const snippets = [...readme.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language, text]) => ({
  language,
  text: `${text}`,
}))
const tried = new Set<string>()

/** The one snippet that holds `mark`, noted as tried. */
function snippet(mark: string): string {
  const found = snippets.filter(({ text }) => text.includes(mark))
  expect(found, `snippets with ${mark}`).toHaveLength(1)
  const text = found[0]?.text ?? ''
  tried.add(text)
  return text
}

describe('every snippet of the README, as a new user would run it', () => {
  const clone = mkdtempSync(join(tmpdir(), 'password-grant-clone-'))
  const children: ChildProcess[] = []
  const credentials: Record<string, string> = {}
  let start: Running
  let token = ''

  beforeAll(() => {
    const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
      cwd: repository,
      encoding: 'utf8',
    })
    for (const file of files.split('\0').filter(Boolean)) cpSync(join(repository, file), join(clone, file))
  })

  afterAll(async () => {
    for (const child of children) await end(child)
    rmSync(clone, { recursive: true, force: true })
  })

  interface Running {
    child: ChildProcess
    output: () => string
    port: string
  }

  /** Runs a snippet in the clone until it says it is ready, on a port of its own. */
  async function run(
    script: string,
    env: Record<string, string> = {},
    isReady = /ready on .*:(\d+)/,
  ): Promise<Running> {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: clone,
      env: { ...environment(), ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    let text = ''
    child.stdout?.on('data', (chunk) => (text += chunk))
    child.stderr?.on('data', (chunk) => (text += chunk))
    for (let tries = 0; tries < 1_000 && !isReady.test(text) && child.exitCode === null; tries += 1) await pause(100)
    const port = isReady.exec(text)?.[1]
    expect(port, text).toBeDefined()
    return { child, output: () => text, port: `${port}` }
  }

  /** Runs a snippet to its end; returns what it printed. */
  function finish(script: string, env: Record<string, string> = {}): string {
    const done = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: clone,
      env: { ...environment(), ...env },
      encoding: 'utf8',
    })
    expect(done.status, done.stderr).toBe(0)
    return done.stdout
  }

  /** The snippets' variables about the client, and the token. */
  function client(): Record<string, string> {
    return { CLIENT_ID: `${credentials['client']}`, CLIENT_SECRET: `${credentials['secret']}`, TOKEN: token }
  }

  function signIn(): string {
    const user = { USER_NAME: `${credentials['user']}`, USER_PASSWORD: `${credentials['password']}` }
    return finish(snippet(':3000/Token').replace(':3000', `:${start.port}`), { ...client(), ...user })
  }

  test('two commands start a server and print credentials', { timeout: 300_000 }, async () => {
    start = await run(snippet('npm start'), { PORT: String(await freePort()) })
    for (const name of ['client', 'secret', 'user', 'password']) {
      credentials[name] = new RegExp(`^ +${name} +(\\S+)$`, 'm').exec(start.output())?.[1] ?? ''
    }
    expect(Object.values(credentials)).not.toContain('')
  })

  test('the first curl command returns the documented JSON', () => {
    const answer = JSON.parse(signIn())
    const shown = JSON.parse(snippet('"access_token"'))
    expect(Object.keys(answer)).toEqual(Object.keys(shown))
    expect({ ...shown, ...pick(answer, ['access_token', 'userId', '.issued', '.expires']) }).toEqual(answer)
    token = answer.access_token
  })

  test('the second tells whose token it is', () => {
    const answer = JSON.parse(finish(snippet('curl -H').replace(':3000', `:${start.port}`), { TOKEN: token }))
    expect(answer.userName).toBe(credentials['user'])
  })

  test('the backend lets the token in and nothing else', async () => {
    writeFileSync(join(clone, 'backend.mjs'), snippet('introspectAt({'))
    const port = String(await freePort())
    await run(
      `node backend.mjs & until curl -s -o /dev/null http://127.0.0.1:${port}; do sleep 0.1; done; echo up :${port}; wait`,
      {
        PORT: port,
        TOKEN_SERVER: `http://127.0.0.1:${start.port}`,
        ...client(),
      },
      /up :(\d+)/,
    )
    const ask = (headers: Record<string, string>, method = 'GET') =>
      fetch(`http://127.0.0.1:${port}/orders`, { method, headers })
    const answer = await ask({ authorization: `Bearer ${token}` })
    expect(await answer.json()).toEqual({ orders: [], of: credentials['user'] })
    expect((await ask({ authorization: `Bearer ${token}` }, 'DELETE')).status).toBe(200)
    expect((await ask({})).status).toBe(401)
    expect((await ask({ authorization: 'Bearer nothing' })).headers.get('www-authenticate')).toContain('invalid_token')
  })

  test('any program asks about a token', () => {
    const answer = JSON.parse(finish(snippet('/introspect').replace(':3000', `:${start.port}`), client()))
    expect(answer).toMatchObject({ active: true, username: credentials['user'] })
  })

  test('a token is kept, and what is told to end has ended', () => {
    writeFileSync(join(clone, 'program.mjs'), snippet('tokenSource({'))
    const said = finish('node program.mjs', {
      ...client(),
      TOKEN_SERVER: `http://127.0.0.1:${start.port}`,
      USER_NAME: `${credentials['user']}`,
      USER_PASSWORD: `${credentials['password']}`,
    })
    expect(said).toContain(`userName: '${credentials['user']}'`)
    token = JSON.parse(signIn()).access_token // that sign-in ended the first token
    expect(finish(snippet('/revoke').replace(':3000', `:${start.port}`), client())).toBe('')
    const askWhose = snippet('curl -H').replace(':3000', `:${start.port}`)
    expect(JSON.parse(finish(askWhose, { TOKEN: token })).error_description).toContain('revoked')
    token = JSON.parse(signIn()).access_token
  })

  test('a client is trusted to say for whom it asks', () => {
    expect(finish(snippet('--trusted'))).toContain('Client my-shop added.')
  })

  test('four dialects are switched on, and each gives a token', async () => {
    const all = await run(snippet('export DIALECTS='), { PORT: '0' })
    const user = { USER_NAME: `${credentials['user']}`, USER_PASSWORD: `${credentials['password']}` }
    const at = (text: string) => text.replace(':3000', `:${all.port}`)
    const session = finish(at(snippet('/v2/token')), user)
    expect(session).toMatch(/^<OAuthToken .*<clientKey>till-3<\/clientKey>/)
    const { success, data } = JSON.parse(finish(at(snippet('/v1/oauth/')), user))
    expect([success, Object.keys(data)]).toEqual([true, ['access_token', 'expiry']])
    const device = { CUSTOMER_KEY: 'only for this test', TOKEN_SERVER: `http://127.0.0.1:${all.port}` }
    expect(finish(snippet('device add'), device)).toContain('"userName":"sensor-1"')
    await end(all.child)
  })

  test('an embedded database moves by two psql scripts', async (context) => {
    const [save, load] = [snippet('clients to'), snippet('clients from')]
    if (lacksTools('tests/e2e/readme.test.ts', ['psql', '--version'])) return context.skip('psql is not installed')
    finish(save)
    await end(start.child)
    renameSync(join(clone, 'data'), join(clone, 'data.old'))
    mkdirSync(join(clone, 'data'))
    cpSync(join(clone, 'data.old', 'encryption-key'), join(clone, 'data', 'encryption-key'))
    const moved = await run('DIALECTS=webapi,device node dist/bin.cjs serve --embedded data', { PORT: '0' })
    finish(load)
    const device = { CUSTOMER_KEY: 'only for this test', TOKEN_SERVER: `http://127.0.0.1:${moved.port}` }
    expect(finish('DEVICE_KEY=sensor-1 sh examples/device.sh', device)).toContain('"userName":"sensor-1"')
    const answer = await fetch(`http://127.0.0.1:${moved.port}/userinfo`, {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(((await answer.json()) as { userName: string }).userName).toBe(credentials['user'])
    await end(moved.child)
  })

  test('a database of your own is set up and served', async () => {
    const { database, url } = await freshDatabase({ isMigrated: false })
    await database.close()
    const script = snippet('export DATABASE_URL=').replace(/DATABASE_URL=\S+/, `DATABASE_URL='${url}'`)
    const own = await run(script, { PORT: '0', NEW_PASSWORD: 'only for this test' })
    const [client] = own.output().match(/^\{.*\}$/m) ?? ['{}']
    const { client_id, client_secret } = JSON.parse(client)
    const answer = await fetch(`http://127.0.0.1:${own.port}/Token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` },
      body: new URLSearchParams({
        grant_type: 'password',
        username: 'grace@example.com',
        password: 'only for this test',
      }),
    })
    expect(((await answer.json()) as { role: string }).role).toBe('Editor')
    await end(own.child)
  })

  test('a role of its own serves, and names that two users share are found', { timeout: 60_000 }, async (context) => {
    const [grant, find] = [snippet('--grant-to'), snippet('having count(*) > 1')]
    const settings = snippet('alter role token_server set')
    if (spawnSync('psql', ['--version']).status !== 0) return context.skip('psql is not installed')
    const { database, url } = await freshDatabase()
    const role = `token_server_${randomWord()}`
    const served = Object.assign(new URL(url), { username: role, password: 'choose-one' }).href
    const script = grant.replaceAll('token_server', role).replace(/^DATABASE_URL=\S+/m, `DATABASE_URL='${served}'`)
    const serving = await run(script, { PORT: '0', DATABASE_URL: url })
    expect((await fetch(`http://127.0.0.1:${serving.port}/health/ready`)).status).toBe(200)
    await end(serving.child)
    await runOn(url, settings.replaceAll('token_server', role).split(/;\s*/).filter(Boolean))
    expect(await runOn(url, find.split(/;\s*/).filter(Boolean))).toEqual([])
    await runOn(url, [`drop owned by ${role}`, `drop role ${role}`])
    await database.close()
  })

  test('the plugin serves inside another application', async () => {
    writeFileSync(join(clone, 'plugin.mjs'), snippet('app.register(tokenServer'))
    const { database, url } = await freshDatabase({ isMigrated: false })
    await database.close()
    const port = String(await freePort())
    const waiting = `until curl -s -o /dev/null http://127.0.0.1:${port}; do sleep 0.1; done; echo up :${port}; wait`
    await run(`node plugin.mjs & ${waiting}`, { PORT: port, DATABASE_URL: url }, /up :(\d+)/)
    const answer = await fetch(`http://127.0.0.1:${port}/Token`, { method: 'POST', body: 'grant_type=password' })
    expect(((await answer.json()) as { error: string }).error).toBe('invalid_client')
    expect((await fetch(`http://127.0.0.1:${port}/orders`)).status).toBe(401)
  })

  test('a program adds a client and a user, and hears of it', async () => {
    writeFileSync(join(clone, 'add-user.mjs'), snippet('addUser(operator'))
    const { database, url } = await freshDatabase()
    const said = finish('node add-user.mjs', { DATABASE_URL: url, NEW_PASSWORD: 'only for this test' })
    await database.close()
    expect([...said.matchAll(/type: '(.+?)'/g)].map(([, type]) => type)).toEqual([
      'client.created',
      'user.created',
      'user.role_changed',
    ])
    expect(await runOn(url, ['select name, role from password_grant.users'])).toEqual([
      { name: 'joan@example.com', role: 'Editor' },
    ])
  })

  test('no snippet was left out', () => {
    expect(snippets.filter(({ text }) => !tried.has(text))).toEqual([])
  })
})

function environment(): Record<string, string> {
  const { PATH = '', HOME = tmpdir() } = process.env
  // a person's shell has no CI, no database of the suite, and the Node that runs these tests
  return { PATH: `${dirname(process.execPath)}:${PATH}`, HOME, npm_config_prefer_offline: 'true' }
}

function pick(object: Record<string, unknown>, names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, object[name]]))
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** Ends a child and everything it started, and waits for it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('close', resolve))
  process.kill(-child.pid, 'SIGTERM')
  await gone
}
