// The same failure in the words of every dialect: each situation, each dialect, to the byte.
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import type { Database } from '../../src/database/database.ts'
import { openDatabase } from '../../src/database/postgres.ts'
import { device } from '../../src/dialects/device.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiParity } from '../../src/dialects/webapi-parity.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { generateBytes, signText } from '../../src/secrets.ts'
import { createServer } from '../../src/server.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { freshDatabase, patience } from '../support/fresh-database.ts'
import { lengthenWaits } from '../support/guesses.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { basic } from '../support/requests.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const encryptionKey = generateBytes(32)
const parity: Dialect = { ...webapiParity, path: '/parity' } // beside the other on one server
const options = { dialects: [webapi, parity, webapiSession, envelope, device], encryptionKey, throttle: false }
const { app, database, url } = await testServer(options)

const situations = [
  'a field is missing',
  'a field is there twice',
  'the body is unreadable',
  'a field is too long',
  'another grant is asked for',
  'the client is none, or closed',
  'the password is wrong',
  'the user is unknown',
  'the user is disabled',
  'there were too many attempts',
  'the database is away',
  'the hash queue is full',
  'the fault is ours',
  'the method is another',
  'the body is too long',
] as const

type Situation = (typeof situations)[number]

/** The request: a missing part is as in a request that succeeds. */
interface Parts {
  readonly method?: 'POST' | 'PUT' | 'DELETE'
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

type Sent = (user: Person) => Parts

/** The answer: status, the dialect's own code, and the sentence beside it where there is one. */
type Said = readonly [status: number, code: string, sentence?: string]

type Cell = readonly [sent: Sent, ...said: Said]

interface Column {
  readonly dialect: Dialect
  readonly headers: Readonly<Record<string, string>>
  /** Adds a user or device that signs in there. */
  readonly add: () => Promise<Person>
  readonly body: (user: Person) => string
  /** How that dialect writes a refusal. */
  readonly refusal: (code: string, sentence?: string) => string
  readonly type: string
  readonly more?: Readonly<Record<string, string>>
  /** An empty list: that cannot happen there. */
  readonly cells: Readonly<Record<Situation, readonly Cell[]>>
}

/** A caller that signs in: a user, or a device with its key. */
interface Person {
  readonly id: string
  readonly name: string
  readonly password: string
}

const addPerson = () => addUser(database)
const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
const asItIs: Sent = () => ({})
const unknown = { id: '', name: `nobody-${randomWord()}`, password: keepSecret(randomWord()) }
const wrong = keepSecret(randomWord())
const tooLong: Sent = () => ({ body: 'a'.repeat(16_385) })

const client = await addClient(database)
const closed = await addClient(database)
await setClientEnabled(database.writes, closed.id, false)

const says = {
  twice: 'The body has the same field twice.',
  encoding:
    'The body has broken percent-encoding, bytes that are not UTF-8, or NUL. In UTF-8, write % as %25 and + as %2B.',
  wrong: 'The user name or password is incorrect.',
  grant: 'The only supported grant_type is password.',
  client: 'Client authentication failed.',
  closed: 'There is nothing at this path.',
  away: 'The service cannot answer right now. Try again shortly.',
  ours: 'Something went wrong here.',
  length: 'The body is longer than 16384 bytes.',
  label: 'The field clientKey must have at most 200 characters and no control characters.',
  signature: 'The device key, the timestamp or the signature is not right.',
  envelope: {
    missing: 'Username/password not supplied.',
    wrong: 'Wrong username/password. Please try again.',
    format: 'Incorrect data format or data supplied is too large. Please check documentation for more information.',
    closed: 'Unknown path components: /oauth/',
    away: 'Server encountered an error. Please try again later',
    ours: 'Unknown error occured. This should not happen normally. Please contact a developer.',
    method: 'Unsupported get request. Please check documentation for more information.',
    attempts: 'Too many attempts. Please try again later.',
  },
}
const missing = (field: string) => `The field ${field} is missing.`
const queueIsFull = 'Too many sign-ins are waiting. Try again shortly.'
const tooMany = 'Too many attempts.'

const oauth = (code: string, sentence?: string) =>
  JSON.stringify({ error: code, ...(sentence === undefined ? {} : { error_description: sentence }) })

/** A password grant as a form, with the given fields changed; a field of `null` is left out. */
const passwordGrant =
  (change: Record<string, string | null> = {}): Sent =>
  ({ name, password }) => {
    const fields = { grant_type: 'password', username: name, password, ...change }
    return { body: form(Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== null)) as never) }
  }

