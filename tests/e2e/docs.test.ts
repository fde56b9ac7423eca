// Trial: installs a clone, as a new user would, and runs every snippet of the documentation in it
import { cpSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Clone, type Running } from '../support/clone.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { listTaken, readSnippets, type Snippet, SnippetTrial } from '../support/page-snippets.ts'
import { randomWord } from '../support/people.ts'
import { exceptions, readLanguages, runLanguages } from '../support/snippet-rules.ts'
import { runOn } from '../support/test-cluster.ts'
import { lacksTools } from '../support/tools.ts'

const thisFile = 'tests/e2e/docs.test.ts'
const snippets = new SnippetTrial(
  readSnippets().filter(({ language }) => [...runLanguages, ...readLanguages].includes(language)),
)
const snippet = (mark: string) => snippets.take(mark)
const password = 'only for this test'
const customerKey = 'only for this test'
const first = { client: '', secret: '', user: '', password: '' }
let clone: Clone
let server: Running
let token = ''

beforeAll(() => {
  clone = new Clone()
})
afterAll(() => clone.remove())

/** A snippet as it stands, but for the port. */
const at = (port: string, mark: string): string => snippet(mark).replaceAll(':3000', `:${port}`)

/** The variables that snippets read. */
const asClient = () => ({ CLIENT_ID: first.client, CLIENT_SECRET: first.secret, TOKEN: token })
const asUser = () => ({ USER_NAME: first.user, USER_PASSWORD: first.password })
const askServer = ({ port }: Running) => ({ TOKEN_SERVER: `http://127.0.0.1:${port}` })

const runSignIn = (changes = {}): string =>
  clone.finish(at(server.port, ':3000/Token'), { ...asClient(), ...asUser(), ...changes })

test('two commands start a server and print credentials', { timeout: 300_000 }, async () => {
  server = await clone.start(snippet('npm ci && npm start'), { PORT: '0' })
  for (const name of ['client', 'secret', 'user', 'password'] as const) {
    first[name] = new RegExp(`^ +${name} +(\\S+)$`, 'm').exec(server.output())?.[1] ?? ''
  }
  expect(Object.values(first)).not.toContain('')
})

test('the first curl command returns the documented JSON', () => {
  const answer = JSON.parse(runSignIn())
  token = answer.access_token
  const shown = JSON.parse(snippet('".issued"'))
  expect(Object.keys(answer)).toEqual(Object.keys(shown))
  expect({ ...shown, ...pick(answer, ['access_token', 'userId', '.issued', '.expires']) }).toEqual(answer)
})

test('the second tells whose token it is', () => {
  const answer = JSON.parse(clone.finish(at(server.port, 'curl -H'), asClient()))
  expect(answer.userName).toBe(first.user)
})

test('a wrong password is refused in the documented words', () => {
  const answer = JSON.parse(runSignIn({ USER_PASSWORD: 'wrong' }))
  expect(answer).toEqual(JSON.parse(snippet('"error": "invalid_grant", "error_description"')))
})

test('the backend lets the token in and nothing else', async () => {
  const backend = await clone.serve('backend.mjs', snippet('introspectAt({'), { ...asClient(), ...askServer(server) })
  const ask = (headers: Record<string, string>, method = 'GET') =>
    fetch(`http://127.0.0.1:${backend.port}/orders`, { method, headers })
  const answer = await ask({ authorization: `Bearer ${token}` })
  expect(await answer.json()).toEqual({ orders: [], of: first.user })
  expect((await ask({ authorization: `Bearer ${token}` }, 'DELETE')).status).toBe(200)
  expect((await ask({})).status).toBe(401)
  expect((await ask({ authorization: 'Bearer nothing' })).headers.get('www-authenticate')).toContain('invalid_token')
  await backend.end()
})

test('any program asks about a token', () => {
  const answer = JSON.parse(clone.finish(at(server.port, ':3000/introspect'), asClient()))
  expect(answer).toMatchObject({ active: true, username: first.user })
})

