import type { Chance } from './chance.ts'
import { deviceCount, type Known } from './known.ts'
import { anyToken, rightToken } from './rubbish.ts'

/** The name and the text of a field or a header. */
export type Pair = [name: string, value: string]

/** The form of a body. */
export type Encoding = 'form' | 'json' | 'xml' | 'multipart' | 'query' | 'none'

/** A request before it becomes bytes, so that meaningful parts of it can be changed. */
export interface Draft {
  method: string
  path: string
  query: string
  headers: Pair[]
  fields: Pair[]
  encoding: Encoding
  /** Whether it contains valid credentials: a password, a signature or a live token. */
  isProven: boolean
}

/** An endpoint, and how to write a right request to it. */
export interface Endpoint {
  readonly name: string
  /** Its share of all requests, relative to the other endpoints. */
  readonly share: number
  /** Whether it receives, issues or describes tokens, so that no answer may be cached. */
  readonly isAboutTokens?: boolean
  readonly draft: (chance: Chance, known: Known, marker: string) => Partial<Draft>
}

const get = (name: string, share: number): Endpoint => ({ name, share, draft: () => ({ path: name }) })

/** All endpoints, and an unknown path. */
export const endpoints: readonly Endpoint[] = [
  {
    name: '/Token',
    share: 22,
    isAboutTokens: true,
    draft: (chance, known, marker) => {
      const client = asClient(chance, known, marker)
      const fields: Pair[] = [
        ['grant_type', 'password'],
        ...personFields(chance, known, 'username', marker),
        ...client.fields,
      ]
      const method = chance.is(90) ? 'POST' : 'GET'
      return { method, path: '/Token', fields, headers: client.headers, encoding: 'form', isProven: true }
    },
  },
  {
    name: '/v2/token',
    share: 16,
    isAboutTokens: true,
    draft: (chance, known, marker) => {
      const name = chance.pick(['userName', 'username'])
      const fields: Pair[] = [['grant_type', 'password'], ...personFields(chance, known, name, marker)]
      if (chance.is(70)) fields.push(['clientKey', label(chance, marker)])
      const accept = chance.pick([
        '',
        '*/*',
        'application/json',
        'text/xml',
        'text/javascript',
        'application/xml;q=0.5',
      ])
      const headers: Pair[] = accept === '' ? [] : [['Accept', accept]]
      const encoding = chance.pick<Encoding>(['form', 'json', 'xml', 'xml'])
      return { method: 'POST', path: '/v2/token', fields, headers, encoding, isProven: true }
    },
  },
  {
    name: '/v1/oauth/',
    share: 14,
    isAboutTokens: true,
    draft: (chance, known, marker) => {
      const fields = personFields(chance, known, 'username', marker)
      if (chance.is(60)) fields.push(['device-info', label(chance, marker)])
      if (chance.is(20)) fields.push(['debug', '1'])
      const encoding = chance.pick<Encoding>(['form', 'multipart', 'multipart', 'query'])
      return { method: 'POST', path: chance.pick(['/v1/oauth/', '/v1/oauth']), fields, encoding, isProven: true }
    },
  },
  {
    name: '/auth/login',
    share: 10,
    isAboutTokens: true,
    draft: (chance, known) => {
      const { deviceKey, timestamp, signature } = known.signTime(favour(chance, deviceCount))
      const fields: Pair[] = [
        ['device_key', deviceKey],
        ['timestamp', String(timestamp)],
        [chance.pick(['device_signature', 'device-signature']), signature],
      ]
      return { method: 'POST', path: '/auth/login', fields, encoding: 'json', isProven: true }
    },
  },
  {
    name: '/userinfo',
    share: 8,
    isAboutTokens: true,
    draft: (...given) => ({ path: '/userinfo', ...asHolder(...given) }),
  },
  { name: '/seats', share: 3, isAboutTokens: true, draft: (...given) => ({ path: '/seats', ...asHolder(...given) }) },
  {
    name: '/seats/{id}',
    share: 3,
    isAboutTokens: true,
    draft: (chance, known, marker) => {
      const token = rightToken(chance, known) ?? ''
      const holder = asHolder(chance, known, marker)
      const own: Pair[] = [['Authorization', `Bearer ${token}`]]
      const path = `/seats/${chance.pick([seatOf(token), seatOf(token), seatOf(''), marker])}`
      return { ...holder, ...(chance.is(50) ? { headers: own, isProven: true } : {}), method: 'DELETE', path }
    },
  },
  { name: '/introspect', share: 8, isAboutTokens: true, draft: aboutToken('/introspect') },
  { name: '/revoke', share: 5, isAboutTokens: true, draft: aboutToken('/revoke') },
  get('/.well-known/oauth-authorization-server', 1),
  get('/.well-known/jwks.json', 2),
  get('/health/live', 1),
  get('/health/ready', 1),
  get('/openapi.yaml', 1),
  {
    name: '/docs',
    share: 2,
    draft: (chance) => ({
      path: chance.pick(['/docs', '/docs/', '/docs/static/index.css', '/docs/json', '/docs/yaml']),
    }),
  },
  {
    name: 'unknown paths',
    share: 3,
    draft: (chance, _known, marker) => ({
      path: chance.pick(['/', `/${marker}`, '/token/', '/v1', '/%', '/docs/../x']),
    }),
  },
]