const asWebapi: Pick<Column, 'add' | 'headers' | 'body' | 'refusal' | 'type'> = {
  add: addPerson,
  headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(client.id, client.secret) },
  body: ({ name, password }) => form({ grant_type: 'password', username: name, password }),
  refusal: oauth,
  type: 'application/json; charset=utf-8',
}

const webapiColumn: Column = {
  ...asWebapi,
  dialect: webapi,
  cells: {
    'a field is missing': ['grant_type', 'username', 'password'].flatMap((name) => [
      [passwordGrant({ [name]: null }), 400, 'invalid_request', missing(name)],
      [passwordGrant({ [name]: '' }), 400, 'invalid_request', missing(name)],
    ]),
    'a field is there twice': [
      [passwordGrant({ USERNAME: 'x' }), 400, 'invalid_request', says.twice],
      [passwordGrant({ whatever: 'x', Whatever: 'x' }), 400, 'invalid_request', says.twice],
    ],
    'the body is unreadable': [
      [() => ({ body: 'username=%zz' }), 400, 'invalid_request', says.encoding],
      [() => ({ body: Buffer.from([0x61, 0x3d, 0xff]) }), 400, 'invalid_request', says.encoding],
    ],
    'a field is too long': [
      [passwordGrant({ username: 'n'.repeat(257) }), 400, 'invalid_grant', says.wrong],
      [passwordGrant({ password: 'p'.repeat(1025) }), 400, 'invalid_grant', says.wrong],
    ],
    'another grant is asked for': [
      [passwordGrant({ grant_type: 'refresh_token' }), 400, 'unsupported_grant_type', says.grant],
    ],
    'the client is none, or closed': [
      [() => ({ headers: basic('nobody', wrong) }), 401, 'invalid_client', says.client],
      [() => ({ headers: basic(client.id, wrong) }), 401, 'invalid_client', says.client],
      [() => ({ headers: basic(closed.id, closed.secret) }), 401, 'invalid_client', says.client],
      [() => ({ headers: basic('webapi-session', '') }), 401, 'invalid_client', says.client],
    ],
    'the password is wrong': [[passwordGrant({ password: wrong }), 400, 'invalid_grant', says.wrong]],
    'the user is unknown': [[passwordGrant({ username: unknown.name }), 400, 'invalid_grant', says.wrong]],
    'the user is disabled': [[asItIs, 400, 'invalid_grant', says.wrong]],
    'there were too many attempts': [[asItIs, 429, 'slow_down', tooMany]],
    'the database is away': [[asItIs, 503, 'temporarily_unavailable', says.away]],
    'the hash queue is full': [[asItIs, 503, 'temporarily_unavailable', queueIsFull]],
    'the fault is ours': [[asItIs, 500, 'server_error', says.ours]],
    'the method is another': [
      [() => ({ method: 'PUT' }), 405, 'invalid_request', 'Use GET or POST.'],
      [() => ({ method: 'DELETE', body: '' }), 405, 'invalid_request', 'Use GET or POST.'],
    ],
    'the body is too long': [[tooLong, 413, 'invalid_request', says.length]],
  },
}

const parityColumn: Column = {
  ...asWebapi,
  dialect: parity,
  cells: {
    ...webapiColumn.cells,
    'a field is missing': [
      [passwordGrant({ grant_type: null }), 400, 'unsupported_grant_type'],
      [passwordGrant({ grant_type: '' }), 400, 'unsupported_grant_type'],
      [passwordGrant({ username: null }), 400, 'invalid_request', missing('username')],
      [passwordGrant({ password: '' }), 400, 'invalid_request', missing('password')],
    ],
    'another grant is asked for': [[passwordGrant({ grant_type: 'refresh_token' }), 400, 'unsupported_grant_type']],
    'the client is none, or closed': webapiColumn.cells['the client is none, or closed'].map(([sent]) => [
      sent,
      400,
      'invalid_client',
    ]),
  },
}

