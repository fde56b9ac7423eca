// Seats as the operator sees them: `token list`, `token revoke --device`, MAX_SEATS_PER_USER.
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { readyServer } from '../support/processes.ts'
import { warmCommands } from '../support/warm-commands.ts'
import { ask, eventually, signInAt, whoseAt } from '../support/wire.ts'

type Person = Awaited<ReturnType<typeof addUser>>

let database: Database
let environment: Record<string, string>

beforeAll(async () => {
  const fresh = await freshDatabase()
  database = fresh.database
  environment = { DATABASE_URL: fresh.url, DIALECTS: 'webapi,webapi-session,envelope' }
  return () => database.close()
})

const runWarm = warmCommands()

async function run(...args: string[]) {
  return runWarm(args, { environment })
}

async function json(...args: string[]) {
  const { code, stdout, stderr } = await run(...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** Signs in at the seat of that label; with the token's value. */
async function signIn(url: string, user: Person, clientKey: string): Promise<string> {
  const fields = { grant_type: 'password', userName: user.name, password: user.password, clientKey }
  const { status, body } = await ask(`${url}/v2/token`, { method: 'POST', body: new URLSearchParams(fields) })
  expect(status).toBe(200)
  return keepSecret(body.access_token)
}

async function statusesAt(url: string, values: readonly string[]): Promise<number[]> {
  return Promise.all(values.map(async (value) => (await whoseAt(url, value)).status))
}

describe('the seats of a user', () => {
  let url: string

  beforeAll(async () => {
    url = (await readyServer({ environment })).url
  })

  /** A user signed in without a label and at two; with the three values. */
  async function signedIn() {
    const [client, user] = [await addClient(database), await addUser(database)]
    const plain: string = (await signInAt(url, { client, user })).body.access_token
    return {
      client,
      user,
      values: [plain, await signIn(url, user, 'desk'), await signIn(url, user, 'my phone')] as const,
    }
  }

  test('are listed with their labels, for scripts and for people', async () => {
    const { client, user } = await signedIn()
    const listed = await json('token', 'list', '--user', user.name)
    expect(listed).toMatchObject([
      { device: '', client_id: client.id, state: 'live' },
      { device: 'desk', client_id: 'webapi-session', state: 'live' },
      { device: 'my phone', client_id: 'webapi-session', state: 'live' },
    ])
    const { stdout } = await run('token', 'list', '--user', user.name)
    expect(stdout).toMatch(/^USER +DEVICE +CLIENT +STATE +ISSUED +EXPIRES\n/)
    expect(stdout).toMatch(new RegExp(`^${user.name} +my phone +webapi-session +live +`, 'm'))
    expect(stdout.trimEnd().split('\n')).toHaveLength(4)
  })

  test.each([
    ['desk', [200, 401, 200]],
    ['my phone', [200, 200, 401]],
    ['', [401, 200, 200]],
  ])('are ended one at a time by their label: %j', async (label, statuses) => {
    const { user, values } = await signedIn()
    expect(await statusesAt(url, values)).toEqual([200, 200, 200])
    const revoke = ['token', 'revoke', '--user', user.name.toUpperCase(), '--device', label]
    expect(await json(...revoke)).toEqual({ revoked: 1 })
    await eventually(
      () => statusesAt(url, values),
      (found) => found.join() === statuses.join(),
    )
    expect(await run(...revoke)).toEqual({ code: 0, stdout: '0 revoked.\n', stderr: '' })
    const listed = await json('token', 'list', '--user', user.name)
    const states = listed.map(({ device, state }: Record<string, string>) => [device, state])
    expect(states).toEqual(['', 'desk', 'my phone'].map((one) => [one, one === label ? 'revoked' : 'live']))
  })

  test('are all ended where no label is given', async () => {
    const { user, values } = await signedIn()
    expect(await json('token', 'revoke', '--user', user.name)).toEqual({ revoked: 3 })
    await eventually(
      () => statusesAt(url, values),
      (found) => found.join() === '401,401,401',
    )
  })

  test('stay when the label differs, even in letter case alone', async () => {
    const { user, values } = await signedIn()
    for (const label of ['Desk', 'des', 'desk ', 'nowhere', '%']) {
      expect(await json('token', 'revoke', '--user', user.name, '--device', label)).toEqual({ revoked: 0 })
    }
    expect(await statusesAt(url, values)).toEqual([200, 200, 200])
  })

  test('stay when another user’s seat has the same label', async () => {
    const [one, other] = [await signedIn(), await signedIn()]
    expect(await json('token', 'revoke', '--user', one.user.name, '--device', 'desk')).toEqual({ revoked: 1 })
    expect(await statusesAt(url, other.values)).toEqual([200, 200, 200])
  })

  test('can be taken again after they ended', async () => {
    const { user } = await signedIn()
    await json('token', 'revoke', '--user', user.name, '--device', 'desk')
    const value = await signIn(url, user, 'desk')
    expect((await whoseAt(url, value)).status).toBe(200)
  })
})

test.each([
  ['a label without a user', ['--device', 'desk'], 2, /required option '--user <username>'/],
  ['no label after --device', ['--user', 'somebody', '--device'], 2, /argument missing/],
  ['an unknown user', ['--user', 'nobody', '--device', 'desk'], 1, /^There is no user with that name\.\n$/],
])('token revoke with %s is refused', async (_what, args, exitCode, sentence) => {
  const { code, stdout, stderr } = await run('token', 'revoke', ...args)
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' })
  expect(stderr).toMatch(sentence)
})

test('MAX_SEATS_PER_USER limits the seats of a user, and a lower limit applies from the next sign-in', async () => {
  const user = await addUser(database)
  const readLabels = async () =>
    (await json('token', 'list', '--user', user.name)).map(({ device }: Record<string, string>) => device)
  const roomy = await readyServer({ environment: { ...environment, MAX_SEATS_PER_USER: '3' } })
  const values: string[] = []
  for (const label of ['a', 'b', 'c', 'd']) values.push(await signIn(roomy.url, user, label))
  expect(await readLabels()).toEqual(['b', 'c', 'd'])
  expect(await statusesAt(roomy.url, values)).toEqual([401, 200, 200, 200])
  await roomy.end()

  const narrow = await readyServer({ environment: { ...environment, MAX_SEATS_PER_USER: '1' } })
  expect(await readLabels()).toEqual(['b', 'c', 'd'])
  values.push(await signIn(narrow.url, user, 'c'))
  expect(await readLabels()).toEqual(['c'])
  expect(await statusesAt(narrow.url, values)).toEqual([401, 401, 401, 401, 200])
  await narrow.end()
})
