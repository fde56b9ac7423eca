// Any PostgreSQL: the examples ask over HTTP
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret, leakedLines } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { type Finished, readyServer, type ServerProcess } from '../support/processes.ts'
import { bearer } from '../support/requests.ts'
import { freePort, sendBytes } from '../support/sockets.ts'
import { lacksTools, toolPath } from '../support/tools.ts'
import { eventually, signInAt } from '../support/wire.ts'

const thisFile = 'tests/e2e/examples.test.ts'
const repository = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string) => readFileSync(join(repository, 'examples', file), 'utf8')

/** The index, as file → what it says to run. */
const commands = new Map(
  [...read('README.md').matchAll(/^\| \[(.+?)\]\(\1\) \|.+\| (.+) \|$/gm)].map(([, file = '', how = '']) => [
    file,
    how,
  ]),
)

const children: ChildProcess[] = []
const stops: (() => Promise<unknown> | unknown)[] = []
let database: Database
let server: ServerProcess
let gone: string
let client: Awaited<ReturnType<typeof addClient>>
let editor: Awaited<ReturnType<typeof addUser>>
let reader: Awaited<ReturnType<typeof addUser>>

beforeAll(async () => {
  const fresh = await freshDatabase()
  database = fresh.database
  server = await readyServer({ environment: { DATABASE_URL: fresh.url } })
  gone = `http://127.0.0.1:${await freePort()}`
  client = await addClient(database)
  editor = await addUser(database)
  reader = await addUser(database, { role: 'Reader' })
})
afterAll(async () => {
  for (const child of children) await end(child)
  for (const stop of stops) await stop()
  await database.close()
})

const signIn = async (user = editor): Promise<string> =>
  (await signInAt(server.url, { client, user })).body.access_token

const environment = () => ({
  TOKEN_SERVER: server.url,
  CLIENT_ID: client.id,
  CLIENT_SECRET: client.secret,
  USER_NAME: editor.name,
  USER_PASSWORD: editor.password,
  API_URL: `${server.url}/userinfo`,
})

/** Counts the sign-ins of a user so far. The log comes later than the answer, so it waits for the line of one more. */
const signIns = async (user: { id: string }) => {
  const last = await addUser(database)
  await signIn(last)
  await eventually(async () => server.lines.some((line) => line.includes(last.id)), Boolean)
  return server.lines.filter((line) => line.includes('"event":"sign-in"') && line.includes(user.id)).length
}

test('every recipe has its line in the index', () => {
  expect([...commands.keys()].sort()).toEqual(readdirSync(join(repository, 'examples')).sort().slice(1))
})

describe.each(['fastify-backend.mjs', 'express-backend.mjs'])('%s', (file) => {
  let api: string

  beforeAll(async () => {
    api = await startRecipe(file)
  })

  const ask = async (token: string | null, method = 'GET', url = api) =>
    fetch(`${url}/orders`, { method, headers: token === null ? {} : bearer(token) })

  test('answers open routes without a token', async () => {
    expect(await (await fetch(api)).json()).toEqual({ about: 'orders' })
  })

  test('accepts a live token and knows its user', async () => {
    expect(await (await ask(await signIn())).json()).toEqual({ of: editor.name, orders: [] })
  })

  test('refuses an insufficient role with 403', async () => {
    expect(await (await ask(await signIn(), 'DELETE')).json()).toEqual({ deletedBy: editor.name })
    const answer = await ask(await signIn(reader), 'DELETE')
    expect(answer.status).toBe(403)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="orders", error="insufficient_scope"/)
  })

  test('refuses a request without a token with 401 and no error code', async () => {
    for (const headers of [{}, { authorization: 'Basic eDp5' }]) {
      const answer = await fetch(`${api}/orders`, { headers })
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="orders"'])
    }
  })

  test('refuses a replaced token and an invented one with 401 invalid_token', async () => {
    const replaced = await signIn()
    await signIn()
    for (const token of [replaced, 'no-token']) {
      const answer = await ask(token)
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="orders", error="invalid_token"/)
    }
  })

  test('refuses a malformed header and two headers with 400', async () => {
    const answer = await ask('two words')
    expect(answer.status).toBe(400)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="orders", error="invalid_request"/)
    const header = `Authorization: Bearer ${await signIn()}\r\n`
    const bytes = `GET /orders HTTP/1.1\r\nHost: api\r\nConnection: close\r\n${header}${header}\r\n`
    expect(await sendBytes(api, bytes)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('answers 503 without a verdict when it cannot reach the token server or is refused there', {
    timeout: 60_000,
  }, async () => {
    for (const wrong of [{ TOKEN_SERVER: gone }, { CLIENT_SECRET: 'wrong' }]) {
      const answer = await ask(await signIn(), 'GET', await startRecipe(file, wrong))
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
      expect(answer.headers.get('www-authenticate')).toBeNull()
    }
  })
})