const json =
  (change: Record<string, unknown> = {}): Sent =>
  ({ name, password }) => ({
    body: JSON.stringify({ grant_type: 'password', userName: name, password, clientKey: 'phone', ...change }),
  })

/** Everything that webapi says in its own words, and that has no body of its own here. */
const sameAsWebapi = {
  'there were too many attempts': webapiColumn.cells['there were too many attempts'],
  'the database is away': webapiColumn.cells['the database is away'],
  'the hash queue is full': webapiColumn.cells['the hash queue is full'],
  'the fault is ours': webapiColumn.cells['the fault is ours'],
  'the body is too long': webapiColumn.cells['the body is too long'],
  'the client is none, or closed': [[asItIs, 404, 'not_found', says.closed]],
  'the user is disabled': [[asItIs, 400, 'invalid_grant', says.wrong]],
  'the method is another': [[() => ({ method: 'PUT' }), 405, 'invalid_request', 'Use POST.']],
} as const satisfies Partial<Column['cells']>

const sessionInJson: Column = {
  dialect: webapiSession,
  add: addPerson,
  headers: { 'content-type': 'application/json' },
  body: (user) => String(json()(user).body),
  refusal: oauth,
  type: 'application/json; charset=utf-8',
  more: { vary: 'Accept' },
  cells: {
    ...sameAsWebapi,
    'a field is missing': [
      [json({ grant_type: undefined }), 400, 'invalid_request', missing('grant_type')],
      [json({ userName: null }), 400, 'invalid_request', missing('username')],
      [json({ password: '' }), 400, 'invalid_request', missing('password')],
    ],
    'a field is there twice': [
      [json({ username: 'x' }), 400, 'invalid_request', says.twice],
      [() => ({ body: '{"password":"a","password":"b"}' }), 400, 'invalid_request', says.twice],
    ],
    'the body is unreadable': [
      [() => ({ body: '{"grant_type":' }), 400, 'invalid_request', 'The body is not a JSON object.'],
      [() => ({ body: '[]' }), 400, 'invalid_request', 'The body is not a JSON object.'],
      [
        () => ({ headers: { 'content-type': 'text/plain' } }),
        415,
        'invalid_request',
        'Send a form (grant_type=password&userName=...&password=...&clientKey=...), JSON or XML.',
      ],
    ],
    'a field is too long': [
      [json({ clientKey: 'k'.repeat(201) }), 400, 'invalid_request', says.label],
      [json({ userName: 'n'.repeat(257) }), 400, 'invalid_grant', says.wrong],
    ],
    'another grant is asked for': [[json({ grant_type: 'refresh_token' }), 400, 'unsupported_grant_type', says.grant]],
    'the password is wrong': [[json({ password: wrong }), 400, 'invalid_grant', says.wrong]],
    'the user is unknown': [[json({ userName: unknown.name }), 400, 'invalid_grant', says.wrong]],
    'the method is another': [
      ...sameAsWebapi['the method is another'],
      [() => ({ method: 'DELETE', body: '' }), 405, 'invalid_request', 'Use POST.'],
    ],
  },
}

const namespace = 'http://schemas.datacontract.org/2004/07/Yindo.DAL.Types'
const xml =
  (change: Record<string, string | null> = {}, after = ''): Sent =>
  ({ name, password }) => {
    const fields = { clientKey: 'phone', grant_type: 'password', password, userName: name, ...change }
    const given = Object.entries(fields).filter(([, text]) => text !== null)
    const members = given.map(([field, text]) => `<${field}>${text}</${field}>`).join('')
    return { body: `<OAuthRequest xmlns="${namespace}">${members}${after}</OAuthRequest>` }
  }

