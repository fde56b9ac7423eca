// Any PostgreSQL: the commands send ordinary statements, which the other tests repeat
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { userNameKey } from '../../src/users/user-name.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { fillFolder } from '../support/made-folder.ts'
import { addClient as makeClient, addUser as makeUser, randomWord } from '../support/people.ts'
import { binPath, type Finished, readyServer, runCommand, type ServerProcess } from '../support/processes.ts'
import { readDocument } from '../support/read-document.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { ask, eventually, signInAt, whoseAt } from '../support/wire.ts'

const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const httpDate = expect.stringMatching(/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/)
const generated = /^[A-Za-z0-9]{43}$/
const passphrase = keepSecret('nobody would guess this')
const runWarm = warmCommands()

describe('the command line', () => {
  let database: Database
  let environment: { DATABASE_URL: string }
  let server: ServerProcess

  beforeAll(async () => {
    const fresh = await freshDatabase()
    database = fresh.database
    environment = { DATABASE_URL: fresh.url }
    server = await readyServer({ environment })
    return () => database.close()
  })

  const run = (args: string, input: string | Buffer = '') => runWarm(args.split(' '), { environment, input })

  async function json(args: string, input: string | Buffer = '') {
    const { code, stdout, stderr } = await run(`${args} --json`, input)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return readDocument(stdout)
  }

  const addClient = () => makeClient(database)
  const addUser = () => makeUser(database)

  async function exists(table: 'clients' | 'users', column: 'id' | 'name', value: string): Promise<boolean> {
    const rows = await database.script(`select from password_grant.${table} where ${column} = $1`, [value])
    return rows.length > 0
  }

  async function statusOf(client: { id: string; secret: string }, user: { name: string; password: string }) {
    const { status, body } = await signInAt(server.url, { client, user })
    return status === 200 ? 200 : `${status} ${body.error}`
  }

  describe('client add', () => {
    test('prints the id and a secret of letters and digits, which works', async () => {
      const id = `a.Client_1-${randomWord()}`
      const added = await json(`client add ${id}`)
      expect(added).toEqual({ client_id: id, client_secret: expect.stringMatching(generated) })
      keepSecret(added.client_secret)
      expect(await statusOf({ id, secret: added.client_secret }, await addUser())).toBe(200)
    })

    test('shows people the same, and says that it is shown only now', async () => {
      const id = `client-${randomWord()}`
      const { code, stdout } = await run(`client add ${id}`)
      expect(code).toBe(0)
      expect(stdout).toMatch(new RegExp(`^Client ${id} added\\..*only now:\\n[A-Za-z0-9]{43}\\n$`))
    })

    test('--public adds a client without a secret', async () => {
      const id = `client-${randomWord()}`
      expect(await json(`client add ${id} --public`)).toEqual({ client_id: id })
    })

    test('--trusted adds a client that may forward addresses, and refuses a public client', async () => {
      const id = `client-${randomWord()}`
      const added = await json(`client add ${id} --trusted`)
      expect(added).toEqual({ client_id: id, client_secret: expect.stringMatching(generated) })
      keepSecret(added.client_secret)
      const listed: { client_id: string; trusted: boolean }[] = await json('client list')
      expect(listed.filter(({ trusted }) => trusted).map(({ client_id }) => client_id)).toEqual([id])
      expect((await run('client list')).stdout).toMatch(new RegExp(`^${id} +trusted +enabled +default$`, 'm'))
      const refused = `client-${randomWord()}`
      expect(await run(`client add ${refused} --trusted --public`)).toEqual({
        code: 2,
        stdout: '',
        stderr: 'error: a public client cannot be trusted\n',
      })
      expect(await exists('clients', 'id', refused)).toBe(false)
    })

    test('--secret-stdin takes a chosen secret and does not print it back', async () => {
      const id = `client-${randomWord()}`
      const secret = keepSecret(`pass:wörd ${randomWord()}`)
      const { code, stdout, stderr } = await run(`client add ${id} --secret-stdin`, `${secret}\n`)
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `Client ${id} added.\n`, stderr: '' })
      expect(await statusOf({ id, secret }, await addUser())).toBe(200)
      expect(await statusOf({ id, secret: `${secret}\n` }, await addUser())).toBe('401 invalid_client')
    })

    test('--secret-stdin --json answers with the id alone', async () => {
      const id = `client-${randomWord()}`
      expect(await json(`client add ${id} --secret-stdin`, 'a chosen secret!')).toEqual({ client_id: id })
    })

    test('--secret-stdin refuses a secret of fifteen characters; --allow-short-secret takes it and warns', async () => {
      const id = `client-${randomWord()}`
      const secret = keepSecret(randomWord().slice(0, 15))
      expect(await run(`client add ${id} --secret-stdin`, secret)).toMatchObject({
        code: 1,
        stdout: '',
        stderr: 'A client secret has at least 16 characters.\n',
      })
      expect(await run(`client add ${id} --secret-stdin --allow-short-secret`, secret)).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('can be guessed'),
      })
      expect(await statusOf({ id, secret }, await addUser())).toBe(200)
    })

    test('--lifetime sets how long its tokens live', async () => {
      const added = await json(`client add client-${randomWord()} --lifetime 77`)
      const client = { id: added.client_id, secret: keepSecret(added.client_secret) }
      const { body } = await signInAt(server.url, { client, user: await addUser() })
      expect(body.expires_in).toBe(77)
      expect(Date.parse(body['.expires']) - Date.parse(body['.issued'])).toBe(77_000)
    })

    test.each(['webapi', 'webapi-session', 'envelope', 'device'])('refuses the reserved id %s', async (id) => {
      expect(await run(`client add ${id}`)).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining('reserved'),
      })
    })

    test.each([
      ['an id that is taken', 'already exists'],
      ['an id with a character outside A-Z a-z 0-9 . _ -', 'A-Z a-z 0-9'],
      ['an empty id', 'A-Z a-z 0-9'],
      ['an id of 65 characters', 'A-Z a-z 0-9'],
    ])('refuses %s', async (what, sentence) => {
      const ids: Record<string, string> = {
        'an id that is taken': (await addClient()).id,
        'an empty id': '',
        'an id of 65 characters': 'a'.repeat(65),
      }
      const { code, stdout, stderr } = await run(`client add ${ids[what] ?? 'a:b'}`)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(new RegExp(`^[^\\n]*${sentence}[^\\n]*\\n$`))
    })

    test.each([
      ['an empty secret', ''],
      ['a secret that is only a line end', '\n'],
      ['a secret with a line end in it', 'one\ntwo\n'],
      ['a secret that is not UTF-8', Buffer.from([0x61, 0xff, 0x62])],
    ])('refuses %s', async (_what, input) => {
      const id = `client-${randomWord()}`
      expect(await run(`client add ${id} --secret-stdin`, input)).toMatchObject({ code: 1, stdout: '' })
      expect(await exists('clients', 'id', id)).toBe(false)
    })
  })

  describe('client', () => {
    const shown = (id: string) => ({
      client_id: id,
      public: false,
      built_in: false,
      trusted: false,
      enabled: true,
      lifetime: null,
      created: moment,
    })

    test('disable, enable and remove take effect and print the client', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      expect(await json(`client disable ${client.id}`)).toEqual({ ...shown(client.id), enabled: false })
      expect((await whoseAt(server.url, token)).body.error_description).toMatch(/revoked/)
      expect(await statusOf(client, user)).toBe('401 invalid_client')
      expect(await json(`client enable ${client.id}`)).toEqual(shown(client.id))
      expect((await whoseAt(server.url, token)).status).toBe(401)
      expect(await statusOf(client, user)).toBe(200)
      expect(await json(`client remove ${client.id}`)).toEqual(shown(client.id))
      expect(await statusOf(client, user)).toBe('401 invalid_client')
      expect(await exists('clients', 'id', client.id)).toBe(false)
    })

    test('list shows every client and no secret', async () => {
      const client = await makeClient(database, { lifetimeSeconds: 60 })
      const listed = await json('client list')
      expect(listed).toContainEqual({ ...shown(client.id), lifetime: 60 })
      const { code, stdout } = await run('client list')
      expect(code).toBe(0)
      expect(stdout).toMatch(
        new RegExp(`^CLIENT +KIND +STATE +LIFETIME\\n[^]*^${client.id} +confidential +enabled +60 s$`, 'm'),
      )
      expect(stdout + JSON.stringify(listed)).not.toContain(client.secret)
      expect(stdout + JSON.stringify(listed)).not.toMatch(/sha256|argon2/)
    })

    test('list marks the built-in clients', async () => {
      const builtIn = (await json('client list')).filter((client: { built_in: boolean }) => client.built_in)
      expect(builtIn).toEqual(
        ['device', 'envelope', 'webapi-session'].map((id) => ({ ...shown(id), public: true, built_in: true })),
      )
      const { stdout } = await run('client list')
      for (const id of ['device', 'envelope', 'webapi-session']) {
        expect(stdout).toMatch(new RegExp(`^${id} +built-in +enabled +default$`, 'm'))
      }
    })

    test.each(['webapi-session', 'envelope', 'device'])(
      'remove, add and rotate refuse the built-in %s and change nothing',
      async (id) => {
        const readClients = () =>
          database.script("select to_jsonb(c) - 'credential_version' as row from password_grant.clients c order by id")
        const before = await readClients()
        expect(await run(`client remove ${id}`)).toEqual({
          code: 1,
          stdout: '',
          stderr: 'That client is built in. Disable it to close its dialect.\n',
        })
        expect(await run(`client rotate ${id}`)).toEqual({
          code: 1,
          stdout: '',
          stderr: 'A public client has no secret to rotate.\n',
        })
        for (const option of ['--public', '--secret-stdin']) {
          const added = await run(`client add ${id} ${option}`, 'chosen')
          expect(added).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('reserved') })
        }
        expect(await readClients()).toEqual(before)
      },
    )

    test('disable closes the dialect of a built-in client and ends its tokens, enable opens it', async () => {
      const open = await readyServer({ environment: { ...environment, DIALECTS: 'webapi-session,envelope' } })
      const user = await addUser()
      const signIn = () =>
        ask(`${open.url}/v2/token`, {
          method: 'POST',
          body: new URLSearchParams({ grant_type: 'password', userName: user.name, password: user.password }),
        })
      const token = keepSecret((await signIn()).body.access_token)
      const client = { ...shown('webapi-session'), public: true, built_in: true }
      expect(await json('client disable webapi-session')).toEqual({ ...client, enabled: false })
      const closed = await signIn()
      expect([closed.status, closed.body]).toEqual([
        404,
        { error: 'not_found', error_description: 'There is nothing at this path.' },
      ])
      expect((await whoseAt(open.url, token)).status).toBe(401)
      const other = await ask(`${open.url}/v1/oauth/`, {
        method: 'POST',
        body: new URLSearchParams({ username: user.name, password: user.password }),
      })
      expect(other.body.success).toBe(true) // the dialect beside it is none the wiser
      keepSecret(other.body.data.access_token)
      expect(await json('client enable webapi-session')).toEqual(client)
      const again = await signIn()
      expect(again.status).toBe(200)
      keepSecret(again.body.access_token)
      expect((await whoseAt(open.url, token)).status).toBe(401)
      await open.end()
    })

    test('rotate ends the old secret at once', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      const rotated = await json(`client rotate ${client.id}`)
      expect(rotated).toEqual({ client_id: client.id, client_secret: expect.stringMatching(generated) })
      expect(await statusOf(client, user)).toBe('401 invalid_client')
      expect((await whoseAt(server.url, token)).status).toBe(200)
      expect(await statusOf({ id: client.id, secret: keepSecret(rotated.client_secret) }, user)).toBe(200)
    })

    test('rotate --overlap accepts both secrets until the overlap ends, then only the new one', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const rotated = await json(`client rotate ${client.id} --overlap 3600`)
      const newer = { id: client.id, secret: keepSecret(rotated.client_secret) }
      expect([await statusOf(client, user), await statusOf(newer, user)]).toEqual([200, 200])
      await database.script(
        "update password_grant.clients set previous_secret_until = previous_secret_until - interval '1 hour' where id = $1",
        [client.id],
      )
      expect([await statusOf(client, user), await statusOf(newer, user)]).toEqual(['401 invalid_client', 200])
    })

    test('rotate refuses a public client', async () => {
      const { id } = await makeClient(database, { secret: 'public' })
      expect(await run(`client rotate ${id}`)).toMatchObject({
        code: 1,
        stdout: '',
        stderr: 'A public client has no secret to rotate.\n',
      })
    })
  })

  describe('user add', () => {
    test('prints the user, and that user can sign in', async () => {
      const [name, password] = [`Ada-${randomWord()}@example.com`, keepSecret(randomWord())]
      const added = await json(`user add ${name} --role Administrator --password-stdin`, `${password}\n`)
      expect(added).toEqual({ userId: uuid, userName: name, role: 'Administrator' })
      expect(await statusOf(await addClient(), { name: userNameKey(name), password })).toBe(200)
    })

    test('without a role stores an empty role and prints the name', async () => {
      const name = `user-${randomWord()}`
      expect(await run(`user add ${name} --password-stdin`, passphrase)).toEqual({
        code: 0,
        stdout: `User ${name} added.\n`,
        stderr: '',
      })
      const listed = await json('user list')
      expect(listed).toContainEqual({ userId: uuid, userName: name, role: '', enabled: true, created: moment })
    })

    test('--id sets an id that another system gave', async () => {
      const id = crypto.randomUUID()
      const name = `user-${randomWord()}`
      expect(await json(`user add ${name} --id ${id} --password-stdin`, passphrase)).toMatchObject({ userId: id })
      const again = await run(`user add user-${randomWord()} --id ${id} --password-stdin`, passphrase)
      expect(again).toEqual({ code: 1, stdout: '', stderr: 'A user with that id already exists.\n' })
    })

    test.each([
      ['one line end, as echo writes it', `${passphrase}\n`, passphrase],
      ['one line end of Windows', `${passphrase}\r\n`, passphrase],
      ['only the last of two line ends', `${passphrase}\n\n`, `${passphrase}\n`],
      ['no other space', ` ${passphrase} \n`, ` ${passphrase} `],
      ['nothing where there is no line end', passphrase, passphrase],
      ['no carriage return in front of the end', `${passphrase}\r`, `${passphrase}\r`],
      ['no byte order mark', `\uFEFF${passphrase}`, `\uFEFF${passphrase}`],
    ])('reads the password and strips %s', async (_what, input, password) => {
      const name = `user-${randomWord()}`
      await json(`user add ${name} --password-stdin`, input)
      expect(await statusOf(await addClient(), { name, password })).toBe(200)
    })

    test.each([
      ['no password at all', ''],
      ['a password that is only a line end', '\n'],
      ['a password that is not UTF-8', Buffer.from([0x70, 0xe4, 0x0a])],
      ['a password with NUL in it', 'a password of \0 and more'],
      ['a password of 1025 bytes', 'p'.repeat(1025)],
    ])('refuses %s', async (_what, input) => {
      const name = `user-${randomWord()}`
      const { code, stdout, stderr } = await run(`user add ${name} --password-stdin`, input)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^[^\n]+\n$/)
      expect(await exists('users', 'name', name)).toBe(false)
    })

    test.each([
      ['a password of 7 characters', 'sesame!', 'A password must have at least 8 characters.'],
      ['a common password', 'Password1', 'This is one of the most common passwords. Attackers try those first.'],
      ['a name of the user as the password', 'Ada.Lovelace', 'A password must not be the user name or a part of it.'],
    ])('refuses %s and says why', async (_what, password, reason) => {
      const name = `ada.lovelace@${randomWord()}`
      const refused = await run(`user add ${name} --password-stdin --json`, `${password}\n`)
      expect(refused).toEqual({ code: 1, stdout: '', stderr: `${reason}\n` })
      expect(await exists('users', 'name', name)).toBe(false)
    })

    test('accepts a password of 8 to 14 characters and prints its advice apart from the JSON document', async () => {
      const [name, password] = [`user-${randomWord()}`, keepSecret('14 characters.')]
      const added = await run(`user add ${name} --password-stdin --json`, password)
      expect(added).toMatchObject({ code: 0, stderr: 'A password of at least 15 characters is recommended.\n' })
      expect(JSON.parse(added.stdout)).toEqual({ userId: uuid, userName: name, role: '' })
      const again = await run(`user add ${name} --password-stdin`, password)
      expect(again).toEqual({ code: 1, stdout: '', stderr: 'A user with that name already exists.\n' })
    })

    test('accepts a password of 1024 bytes', async () => {
      const name = `user-${randomWord()}`
      await json(`user add ${name} --password-stdin`, `${'p'.repeat(1024)}\n`)
    })

    test('refuses a name that differs from a taken one only in letter case', async () => {
      const { name } = await addUser()
      const again = await run(`user add ${name.toUpperCase()} --password-stdin`, passphrase)
      expect(again).toEqual({ code: 1, stdout: '', stderr: 'A user with that name already exists.\n' })
    })

    test.each([
      ['a name of 257 characters', 'n'.repeat(257), ''],
      ['an empty name', '', ''],
      ['a name with a control character', 'a\u0007b', ''],
      ['an id that is no UUID', 'name', ' --id 42'],
      ['a role of 257 characters', 'name', ` --role ${'r'.repeat(257)}`],
    ])('refuses %s', async (_what, name, options) => {
      const { code, stdout, stderr } = await run(`user add ${name}${options} --password-stdin`, passphrase)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^[^\n]+\n$/)
    })
  })

  describe('user', () => {
    const shown = (user: { id: string; name: string }) => ({
      userId: user.id,
      userName: user.name,
      role: 'Editor',
      enabled: true,
      created: moment,
    })

    test('set-password prints the user and ends the token and the old password', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      const password = keepSecret(randomWord())
      expect(await json(`user set-password ${user.name} --password-stdin`, `${password}\n`)).toEqual(shown(user))
      expect((await whoseAt(server.url, token)).body.error_description).toMatch(/revoked/)
      expect(await statusOf(client, user)).toBe('400 invalid_grant')
      expect(await statusOf(client, { ...user, password })).toBe(200)
    })

    test('set-password refuses the same passwords as user add and leaves the token and the old password alone', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      for (const password of ['sesame!', 'Password1', user.name.toUpperCase()]) {
        const refused = await run(`user set-password ${user.name} --password-stdin --json`, password)
        expect(refused).toEqual({
          code: 1,
          stdout: '',
          stderr: expect.stringMatching(/^(A password must|This is) .+\n$/),
        })
      }
      expect((await whoseAt(server.url, token)).status).toBe(200)
      expect(await statusOf(client, user)).toBe(200)
    })

    test('set-password accepts a password of 8 characters and advises a longer one', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const password = keepSecret(randomWord().slice(0, 8))
      const changed = await run(`user set-password ${user.name} --password-stdin --json`, password)
      expect(changed).toMatchObject({ code: 0, stderr: 'A password of at least 15 characters is recommended.\n' })
      expect(JSON.parse(changed.stdout)).toEqual(shown(user))
      expect(await statusOf(client, { ...user, password })).toBe(200)
    })

    test('keeps signing in with a password that today’s policy refuses', async () => {
      for (const password of ['sesame', 'Password1']) {
        expect(await statusOf(await addClient(), await makeUser(database, { password }))).toBe(200)
      }
    })

    test('set-role prints the user and ends the token with the old role', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      expect(await json(`user set-role ${user.name} Reader`)).toEqual({ ...shown(user), role: 'Reader' })
      expect((await whoseAt(server.url, token)).body.error_description).toMatch(/revoked/)
      expect((await signInAt(server.url, { client, user })).body.role).toBe('Reader')
    })

    test('disable, enable and remove take effect for the name in any letter case', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      const name = user.name.toUpperCase()
      expect(await json(`user disable ${name}`)).toEqual({ ...shown(user), enabled: false })
      expect((await whoseAt(server.url, token)).body.error_description).toMatch(/revoked/)
      expect(await statusOf(client, user)).toBe('400 invalid_grant')
      expect(await json(`user enable ${name}`)).toEqual(shown(user))
      expect((await whoseAt(server.url, token)).status).toBe(401)
      const later = (await signInAt(server.url, { client, user })).body.access_token
      expect(await json(`user remove ${name}`)).toEqual(shown(user))
      expect((await whoseAt(server.url, later)).status).toBe(401)
      expect(await statusOf(client, user)).toBe('400 invalid_grant')
    })

    test('list shows every user and no part of a password', async () => {
      const user = await addUser()
      const listed = await json('user list')
      expect(listed).toContainEqual(shown(user))
      const { stdout } = await run('user list')
      expect(stdout).toMatch(
        new RegExp(`^USER +ROLE +STATE +ID\\n[^]*^${user.name} +Editor +enabled +${user.id}$`, 'm'),
      )
      expect(stdout + JSON.stringify(listed)).not.toContain('argon2')
    })
  })

  describe('token', () => {
    test('list shows each token without its value', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      const listed = await json(`token list --user ${user.name.toUpperCase()}`)
      expect(listed).toEqual([
        {
          id: uuid,
          userName: user.name,
          userId: user.id,
          client_id: client.id,
          device: '',
          state: 'live',
          '.issued': httpDate,
          '.expires': httpDate,
        },
      ])
      expect(await json('token list')).toEqual(expect.arrayContaining(listed))
      const { stdout } = await run(`token list --user ${user.name}`)
      expect(stdout).toMatch(/^USER +DEVICE +CLIENT +STATE +ISSUED +EXPIRES\n/)
      expect(stdout + JSON.stringify(listed)).not.toContain(token)
    })

    test('revoke ends the live tokens of a user and prints their number', async () => {
      const [client, user] = [await addClient(), await addUser()]
      const token = (await signInAt(server.url, { client, user })).body.access_token
      expect(await json(`token revoke --user ${user.name}`)).toEqual({ revoked: 1 })
      expect((await whoseAt(server.url, token)).body.error_description).toMatch(/revoked/)
      expect(await json(`token revoke --user ${user.name}`)).toEqual({ revoked: 0 })
      expect(await run(`token revoke --user ${user.name}`)).toMatchObject({ code: 0, stdout: '0 revoked.\n' })
      expect(await json(`token list --user ${user.name}`)).toMatchObject([{ state: 'revoked' }])
    })
  })

  test('migrate prints the version as text and as JSON', async () => {
    const answered = await json('migrate')
    expect(answered).toEqual({ applied: [], version: expect.any(Number) })
    expect(await run('migrate')).toEqual({ code: 0, stdout: `At version ${answered.version}.\n`, stderr: '' })
  })

  test('migrate prints the migrations that it applied', async () => {
    const empty = await freshDatabase({ isMigrated: false })
    onTestFinished(() => empty.database.close())
    const { stdout } = await runCommand(['--json', 'migrate'], { environment: { DATABASE_URL: empty.url } })
    const { applied, version } = JSON.parse(stdout)
    expect(applied).toEqual(Array.from({ length: version }, (_, index) => index + 1))
  })

  test.each([
    'client disable nobody',
    'client enable nobody',
    'client remove nobody',
    'client rotate nobody',
    'user disable nobody',
    'user enable nobody',
    'user remove nobody',
    'user set-role nobody Editor',
    'user set-password nobody --password-stdin',
    'token list --user nobody',
    'token revoke --user nobody',
  ])('%s is refused because the name is unknown', async (args) => {
    const { code, stdout, stderr } = await run(`${args} --json`, passphrase)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^There is no (user with that name|client with that id)\.\n$/)
  })

  test.each([
    ['no such command', 'frobnicate'],
    ['no such command in a group', 'client frobnicate'],
    ['no such option', 'client list --frobnicate'],
    ['no id', 'client add'],
    ['two ids', 'client add one two'],
    ['a lifetime that is no number', 'client add one --lifetime long'],
    ['a negative lifetime', 'client add one --lifetime -1'],
    ['an overlap that is no number', 'client rotate one --overlap 1.5'],
    ['a public client with a secret', 'client add one --public --secret-stdin'],
    ['a user without --password-stdin', 'user add somebody'],
    ['a password among the arguments', 'user set-password somebody secret --password-stdin'],
    ['no role', 'user set-role somebody'],
    ['tokens without a user or client', 'token revoke'],
  ])('%s is a usage error: exit code 2 and nothing on stdout', async (_what, args) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^(error|Usage): /)
  })

  test('every command works as a separate process and exits by itself', async () => {
    const [id, name] = [`client-${randomWord()}`, `user-${randomWord()}`]
    const commands = [
      ['migrate', ''],
      [`client add ${id} --secret-stdin`, randomWord()],
      [`client rotate ${id}`, ''],
      [`client disable ${id}`, ''],
      [`client enable ${id}`, ''],
      ['client list', ''],
      [`client remove ${id}`, ''],
      [`user add ${name} --password-stdin`, passphrase],
      [`user set-password ${name} --password-stdin`, randomWord()],
      [`user set-role ${name} Reader`, ''],
      [`user disable ${name}`, ''],
      [`user enable ${name}`, ''],
      ['user list', ''],
      [`token list --user ${name}`, ''],
      [`token revoke --user ${name}`, ''],
      [`user remove ${name}`, ''],
    ] as const
    for (const [command, input] of commands) {
      const { code, stdout, stderr } = await runCommand(`${command} --json`.split(' '), { environment, input })
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
      readDocument(stdout)
    }
    const again = await runCommand(`user remove ${name}`.split(' '), { environment })
    expect(again).toEqual({ code: 1, stdout: '', stderr: 'There is no user with that name.\n' })
  })

  test('a command loads no module that only a server needs', async () => {
    const witness = join(await temporaryFolder(), 'witness.cjs')
    await writeFile(witness, `process.on('exit', () => process.stderr.write(Object.keys(require.cache).join('\\n')))`)
    const { stderr } = await runCommand(['client', 'list'], {
      environment: { ...environment, NODE_OPTIONS: `--require ${witness}` },
    })
    expect(stderr).toContain('/node_modules/pg/')
    expect(stderr).not.toMatch(/\/node_modules\/(fastify|@fastify\/cors|pino)\//)
  })

  test('--version and --help need no database', async () => {
    const version = await runCommand(['--version'])
    expect(version).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: '' })
    const help = await runCommand(['client', 'add', '--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('--secret-stdin')
  })

  test('a command that needs an unreachable database fails and prints the cause', async () => {
    const { code, stdout, stderr } = await runCommand(['client', 'list'], {
      environment: { DATABASE_URL: 'postgres://postgres@127.0.0.1:1/postgres' },
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('ECONNREFUSED')
  })
})

describe('every command', () => {
  const commands = [
    'serve',
    'migrate',
    'client add one',
    'client rotate one',
    'client disable one',
    'client enable one',
    'client remove one',
    'client list',
    'user add one --password-stdin',
    'user set-password one --password-stdin',
    'user set-role one Editor',
    'user disable one',
    'user enable one',
    'user remove one',
    'user list',
    'token list',
    'token revoke --user one',
  ]

  test.each(commands)('%s refuses to run without a database', async (args) => {
    expect(await runWarm(args.split(' '), { input: 'secret' })).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/DATABASE_URL, EMBEDDED_FOLDER: set one of them, or use --embedded FOLDER/),
    })
  })

  test.each(['serve', 'start', 'client list'])('%s refuses two databases', async (args) => {
    const environment = { DATABASE_URL: 'postgres://127.0.0.1:1/postgres' }
    const twice = await runCommand([...args.split(' '), '--embedded', '/nowhere'], { environment })
    expect(twice).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/set one of them, not both/) })
    const inEnvironment = await runCommand(args.split(' '), {
      environment: { ...environment, EMBEDDED_FOLDER: '/nowhere' },
    })
    expect(inEnvironment).toEqual(twice)
  })
})

