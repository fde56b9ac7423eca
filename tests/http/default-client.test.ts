// WEBAPI_DEFAULT_CLIENT: a /Token request without any client credentials stands for a public client.
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { readConfig } from '../../src/config/config.ts'
import { createServer } from '../../src/server.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { expectRefusal } from '../support/refusals.ts'
import {
  askWhose,
  basic,
  documentedFields,
  passwordForm,
  sendToken,
  type TokenRequestParts,
} from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const { app: without, database } = await testServer()
const standIn = await addClient(database, { secret: 'public' })
const otherPublic = await addClient(database, { secret: 'public' })
const confidential = await addClient(database)
const user = await addUser(database, { role: 'Administrator' })
const app = await serverWith({ WEBAPI_DEFAULT_CLIENT: standIn.id })
const withParity = await serverWith({ WEBAPI_DEFAULT_CLIENT: standIn.id, WEBAPI_PARITY: 'true' })

async function serverWith(environment: Record<string, string>): Promise<FastifyInstance> {
  const { dialects } = readConfig({ DATABASE_URL: 'postgres://x/y', ...environment })
  const server = await createServer(database, pino({ level: 'trace' }, logLines), { ...plainOptions, dialects })
  afterAll(() => server.close())
  return server
}

/** The client that holds the user's seat. */
async function holder(): Promise<string | undefined> {
  const sql = 'select client_id as client from password_grant.tokens where user_id = $1'
  const [seat] = await database.script<{ client: string }>(sql, [user.id])
  return seat?.client
}