const sessionInXml: Column = {
  dialect: webapiSession,
  add: addPerson,
  headers: { 'content-type': 'application/xml' },
  body: (user) => String(xml()(user).body),
  refusal: (code, sentence) =>
    `<Error><error>${code}</error><error_description>${sentence}</error_description></Error>`,
  type: 'application/xml; charset=utf-8',
  more: { vary: 'Accept' },
  cells: {
    ...sameAsWebapi,
    'a field is missing': [
      [xml({ grant_type: null }), 400, 'invalid_request', missing('grant_type')],
      [xml({ userName: '' }), 400, 'invalid_request', missing('username')],
      [xml({ password: null }), 400, 'invalid_request', missing('password')],
    ],
    'a field is there twice': [[xml({}, '<USERNAME>x</USERNAME>'), 400, 'invalid_request', says.twice]],
    'the body is unreadable': [
      [() => ({ body: '<OAuthRequest' }), 400, 'invalid_request', 'The body is not well-formed XML.'],
      [
        () => ({ body: '<OAuthRequest/>' }),
        400,
        'invalid_request',
        `The XML must be OAuthRequest, with all elements in the namespace ${namespace}.`,
      ],
    ],
    'a field is too long': [
      [xml({ clientKey: 'k'.repeat(201) }), 400, 'invalid_request', says.label],
      [xml({ userName: 'n'.repeat(257) }), 400, 'invalid_grant', says.wrong],
    ],
    'another grant is asked for': [[xml({ grant_type: 'refresh_token' }), 400, 'unsupported_grant_type', says.grant]],
    'the password is wrong': [[xml({ password: wrong }), 400, 'invalid_grant', says.wrong]],
    'the user is unknown': [[xml({ userName: unknown.name }), 400, 'invalid_grant', says.wrong]],
  },
}

const credentials =
  (change: Record<string, string | null> = {}): Sent =>
  ({ name, password }) => {
    const fields = { username: name, password, 'device-info': 'phone', ...change }
    return { body: form(Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== null)) as never) }
  }

const envelopeTypes: Readonly<Record<string, string>> = {
  1: 'OAuthException',
  2: 'APIMethodException',
  3: 'APIMethodException',
  5: 'ServerSideException',
}

const envelopeColumn: Column = {
  dialect: envelope,
  add: addPerson,
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: (user) => String(credentials()(user).body),
  refusal: (code, message) =>
    JSON.stringify({ success: false, errors: { message, type: envelopeTypes[code.charAt(0)], code } }),
  type: 'application/json; charset=utf-8',
  cells: {
    'a field is missing': [
      [credentials({ username: null }), 200, '1157', says.envelope.missing],
      [credentials({ password: null }), 200, '1157', says.envelope.missing],
      [credentials({ username: '' }), 200, '1157', says.envelope.missing],
      [() => ({ body: '' }), 200, '1157', says.envelope.missing],
    ],
    'a field is there twice': [
      [credentials({ USERNAME: 'x' }), 400, '2400', says.envelope.format],
      [({ name }) => ({ query: `username=${name}` }), 400, '2400', says.envelope.format],
    ],
    'the body is unreadable': [
      [() => ({ body: 'username=%zz' }), 400, '2400', says.envelope.format],
      [() => ({ body: '{"username":"a"}' }), 400, '2400', says.envelope.format],
      [() => ({ query: 'debug=%ff' }), 400, '2400', says.envelope.format],
      [() => ({ headers: { 'content-type': 'multipart/form-data' } }), 400, '2400', says.envelope.format],
    ],
    'a field is too long': [
      [credentials({ 'device-info': 'd'.repeat(201) }), 400, '2400', says.envelope.format],
      [credentials({ username: 'n'.repeat(257) }), 200, '1142', says.envelope.wrong],
    ],
    'another grant is asked for': [],
    'the client is none, or closed': [[asItIs, 404, '2600', says.envelope.closed]],
    'the password is wrong': [[credentials({ password: wrong }), 200, '1142', says.envelope.wrong]],
    'the user is unknown': [[credentials({ username: unknown.name }), 200, '1142', says.envelope.wrong]],
    'the user is disabled': [[asItIs, 200, '1142', says.envelope.wrong]],
    'there were too many attempts': [[asItIs, 429, '1429', says.envelope.attempts]],
    'the database is away': [[asItIs, 503, '5501', says.envelope.away]],
    'the hash queue is full': [[asItIs, 503, '5501', says.envelope.away]],
    'the fault is ours': [[asItIs, 500, '5404', says.envelope.ours]],
    'the method is another': [[() => ({ method: 'PUT' }), 405, '3100', says.envelope.method]],
    'the body is too long': [[tooLong, 400, '2400', says.envelope.format]],
  },
}

/** A device's request for this moment, with the given fields changed. */
const signed =
  (change: Record<string, unknown> = {}): Sent =>
  ({ name, password }) => {
    const timestamp = Math.floor(Date.now() / 1_000)
    const signature = signText(password, timestamp + name).toString('hex')
    return { body: JSON.stringify({ device_key: name, timestamp, device_signature: signature, ...change }) }
  }