test('a token is kept, and what is told to end has ended', () => {
  const said = clone.run('program.mjs', snippet('tokenSource({'), { ...asClient(), ...asUser(), ...askServer(server) })
  expect(said).toContain(`userName: '${first.user}'`)
  token = JSON.parse(runSignIn()).access_token // that sign-in ended the first token
  expect(clone.finish(at(server.port, ':3000/revoke'), asClient())).toBe('')
  expect(JSON.parse(clone.finish(at(server.port, 'curl -H'), asClient())).error_description).toContain('revoked')
  token = JSON.parse(runSignIn()).access_token
})

test('commands add a client and a user while the server runs', () => {
  const said = clone.finish(snippet('client add web-shop --embedded'), { NEW_PASSWORD: password })
  expect(said).toContain('Client web-shop added.')
  expect(said).toContain('User grace@example.com added.')
})

test('a client is trusted to say for whom it asks', () => {
  expect(clone.finish(snippet('--trusted'))).toContain('Client my-shop added.')
})

test('four dialects are switched on, and each gives a token as documented', async () => {
  const all = await clone.start(snippet('export DIALECTS='), { PORT: '0' })
  const session = clone.finish(at(all.port, '/v2/token'), asUser())
  expect.soft(withoutTexts(session)).toBe(withoutTexts(snippet('<OAuthToken')))
  expect.soft(session).toContain('<clientKey>till-3</clientKey>')
  expect.soft(shapeOf(await signInAsJson(all))).toEqual(shapeOf(JSON.parse(snippet('"sessionKey"'))))
  expect
    .soft(shapeOf(JSON.parse(clone.finish(at(all.port, '/v1/oauth/'), asUser()))))
    .toEqual(shapeOf(JSON.parse(snippet('"expiry"'))))
  const wrong = clone.finish(at(all.port, '/v1/oauth/'), { ...asUser(), USER_PASSWORD: 'wrong' })
  expect.soft(JSON.parse(wrong)).toEqual(JSON.parse(snippet('"1142"')))
  await signInDevice(all)
  await all.end()
})

async function signInAsJson({ port }: Running): Promise<unknown> {
  const form = { grant_type: 'password', userName: first.user, password: first.password, clientKey: 'till-3' }
  const answer = await fetch(`http://127.0.0.1:${port}/v2/token`, { method: 'POST', body: new URLSearchParams(form) })
  expect(answer.status).toBe(200)
  return answer.json()
}

async function signInDevice(all: Running): Promise<void> {
  const device = { CUSTOMER_KEY: customerKey, ...askServer(all) }
  expect.soft(clone.finish(snippet('device add'), device)).toContain('"userName":"sensor-1"')
  expect.soft(Object.keys(JSON.parse(snippet('"token": "')))).toEqual(['token'])
  const stale = { device_key: 'sensor-1', timestamp: 1, device_signature: 'wrong' }
  const answer = await fetch(`http://127.0.0.1:${all.port}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(stale),
  })
  expect.soft(await answer.json()).toEqual(JSON.parse(snippet('"error": "invalid_grant", "message"')))
}

test('an embedded database moves by two psql scripts', async (context) => {
  const [save, load] = [snippet('clients to'), snippet('clients from')]
  if (lacksTools(thisFile, ['psql', '--version'])) return context.skip('psql is not installed')
  clone.finish(save)
  await server.end()
  setFolderAside()
  const moved = await clone.start('DIALECTS=webapi,device node dist/bin.cjs serve --embedded data', { PORT: '0' })
  clone.finish(load)
  const device = { CUSTOMER_KEY: customerKey, ...askServer(moved) }
  expect(clone.finish('DEVICE_KEY=sensor-1 sh examples/device.sh', device)).toContain('"userName":"sensor-1"')
  const answer = JSON.parse(clone.finish(at(moved.port, 'curl -H'), asClient()))
  expect(answer.userName).toBe(first.user)
  await moved.end()
})

/** The new folder has nothing of the old one but its key. */
function setFolderAside(): void {
  const [folder, old] = ['data', 'data.old'].map((name) => join(clone.folder, name)) as [string, string]
  renameSync(folder, old)
  mkdirSync(folder)
  cpSync(join(old, 'encryption-key'), join(folder, 'encryption-key'))
}

test('a database of your own is set up and served', async () => {
  const { database, url } = await freshDatabase({ isMigrated: false })
  await database.close()
  const script = snippet('export DATABASE_URL=').replace(/DATABASE_URL=\S+/, `DATABASE_URL='${url}'`)
  const own = await clone.start(script, { PORT: '0', NEW_PASSWORD: password })
  const [line = '{}'] = own.output().match(/^\{.*\}$/m) ?? []
  const { client_id, client_secret } = JSON.parse(line)
  const answer = await fetch(`http://127.0.0.1:${own.port}/Token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'password', username: 'grace@example.com', password }),
  })
  expect(((await answer.json()) as { role: string }).role).toBe('Editor')
  await own.end()
})

