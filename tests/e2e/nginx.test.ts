// Any PostgreSQL: a proxy asks over HTTP
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, type ServerProcess } from '../support/processes.ts'
import { basic, bearer } from '../support/requests.ts'
import { freePort } from '../support/sockets.ts'
import { lacksTools, toolPath } from '../support/tools.ts'

// 127.0.0.2 stands for a client elsewhere, which only Linux lets a program be without asking
const isLinux = process.platform === 'linux'
if (!isLinux) process.stderr.write('tests/e2e/nginx.test.ts is skipped: it needs Linux\n')
const isHere = isLinux && !lacksTools('tests/e2e/nginx.test.ts', ['nginx', '-v'], ['openssl', 'version'])

const clientAddress = '127.0.0.2'

describe.skipIf(!isHere)('examples/nginx.conf', () => {
  let folder: string
  const stops: (() => Promise<unknown>)[] = []
  const agent = new Agent({ keepAlive: false })
  let client: Awaited<ReturnType<typeof addClient>>
  let user: Awaited<ReturnType<typeof addUser>>
  let trusting: Both
  let distrusting: Both
  let away: Both

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'password-grant-nginx-'))
    agent.options.ca = makeCertificate(folder)
    const { database, url } = await freshDatabase()
    stops.push(() => database.close())
    client = await addClient(database)
    user = await addUser(database)
    const startBoth = async (environment: Record<string, string>): Promise<Both> => {
      const server = await readyServer({ environment: { DATABASE_URL: url, ...environment } })
      const nginx = await startNginx(folder, new URL(server.url).port)
      stops.push(nginx.stop)
      return { server, port: nginx.port }
    }
    trusting = await startBoth({ TRUST_PROXY: '127.0.0.1' })
    distrusting = await startBoth({})
    away = await startBoth({ TRUST_PROXY: '127.0.0.1' })
  })
  afterAll(async () => {
    for (const stop of stops) await stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = (port: number, options: Asked) => askThroughTls({ ...options, port, agent })

  const signIn = async (port: number, options: Partial<Asked> = {}) => {
    const { id, secret } = client
    const form = new URLSearchParams({ grant_type: 'password', username: user.name, password: user.password })
    const headers = { 'content-type': 'application/x-www-form-urlencoded', ...basic(id, secret), ...options.headers }
    const answer = await ask(port, { method: 'POST', path: '/Token', body: form.toString(), ...options, headers })
    if (answer.status === 200) keepSecret(JSON.parse(answer.body).access_token)
    return answer
  }

  test('a token by TLS, and whose it is', async () => {
    const answer = await signIn(trusting.port)
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
    expect(answer.headers['strict-transport-security']).toMatch(/^max-age=\d{8,}$/)
    const token = JSON.parse(answer.body).access_token
    const whose = await ask(trusting.port, { method: 'GET', path: '/userinfo', headers: bearer(token) })
    expect(JSON.parse(whose.body).userName).toBe(user.name)
  })

  test('the published GET with a body arrives', async () => {
    expect((await signIn(trusting.port, { method: 'GET' })).status).toBe(200)
  })

  test('the server refuses a long body itself', async () => {
    const answer = await signIn(trusting.port, { body: `x=${'a'.repeat(20_000)}` })
    expect(answer.status).toBe(413)
    expect(JSON.parse(answer.body).error).toBe('invalid_request')
  })

  test('with TRUST_PROXY the log has the client’s real address, not a claimed one', async () => {
    await signIn(trusting.port)
    await signIn(trusting.port, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    const addresses = await signInAddresses(trusting.server, 2)
    expect(new Set(addresses)).toEqual(new Set([clientAddress]))
  })

  test('without TRUST_PROXY the log has the proxy’s address', async () => {
    await signIn(distrusting.port)
    await signIn(distrusting.port, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    const addresses = await signInAddresses(distrusting.server, 2)
    expect(new Set(addresses)).toEqual(new Set(['127.0.0.1']))
  })

  test('no query string is logged', async () => {
    const answer = await signIn(trusting.port, { path: '/token?password=in-the-wrong-place' })
    expect(answer.status).toBe(200)
    const readLog = () => readFileSync(join(folder, 'access.log'), 'utf8')
    await expect.poll(readLog).toMatch(/^127\.0\.0\.2 .+ POST \/token/m) // written after the answer
    expect(readLog()).not.toContain('in-the-wrong-place')
    expect(readFileSync(join(folder, 'error.log'), 'utf8')).toBe('')
  })

  test('while the server is away: 503 in JSON, and still no query in a log', async () => {
    await away.server.end()
    const answer = await signIn(away.port, { path: '/Token?password=in-the-wrong-place' })
    expect(answer.status).toBe(503)
    expect(answer.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers['strict-transport-security']).toBeDefined()
    expect(JSON.parse(answer.body).error).toBe('temporarily_unavailable')
    expect(readFileSync(join(folder, 'error.log'), 'utf8')).not.toContain('in-the-wrong-place')
  })
})

/** A server and the nginx in front of it. */
interface Both {
  readonly server: ServerProcess
  readonly port: number
}

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** One request from `clientAddress`, the certificate checked. */
async function askThroughTls(asked: Asked & { port: number; agent: Agent }): Promise<Answered> {
  const { method, path, port, agent, body = '' } = asked
  const headers = { ...asked.headers, 'content-length': Buffer.byteLength(body) }
  const target = { host: '127.0.0.1', servername: 'tokens.example.com', localAddress: clientAddress }
  const asking = request({ ...target, method, path, port, agent, headers })
  asking.end(body)
  const [response] = await once(asking, 'response')
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

/** The addresses in the server's lines about sign-ins, once there are so many; its output comes a little later. */
async function signInAddresses(server: ServerProcess, atLeast: number): Promise<string[]> {
  const read = () =>
    server.lines.filter((line) => line.includes('"event":"sign-in"')).map((line): string => JSON.parse(line).address)
  await expect.poll(() => read().length).toBeGreaterThanOrEqual(atLeast)
  return read()
}

function makeCertificate(folder: string): string {
  const subject = ['-subj', '/CN=tokens.example.com', '-addext', 'subjectAltName=DNS:tokens.example.com']
  const files = ['-keyout', join(folder, 'privkey.pem'), '-out', join(folder, 'fullchain.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, ...files], {
    env: { ...process.env, PATH: toolPath },
    stdio: 'ignore',
  })
  return readFileSync(join(folder, 'fullchain.pem'), 'utf8')
}

/** Runs nginx on the example, changed where a reader would change it, on a port of its own. */
async function startNginx(folder: string, upstreamPort: string) {
  const port = await freePort()
  const example = readFileSync(new URL('../../examples/nginx.conf', import.meta.url), 'utf8')
    .replaceAll('/etc/ssl/tokens.example.com/', `${folder}/`)
    .replaceAll('/var/log/nginx/password-grant.', `${folder}/`)
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('server 127.0.0.1:3000', `server 127.0.0.1:${upstreamPort}`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  const main = [
    'daemon off;',
    process.getuid?.() === 0 ? 'user root;' : '',
    'worker_processes 1;',
    `pid ${folder}/${port}.pid;`,
    `error_log ${folder}/error.log crit;`,
    'events {}',
    `http { access_log off; ${temporary.join(' ')} include ${folder}/${port}.example; }`,
  ]
  writeFileSync(join(folder, `${port}.example`), example)
  writeFileSync(join(folder, `${port}.conf`), main.join('\n'))
  const nginx = spawn('nginx', ['-p', folder, '-c', `${port}.conf`, '-e', `${folder}/start.log`], {
    env: { ...process.env, PATH: toolPath },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(nginx, 'close')
  process.once('exit', () => nginx.kill('SIGTERM'))
  const stop = async () => {
    nginx.kill('SIGTERM')
    await ended
  }
  for (let tries = 0; !(await answers(port)); tries += 1) {
    if (tries === 600 && nginx.kill('SIGKILL')) throw new Error('nginx does not answer')
    await sleep(100)
  }
  return { port, stop }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  const isUp = await once(socket, 'secureConnect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isUp
}