const deviceColumn: Column = {
  dialect: device,
  add: async () => {
    const [name, password] = [`device-${randomWord()}`, keepSecret(randomWord())]
    const added = await registerDevice(database.writes, encryptionKey, { deviceKey: name, customerKey: password })
    return { id: added.userId, name, password }
  },
  headers: { 'content-type': 'application/json' },
  body: (user) => String(signed()(user).body),
  refusal: (code, sentence) => JSON.stringify({ error: code, message: sentence }),
  type: 'application/json; charset=utf-8',
  more: {
    'x-ratelimit-limit': expect.stringMatching(/^10$/),
    'x-ratelimit-remaining': expect.stringMatching(/^\d$|^10$/),
    'x-ratelimit-reset': expect.stringMatching(/^\d{10}$/),
  },
  cells: {
    'a field is missing': [
      [signed({ device_key: undefined }), 400, 'invalid_request', missing('device_key')],
      [signed({ timestamp: null }), 400, 'invalid_request', missing('timestamp')],
      [signed({ device_signature: '' }), 400, 'invalid_request', missing('device_signature')],
      [() => ({ body: '{}' }), 400, 'invalid_request', missing('device_key')],
    ],
    'a field is there twice': [
      [signed({ DEVICE_KEY: 'x' }), 400, 'invalid_request', says.twice],
      [() => ({ body: '{"timestamp":1,"timestamp":2}' }), 400, 'invalid_request', says.twice],
    ],
    'the body is unreadable': [
      [() => ({ body: '{' }), 400, 'invalid_request', 'The body is not a JSON object.'],
      [() => ({ body: '' }), 400, 'invalid_request', 'The body is not a JSON object.'],
      [signed({ timestamp: 'now' }), 400, 'invalid_request', 'timestamp is a whole number of seconds since 1970.'],
    ],
    'a field is too long': [
      [signed({ device_key: 'd'.repeat(257) }), 401, 'invalid_grant', says.signature],
      [signed({ device_signature: '0'.repeat(65) }), 401, 'invalid_grant', says.signature],
    ],
    'another grant is asked for': [],
    'the client is none, or closed': [[asItIs, 404, 'not_found', says.closed]],
    'the password is wrong': [[signed({ device_signature: '0'.repeat(64) }), 401, 'invalid_grant', says.signature]],
    'the user is unknown': [[signed({ device_key: unknown.name }), 401, 'invalid_grant', says.signature]],
    'the user is disabled': [[asItIs, 401, 'invalid_grant', says.signature]],
    'there were too many attempts': [[asItIs, 429, 'slow_down', 'Too many requests in this time frame.']],
    'the database is away': [[asItIs, 503, 'temporarily_unavailable', says.away]],
    'the hash queue is full': [],
    'the fault is ours': [[asItIs, 500, 'server_error', says.ours]],
    'the method is another': [[() => ({ method: 'PUT' }), 405, 'invalid_request', 'Use POST.']],
    'the body is too long': [[tooLong, 413, 'invalid_request', says.length]],
  },
}

const columns: readonly (readonly [string, Column])[] = [
  ['webapi', webapiColumn],
  ['webapi with parity', parityColumn],
  ['webapi-session in JSON', sessionInJson],
  ['webapi-session in XML', sessionInXml],
  ['envelope', envelopeColumn],
  ['device', deviceColumn],
]

type Server = typeof app

const away = await serverOn(await openDatabase('postgres://nobody@127.0.0.1:1/none'))
await lengthenWaits(database)
const strict = await serverOn(await openDatabase(url, { timeouts: patience }), { throttle: true })
const broken = await serverOn((await freshDatabase()).database)
await addClient(broken.database, { id: client.id, secret: { chosen: client.secret } })
await broken.database.script('alter table password_grant.users rename column is_enabled to was_enabled')
// slow enough that all requests arrive while the first hash is under way
const busy = await createServer(database, pino({ level: 'trace' }, logLines), {
  ...plainOptions,
  ...options,
  passwords: { ...cheapPasswords, memoryKib: 65_536, passes: 12, concurrency: 1, queueLimit: 0 },
})
afterAll(() => busy.close())