describe('express-backend.mjs', () => {
  test('needs no Fastify', async () => {
    const { code, stderr } = await run(['node', '--import', withoutFastify, 'examples/express-backend.mjs'], {
      ...environment(),
      PORT: 'none',
    })
    expect([code, stderr]).toEqual([1, expect.stringContaining('ERR_SOCKET_BAD_PORT')])
  })
})

describe('plugin.mjs', () => {
  const newcomers = () => ({
    CLIENT_ID: `client-${randomWord()}`,
    CLIENT_SECRET: keepSecret(randomWord()),
    USER_NAME: `user-${randomWord()}`,
    USER_PASSWORD: keepSecret(randomWord()),
  })

  test('adds its client and its user at the first start and keeps them at the next', async () => {
    const { database, url } = await freshDatabase({ isMigrated: false })
    stops.push(() => database.close())
    const own = { ...newcomers(), DATABASE_URL: url }
    const [client, user] = [
      { id: own.CLIENT_ID, secret: own.CLIENT_SECRET },
      { name: own.USER_NAME, password: own.USER_PASSWORD },
    ]
    const first = await startTold('plugin.mjs', own)
    const told = first.said.split('\n').filter((line) => line.startsWith('{'))
    expect(told.map((line) => JSON.parse(line))).toEqual([
      { type: 'client.created', clientId: client.id },
      { type: 'user.created', userId: expect.any(String), role: 'Editor' },
    ])
    expect((await signInAt(first.url, { client, user })).body).toMatchObject({ userName: user.name, role: 'Editor' })
    const next = await startTold('plugin.mjs', { ...own, USER_PASSWORD: keepSecret(randomWord()) })
    expect(next.said).not.toContain('added')
    expect((await signInAt(next.url, { client, user })).status).toBe(200)
    expect(leakedLines([first.said, next.said])).toEqual([])
  })

  test('refuses to start with an unacceptable password and says why', async () => {
    const { database, url } = await freshDatabase()
    stops.push(() => database.close())
    const { code, stderr } = await runRecipe('plugin.mjs', {
      ...newcomers(),
      DATABASE_URL: url,
      USER_PASSWORD: 'Password1',
    })
    expect([code, stderr]).toEqual([1, expect.stringContaining('one of the most common passwords')])
  })
})

/** Makes an import of fastify fail in the program that follows. */
const withoutFastify = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module'
  register('data:text/javascript,' + encodeURIComponent(\`
    export async function resolve(name, context, next) {
      if (name === 'fastify') throw new Error('fastify was imported')
      return next(name, context)
    }\`))`)}`

describe.skipIf(lacksTools(thisFile, ['python3', '-c', 'import requests']))('python-requests.py', () => {
  testProgram('python-requests.py')

  const session = (body: string) => `
import os, runpy, time, requests
PasswordGrant = runpy.run_path("examples/python-requests.py")["PasswordGrant"]
names = ("TOKEN_SERVER", "CLIENT_ID", "CLIENT_SECRET", "USER_NAME", "USER_PASSWORD")
session = requests.Session()
session.auth = PasswordGrant(*(os.environ[name] for name in names))
ask = lambda: session.get(os.environ["API_URL"])
${body}`

  test('signs in once for several requests, and again when the token has expired', async () => {
    const { id, secret } = await addClient(database, { lifetimeSeconds: 60 })
    const user = await addUser(database)
    const script = session(`