test('a wrong environment is a usage error that names every wrong variable and repeats no value', async () => {
  const wrong = {
    DATABASE_URL: 'mysql://root:hunter2@127.0.0.1/db',
    PORT: '70000',
    TOKEN_LIFETIME_SECONDS: 'two weeks',
    DIALECTS: 'webapi,esperanto',
    ARGON2_MEMORY_KIB: '1023',
    ARGON2_PASSES: '0',
    ARGON2_LANES: '0',
    HASH_CONCURRENCY: '0',
    HASH_QUEUE_LIMIT: '-1',
    LOG_LEVEL: 'loud',
    TRUST_PROXY: '10.0.0.0/33',
    DATABASE_WAIT_SECONDS: 'forever',
    WEBAPI_PATH: 'Token',
    HOST: 'two words',
  }
  for (const command of ['serve', 'migrate']) {
    const { code, stdout, stderr } = await runCommand([command], { environment: wrong })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    const [, ...sentences] = stderr.trimEnd().split('\n')
    expect(sentences.map((line) => line.trim().split(':')[0]).toSorted()).toEqual(Object.keys(wrong).toSorted())
    for (const value of ['hunter2', '70000', 'esperanto', 'loud']) expect(stderr).not.toContain(value)
  }
})

test('serve --host and --port work like HOST and PORT and are validated alike', async () => {
  const { url, database } = await freshDatabase()
  onTestFinished(() => database.close())
  const environment = { DATABASE_URL: url, HOST: '192.0.2.1', PORT: '1' }
  const server = await readyServer({ environment }, ['serve', '--host', '127.0.0.1', '--port', '0'])
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d{4,5}$/)
  await server.end()
  const wrong = await runCommand(['serve', '--port', 'http'], { environment })
  expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/PORT: expected a whole number/) })
})