describe.each(columns)('%s', (_name, column) => {
  test('gives a token for the valid form of the request', async () => {
    const response = await send(app, column, await column.add(), asItIs)
    expect(response.statusCode).toBe(200)
    expect(response.body).not.toContain('error')
  })

  const cells = situations.flatMap((situation) => column.cells[situation].map((cell) => [situation, cell] as const))

  test.each(cells)('when %s', async (situation, [sent, status, code, sentence]) => {
    const response = await provoke(situation, column, sent)
    expect({ status: response.statusCode, body: response.body }).toEqual({
      status,
      body: column.refusal(code, sentence),
    })
    const { date: _date, 'content-length': _length, connection, ...headers } = response.headers
    expect(headers).toEqual({ ...expectedHeaders(column, status), ...column.more })
    expect(connection).toBe(situation === 'the body is too long' ? 'close' : 'keep-alive')
  })
})

/** What a client may rely on beside the body: nothing is cached, and the headers of the status are there, no others. */
function expectedHeaders({ dialect, type }: Column, status: number): object {
  if (dialect === parity && status === 400) {
    return {
      'content-type': 'application/json;charset=UTF-8',
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      expires: '-1',
    }
  }
  const whole = expect.stringMatching(/^[1-9]\d*$/)
  return {
    'content-type': type,
    'cache-control': 'no-store',
    pragma: 'no-cache',
    ...(status === 405 && { allow: dialect.methods.join(', ') }),
    ...((status === 503 || status === 429) && { 'retry-after': whole }),
    ...(status === 401 && dialect === webapi && { 'www-authenticate': 'Basic realm="password-grant"' }),
  }
}

/** Makes the situation, sends the request, and makes it as before. */
async function provoke(situation: Situation, column: Column, sent: Sent) {
  const user = await column.add()
  switch (situation) {
    case 'the user is disabled':
      await changeUser(database.writes, user.name, { isEnabled: false })
      return send(app, column, user, sent)
    case 'the client is none, or closed':
      if (column.dialect.client === 'authenticated') return send(app, column, user, sent)
      await setClientEnabled(database.writes, column.dialect.name, false)
      try {
        return await send(app, column, user, sent)
      } finally {
        await setClientEnabled(database.writes, column.dialect.name, true)
      }
    case 'there were too many attempts':
      return sendTooOften(column, user)
    case 'the database is away':
      return send(away.app, column, user, sent)
    case 'the fault is ours':
      return send(broken.app, column, user, sent)
    case 'the hash queue is full':
      return sendAtOnce(column)
    default:
      return send(app, column, user, sent)
  }
}

function send(on: Server, column: Column, user: Person, sent: Sent) {
  const { dialect, headers, body } = column
  const { method = 'POST', query = '', ...parts } = sent(user)
  return on.inject({
    method,
    url: `${dialect.path}${query && `?${query}`}`,
    headers: { ...headers, ...parts.headers },
    body: parts.body ?? body(user),
  })
}

/** Uses a device's turns up, or guesses a user's password as often as is free, and sends what would succeed. */
async function sendTooOften(column: Column, user: Person) {
  const [[wrongPassword] = [asItIs]] = column.cells['the password is wrong']
  const { limit } = column.dialect
  for (let attempt = 1; attempt <= (limit?.attempts ?? 5); attempt += 1) {
    const response = await send(strict.app, column, user, limit ? asItIs : wrongPassword)
    expect(response.statusCode).not.toBe(429)
  }
  return send(strict.app, column, user, asItIs)
}

/** One of those that came while a hash was under way, and had to go. */
async function sendAtOnce(column: Column) {
  const alone = await send(busy, column, unknown, asItIs) // an unknown user costs a whole hash
  const answers = await Promise.all(Array.from({ length: 6 }, () => send(busy, column, unknown, asItIs)))
  const refused = answers.filter(({ body }) => body !== alone.body)
  for (const { body } of refused) expect(body).toBe(refused[0]?.body)
  return refused[0] ?? alone
}

async function serverOn(other: Database, more: { throttle?: boolean } = {}) {
  const server = await createServer(other, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    ...options,
    ...more,
  })
  afterAll(async () => {
    await server.close()
    await other.close()
  })
  return { app: server, database: other }
}