print([ask().status_code, ask().status_code], flush=True)
input()
now = time.time
time.time = lambda: now() + 60
print(ask().status_code)`)
    const own = { CLIENT_ID: id, CLIENT_SECRET: secret, USER_NAME: user.name, USER_PASSWORD: user.password }
    const child = spawnBare(['python3', '-c', script], { ...environment(), ...own })
    const output = collect(child)
    await eventually(
      async () => output.stdout(),
      (said) => said.includes('[200, 200]'),
    )
    await database.script(
      `update password_grant.tokens
      set issued_at = issued_at - interval '60 s', expires_at = expires_at - interval '60 s' where user_id = $1`,
      [user.id],
    )
    child.stdin?.end('\n')
    await once(child, 'close')
    expect(output.stdout()).toBe('[200, 200]\n200\n')
    expect(await signIns(user)).toBe(2)
  })

  test('does not replace a token that another sign-in ended', async () => {
    const user = await addUser(database)
    const script = session('ask()\nprint("ready", flush=True)\ninput()\nprint(ask().status_code)')
    const own = { USER_NAME: user.name, USER_PASSWORD: user.password }
    const child = spawnBare(['python3', '-c', script], { ...environment(), ...own })
    const output = collect(child)
    await eventually(
      async () => output.stdout(),
      (said) => said.includes('ready'),
    )
    await signIn(user)
    child.stdin?.end('\n')
    await once(child, 'close')
    expect(output.stdout()).toBe('ready\n401\n')
    expect(await signIns(user)).toBe(2)
  })
})

describe('cron-job.mjs', () => {
  testProgram('cron-job.mjs')
})

describe.skipIf(lacksTools(thisFile, ['curl', '--version']))('curl.sh', () => {
  test('signs in, uses the token, introspects it and ends it', async () => {
    const { code, stdout, stderr } = await runRecipe('curl.sh')
    expect([code, stderr]).toEqual([0, ''])
    const answers = stdout.split('\n').filter((line) => line.startsWith('{'))
    expect(answers.map((answer) => JSON.parse(answer))).toEqual([
      expect.objectContaining({ userName: editor.name }),
      expect.objectContaining({ active: true, username: editor.name }),
      { active: false },
    ])
  })

  test('passes any characters on unchanged', async () => {
    const user = await addUser(database, { password: `"pä ss\\n&=+%41'$HOME @${randomWord()}` })
    const { code } = await runRecipe('curl.sh', { USER_NAME: user.name, USER_PASSWORD: user.password })
    expect(code).toBe(0)
  })

  test('exits with 1 when refused and with 75 when the server is unavailable', async () => {
    const refused = await runRecipe('curl.sh', { USER_PASSWORD: 'wrong' })
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('invalid_grant')])
    expect((await runRecipe('curl.sh', { TOKEN_SERVER: gone })).code).toBe(75)
    const outage = await answering(503, '{"error":"temporarily_unavailable"}')
    expect((await runRecipe('curl.sh', { TOKEN_SERVER: outage })).code).toBe(75)
  })

  test('passes no secret as a process argument', async () => {
    const folder = await temporaryFolder()
    const real = execFileSync('sh', ['-c', 'command -v curl'], {
      env: { PATH: toolPath },
      encoding: 'utf8',
    }).trim()
    writeFileSync(join(folder, 'curl'), `#!/bin/sh\necho "$@" >>${folder}/arguments\nexec ${real} "$@"\n`)
    chmodSync(join(folder, 'curl'), 0o755)
    await runRecipe('curl.sh', { PATH: `${folder}:${toolPath}` })
    const seen = readFileSync(join(folder, 'arguments'), 'utf8')
    expect(seen.match(/--config - http/g)).toHaveLength(5)
    expect(seen).not.toMatch(/[\w-]{40}/)
    expect(leakedLines(seen.split('\n'))).toEqual([])
  })
})