describe('an embedded database', () => {
  test('runs every command, with and without a server on it', async () => {
    const folder = await temporaryFolder()
    const embedded = (args: string, input = ''): Promise<Finished> =>
      runCommand(['--embedded', folder, '--json', ...args.split(' ')], { input })
    const migrated = await embedded('migrate')
    expect(migrated).toMatchObject({ code: 0, stderr: '' })
    const added = await embedded('client add a-client')
    const client = { id: 'a-client', secret: keepSecret(JSON.parse(added.stdout).client_secret) }

    const server = await readyServer({ environment: { EMBEDDED_FOLDER: folder } })
    const password = keepSecret(randomWord())
    const [ada, bob] = await Promise.all([
      embedded('user add ada --password-stdin', password),
      embedded('user add bob --password-stdin', password),
    ])
    expect([ada.code, bob.code]).toEqual([0, 0])
    const token = (await signInAt(server.url, { client, user: { name: 'ada', password } })).body.access_token
    expect((await embedded('user disable ada')).code).toBe(0)
    expect((await whoseAt(server.url, token)).status).toBe(401)
    expect((await signInAt(server.url, { client, user: { name: 'bob', password } })).status).toBe(200)
    await server.end()
    expect(await server.exited).toBe(0)
    const listed = await embedded('token list')
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { userName: 'ada', state: 'revoked' },
      { userName: 'bob', state: 'live' },
    ])
  })

  test('stops when its command is interrupted or loses its reader', async () => {
    const folder = await fillFolder(await temporaryFolder())
    const environment = { ...process.env, EMBEDDED_FOLDER: folder, DATABASE_URL: '' }
    await runCommand(['--embedded', folder, 'migrate'])
    const isRunning = () => existsSync(join(folder, 'cluster', 'postmaster.pid'))

    const waiting = spawn(process.execPath, [binPath, 'user', 'add', 'eve', '--password-stdin'], { env: environment })
    await eventually(async () => isRunning(), Boolean)
    waiting.kill('SIGINT')
    expect(await new Promise((resolve) => waiting.once('exit', resolve))).toBe(130)
    expect(isRunning()).toBe(false)

    const piped = `"${process.execPath}" "${binPath}" client list | true; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', piped], { env: environment, encoding: 'utf8' })
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' })
    expect(isRunning()).toBe(false)
  })
})