/** Chooses a right or wrong password. All guesses are aimed at one user. */
function personFields(chance: Chance, { userNames, password }: Known, name: string, marker: string): Pair[] {
  const number = favour(chance, userNames.length)
  return [
    [name, userNames[number] ?? ''],
    ['password', number === 0 && chance.is(90) ? marker : password],
  ]
}

/** Device labels. Dialects that return a label must encode it in their own way. */
function label(chance: Chance, marker: string): string {
  if (chance.is(50)) return `device ${chance.int(1, 5)}`
  return marker + chance.pick(['', '', '<', '&', ']]>', '"', '\\', '\u2028', '\u{1f600}', '\ufffe', '\u202e'])
}

/** Chooses one of several accounts, a few of them so often that the throttle has attempts to count. */
function favour(chance: Chance, count: number): number {
  return chance.is(25) ? chance.int(0, 2) : chance.int(0, count - 1)
}

function asClient(chance: Chance, { client, publicClient }: Known, marker: string): Pick<Draft, 'fields' | 'headers'> {
  if (chance.is(20)) return { fields: [['client_id', publicClient]], headers: [] }
  if (chance.is(40)) {
    const fields: Pair[] = [
      ['client_id', client.id],
      ['client_secret', client.secret],
    ]
    return { fields, headers: [] }
  }
  const [id, secret] = chance.is(5) ? ['fuzz-guessed', marker] : [client.id, client.secret]
  const basic = Buffer.from(`${id}:${secret}`).toString('base64')
  return { fields: [], headers: [['Authorization', `Basic ${basic}`]] }
}

function asHolder(chance: Chance, known: Known, marker: string): Pick<Draft, 'headers' | 'isProven'> {
  const { text, isRight } = anyToken(chance, known, marker)
  const headers = chance.pick<Pair>([
    ['Authorization', `Bearer ${text}`],
    ['Authorization', `Bearer ${text}`],
    ['Authorization', `Token ${text}`],
    ['x-access-token', text],
  ])
  return { headers: [headers], isProven: isRight }
}

function aboutToken(path: string): Endpoint['draft'] {
  return (chance, known, marker) => {
    const { text, isRight } = anyToken(chance, known, marker)
    const client = asClient(chance, known, marker)
    const fields: Pair[] = [['token', text], ...client.fields]
    if (chance.is(20)) fields.push(['token_type_hint', marker])
    return { method: 'POST', path, fields, headers: client.headers, encoding: 'form', isProven: isRight }
  }
}

/** Reads the seat that a plain or signed token names. */
function seatOf(token: string): string {
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
  const value = /"jti":"([^"]*)"/.exec(claims)?.[1] ?? token
  const hex = Buffer.from(value, 'base64url').toString('hex').padEnd(32, '0')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