describe.skipIf(lacksTools(thisFile, ['nginx', '-v']))('nginx-auth-request.conf', () => {
  let proxy: string
  let away: string

  beforeAll(async () => {
    const api = await listening(async (request) => {
      const { authorization } = request.headers
      const status = request.url === '/broken' ? 500 : 200
      return { status, body: JSON.stringify({ authorization, body: await text(request) }) }
    })
    proxy = await startNginx(server.url, api)
    away = await startNginx(gone, api)
  })

  test('forwards a request with a live token unchanged', async () => {
    const headers = bearer(await signIn())
    const answer = await fetch(`${proxy}/orders`, { method: 'POST', body: 'a long order'.repeat(1_000), headers })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ ...headers, body: 'a long order'.repeat(1_000) })
    expect((await fetch(`${proxy}/orders`, { headers })).status).toBe(200)
  })

  test('passes the token server’s 401 on to the caller once the token has ended', async () => {
    const replaced = await signIn()
    expect((await fetch(proxy, { headers: bearer(replaced) })).status).toBe(200)
    await signIn()
    const answer = await fetch(proxy, { headers: bearer(replaced) })
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([401, 'no-store'])
    expect(answer.headers.get('retry-after')).toBeNull()
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer realm="password-grant", error="invalid_token", ' +
        'error_description="The token was replaced by a newer sign-in of the same user."',
    )
    expect(await answer.json()).toEqual({ error_description: expect.any(String) })
  })

  test('tells a caller without a token how to send one', async () => {
    const answer = await fetch(proxy)
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="password-grant"'])
  })

  test('answers a malformed header with 400', async () => {
    const answer = await fetch(proxy, { headers: bearer('two words') })
    expect([answer.status, (await json(answer))['error']]).toEqual([400, 'invalid_request'])
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_request"')
    expect(answer.headers.get('retry-after')).toBeNull()
  })

  test('refuses two tokens even when one is live', async () => {
    const headers = `Authorization: Bearer ${await signIn()}\r\nAuthorization: Bearer another\r\n`
    const bytes = `GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n${headers}\r\n`
    expect(await sendBytes(proxy, bytes)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('answers 503 without a verdict while the token server is away', async () => {
    for (const headers of [bearer(await signIn()), bearer('two words'), undefined]) {
      const answer = await fetch(away, headers ? { headers } : {})
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
      expect(answer.headers.get('www-authenticate')).toBeNull()
      expect((await json(answer))['error']).toBe('temporarily_unavailable')
    }
  })

  test('passes a failure of the API on unchanged', async () => {
    const headers = bearer(await signIn())
    expect((await fetch(`${proxy}/broken`, { headers })).status).toBe(500)
  })

  test('hides its internal location', async () => {
    const answer = await fetch(`${proxy}/.token`, { headers: bearer(await signIn()) })
    expect(answer.status).toBe(404)
  })
})

/** The promises of a program that signs in and calls an API. */
function testProgram(file: string): void {
  test('signs in, calls the API and exits with 0', async () => {
    const { code, stdout, stderr } = await runRecipe(file)
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout).userName).toBe(editor.name)
  })

  test('exits with 1 and prints the reason when refused', async () => {
    const { code, stdout, stderr } = await runRecipe(file, { USER_PASSWORD: 'wrong' })
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining('invalid_grant')])
    const forbidding = await answering(403, '{}')
    expect((await runRecipe(file, { API_URL: forbidding })).code).toBe(1)
  })

  test('exits with 75 when the token server or the API is away', async () => {
    const outage = await answering(503, '{"error":"temporarily_unavailable"}')
    for (const wrong of [{ TOKEN_SERVER: gone }, { API_URL: gone }, { API_URL: outage }]) {
      const { code, stdout, stderr } = await runRecipe(file, wrong)
      expect([code, stdout, stderr]).toEqual([75, '', expect.stringMatching(/./)])
      expect(leakedLines([stderr])).toEqual([])
    }
  })
}