describe('the published example as it stands on the page, without -u', () => {
  // curl --location --request GET … --header 'Content-Type: application/json' --data-urlencode …
  const body = passwordForm(user)
  const request = [
    'GET /Token HTTP/1.1',
    'Host: sandbox.sample',
    'User-Agent: curl/8.5.0',
    'Accept: */*',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')

  test.each([
    ['works', app, 1_209_600],
    ['works with parity, and answers as the page does', withParity, 1_209_599],
  ])('%s', async (_what, server, expiresIn) => {
    const answer = await sendBytes(await listen(server), request)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    const token = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
    expect(Object.keys(token)).toEqual(documentedFields)
    expect(token).toMatchObject({ expires_in: expiresIn, userName: user.name, role: 'Administrator' })
    expect((await askWhose(server, keepSecret(token.access_token))).json().userName).toBe(user.name)
    expect(await holder()).toBe(standIn.id)
  })

  test('is refused where no default is configured', async () => {
    expect(await sendBytes(await listen(without), request)).toMatch(/^HTTP\/1\.1 401 /)
  })
})

describe('the client of a request', () => {
  test.each<[string, TokenRequestParts, string]>([
    ['without any is the default', { body: passwordForm(user) }, standIn.id],
    [
      'with empty fields for one is the default',
      { body: passwordForm(user, { client_id: '', client_secret: '' }) },
      standIn.id,
    ],
    ['that names the default is the default', { body: passwordForm(user, { client_id: standIn.id }) }, standIn.id],
    ['that names another is that one', { body: passwordForm(user, { client_id: otherPublic.id }) }, otherPublic.id],
    [
      'with Basic is that one',
      { headers: basic(confidential.id, confidential.secret), body: passwordForm(user) },
      confidential.id,
    ],
    [
      'with id and secret is that one',
      { body: passwordForm(user, { client_id: confidential.id, client_secret: confidential.secret }) },
      confidential.id,
    ],
  ])('%s', async (_what, parts, expected) => {
    for (const method of ['POST', 'GET'] as const) {
      expect((await sendToken(app, { method, ...parts })).statusCode).toBe(200)
      expect(await holder()).toBe(expected)
    }
  })
})

describe('a request with client credentials is checked as usual:', () => {
  const wrong = keepSecret('wrong-secret')
  const generic = 'Client authentication failed.'
  const fields = (more: Record<string, string>) => ({ body: passwordForm(user, more) })
  const authorized = (authorization: string) => ({ headers: { authorization }, body: passwordForm(user) })
  test.each<[string, TokenRequestParts]>([
    ['a secret alone', fields({ client_secret: wrong })],
    ['a secret and an empty id', fields({ client_id: '', client_secret: wrong })],
    ['an unknown id', fields({ client_id: 'nobody' })],
    ['a confidential id alone', fields({ client_id: confidential.id })],
    ['a confidential id with a wrong secret', fields({ client_id: confidential.id, client_secret: wrong })],
    ['the default with a secret', fields({ client_id: standIn.id, client_secret: wrong })],
    ['a built-in id', fields({ client_id: 'envelope' })],
    ['wrong Basic', { headers: basic(confidential.id, wrong), body: passwordForm(user) }],
    ['Basic of an unknown client', { headers: basic('nobody', wrong), body: passwordForm(user) }],
    ['empty Basic', { headers: basic('', ''), body: passwordForm(user) }],
    ['unreadable Basic', authorized('Basic *')],
    ['Basic alone', authorized('Basic')],
    ['an empty Authorization', authorized('')],
    ['Bearer', authorized(`Bearer ${keepSecret(randomWord())}`)],
    ['Token', authorized('Token')],
  ])('%s is refused', async (_what, parts) => {
    expectRefusal(await sendToken(app, parts), 401, 'invalid_client', generic)
  })

  test('two ways at once are refused', async () => {
    const parts = { headers: basic(confidential.id, confidential.secret), ...fields({ client_secret: wrong }) }
    expectRefusal(await sendToken(app, parts), 400, 'invalid_request')
  })

  test('credentials in the query are ignored, and the default applies', async () => {
    const parts = { url: `/Token?client_id=nobody&client_secret=${wrong}`, body: passwordForm(user) }
    expect((await sendToken(app, parts)).statusCode).toBe(200)
    expect(await holder()).toBe(standIn.id)
  })
})

describe('the default replaces only the client:', () => {
  test('a wrong password, a missing field and another grant are refused as usual', async () => {
    const wrong = passwordForm({ ...user, password: keepSecret('wrong-password') })
    expectRefusal(await sendToken(app, { body: wrong }), 400, 'invalid_grant')
    expectRefusal(await sendToken(app, { body: 'grant_type=password&username=a' }), 400, 'invalid_request')
    expectRefusal(await sendToken(app, { body: 'grant_type=refresh_token' }), 400, 'unsupported_grant_type')
    expectRefusal(await sendToken(app, {}), 400, 'invalid_request')
  })

  const disabled = addClient(database, { secret: 'public' }).then(async ({ id }) => {
    await setClientEnabled(database.writes, id, false)
    return id
  })
  test.each<[string, () => Promise<string>]>([
    ['confidential', async () => confidential.id],
    ['unknown', async () => `client-${randomWord()}`],
    ['disabled', () => disabled],
    ['built in', async () => 'envelope'],
    ['built in too', async () => 'webapi-session'],
  ])('a default that is %s is refused', async (_what, name) => {
    const server = await serverWith({ WEBAPI_DEFAULT_CLIENT: await name() })
    expectRefusal(await sendToken(server, { body: passwordForm(user) }), 401, 'invalid_client')
  })

  test('a confidential default is refused even with its right secret', async () => {
    const server = await serverWith({ WEBAPI_DEFAULT_CLIENT: confidential.id })
    const body = passwordForm(user, { client_secret: confidential.secret })
    expectRefusal(await sendToken(server, { body }), 401, 'invalid_client')
  })

  test('a default is refused once it is disabled', async () => {
    const { id } = await addClient(database, { secret: 'public' })
    const server = await serverWith({ WEBAPI_DEFAULT_CLIENT: id })
    expect((await sendToken(server, { body: passwordForm(user) })).statusCode).toBe(200)
    await setClientEnabled(database.writes, id, false)
    expectRefusal(await sendToken(server, { body: passwordForm(user) }), 401, 'invalid_client')
  })

  test.each(['/revoke', '/introspect'])('no default applies at %s', async (url) => {
    const token = (await sendToken(app, { body: passwordForm(user) })).json().access_token
    const body = new URLSearchParams({ token }).toString()
    expectRefusal(await sendToken(app, { url, body }), 401, 'invalid_client')
    expect((await askWhose(app, token)).statusCode).toBe(200)
  })
})