test('a role of its own serves, and names that two users share are found', { timeout: 60_000 }, async (context) => {
  const [grant, find] = [snippet('--grant-to'), snippet('having count(*) > 1')]
  const settings = snippet('alter role token_server set')
  if (lacksTools(thisFile, ['psql', '--version'])) return context.skip('psql is not installed')
  const { database, url } = await freshDatabase()
  const role = `token_server_${randomWord()}`
  const served = Object.assign(new URL(url), { username: role, password: 'choose-one' }).href
  const script = grant.replaceAll('token_server', role).replace(/^DATABASE_URL=\S+/m, `DATABASE_URL='${served}'`)
  const serving = await clone.start(script, { PORT: '0', DATABASE_URL: url })
  expect((await fetch(`http://127.0.0.1:${serving.port}/health/ready`)).status).toBe(200)
  await serving.end()
  await runOn(url, splitStatements(settings.replaceAll('token_server', role)))
  expect(await runOn(url, splitStatements(find))).toEqual([])
  await runOn(url, [`drop owned by ${role}`, `drop role ${role}`])
  await database.close()
})

test('the plugin serves inside another application', async () => {
  const { database, url } = await freshDatabase({ isMigrated: false })
  await database.close()
  const host = await clone.serve('plugin.mjs', snippet('app.register(tokenServer'), { DATABASE_URL: url })
  const token = `http://127.0.0.1:${host.port}/Token`
  const answer = await fetch(token, { method: 'POST', body: 'grant_type=password' })
  expect(((await answer.json()) as { error: string }).error).toBe('invalid_client')
  expect((await fetch(`http://127.0.0.1:${host.port}/orders`)).status).toBe(401)
  await host.end()
})

test('a program adds a client and a user, and hears of it', async () => {
  const { database, url } = await freshDatabase()
  const said = clone.run('add-user.mjs', snippet('addUser(operator'), { DATABASE_URL: url, NEW_PASSWORD: password })
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
  const isExcepted = ({ text }: Snippet) => exceptions.some(({ mark }) => text.includes(mark))
  const taken = listTaken()
  const isTaken = ({ text, pages }: Snippet) =>
    taken.some(({ page, mark }) => pages.includes(page) && text.includes(mark))
  const toRun = snippets.findUntried().filter(({ language }) => runLanguages.includes(language))
  expect(toRun.filter((snippet) => !isExcepted(snippet) && !isTaken(snippet))).toEqual([])
})

function pick(object: Record<string, unknown>, names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, object[name]]))
}

/** JSON with the type of each value in its place; the order of members counts. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.entries(value).map(([name, member]) => [name, shapeOf(member)])
}

/** XML without the texts of its elements and without the line breaks that only people need. */
function withoutTexts(xml: string): string {
  return xml
    .trim()
    .replaceAll(/>[^<]*/g, '>')
    .replaceAll(/\s+/g, ' ')
}

function splitStatements(script: string): string[] {
  return script.split(/;\s*/).filter(Boolean)
}