/** Starts what a recipe's line in the index says; resolves to where it listens. */
async function startRecipe(file: string, more: Record<string, string> = {}): Promise<string> {
  return (await startTold(file, more)).url
}

/** The same, with what it said until then. */
async function startTold(file: string, more: Record<string, string>): Promise<{ url: string; said: string }> {
  const child = spawnBare(commandOf(file), { ...environment(), PORT: '0', ...more })
  children.push(child)
  const output = collect(child)
  const said = await eventually(
    async () => output.stdout() + output.stderr(),
    (all) => all.includes('ready on') || child.exitCode !== null,
  )
  return { url: /ready on (\S+)/.exec(said)?.[1] ?? expect.fail(said), said }
}

/** Runs what a recipe's line in the index says to its end. */
function runRecipe(file: string, more: Record<string, string> = {}): Promise<Finished> {
  return run(commandOf(file), { ...environment(), ...more })
}

function commandOf(file: string): string[] {
  return /^`(.+)`$/.exec(commands.get(file) ?? '')?.[1]?.split(' ') ?? expect.fail(`no command for ${file}`)
}

async function run(command: string[], variables: Record<string, string>): Promise<Finished> {
  const child = spawnBare(command, variables)
  const output = collect(child)
  child.stdin?.end()
  const limit = setTimeout(() => child.kill('SIGKILL'), 180_000)
  await once(child, 'close')
  clearTimeout(limit)
  return { code: child.exitCode, stdout: output.stdout(), stderr: output.stderr() }
}

/** With nothing of the machine's own environment, in the repository's folder. */
function spawnBare([command = '', ...args]: string[], variables: Record<string, string>): ChildProcess {
  const { HOME = '' } = process.env
  const program = command === 'node' ? process.execPath : command
  return spawn(program, args, {
    cwd: repository,
    env: { PATH: toolPath, HOME, PYTHONDONTWRITEBYTECODE: '1', ...variables },
  })
}

function collect(child: ChildProcess) {
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      said[name] += chunk
    })
  }
  return { stdout: () => said.stdout, stderr: () => said.stderr }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  await closed
}

async function json(answer: Response): Promise<Record<string, unknown>> {
  return Object(await answer.json())
}

/** A server that gives one answer to everything. */
function answering(status: number, body: string): Promise<string> {
  return listening(async () => ({ status, body }))
}

async function listening(answer: (request: IncomingMessage) => Promise<{ status: number; body: string }>) {
  const listener = createServer(async (request, response) => {
    const { status, body } = await answer(request)
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  stops.push(() => listener.close().closeAllConnections())
  const address = listener.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

/** Runs nginx on the example, changed where a reader would change it; resolves to where it listens. */
async function startNginx(tokenServer: string, api: string): Promise<string> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const example = read('nginx-auth-request.conf')
    .replace('listen 127.0.0.1:8080', `listen 127.0.0.1:${port}`)
    .replace('http://127.0.0.1:3000', tokenServer)
    .replace('http://127.0.0.1:3001', api)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`)
  const main = [
    'daemon off;',
    process.getuid?.() === 0 ? 'user root;' : '',
    'worker_processes 1;',
    `pid ${folder}/nginx.pid;`,
    `error_log ${folder}/error.log crit;`,
    'events {}',
    `http { access_log off; ${temporary.join(' ')} include ${folder}/example; }`,
  ]
  writeFileSync(join(folder, 'example'), example)
  writeFileSync(join(folder, 'nginx.conf'), main.join('\n'))
  const nginx = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', `${folder}/start.log`], {
    env: { ...process.env, PATH: toolPath },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  children.push(nginx)
  process.once('exit', () => nginx.kill('SIGTERM'))
  const url = `http://127.0.0.1:${port}`
  await eventually(
    () => fetch(url).catch(() => null),
    (answer) => answer !== null,
  )
  return url
}
