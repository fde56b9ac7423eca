import { isIP } from 'node:net'
import envSchema from 'env-schema'
import { availableCores } from './available-cores.ts'
import { readDatabaseUrl } from './database/database-url.ts'
import { type Dialect, signsTokens } from './dialects/dialect.ts'
import { envelopeWithDebug } from './dialects/envelope.ts'
import { dialects, findSharedPath } from './dialects/index.ts'
import { webapiParity } from './dialects/webapi-parity.ts'
import { defaultPasswordOptions, type PasswordOptions } from './passwords/password.ts'
import { defaultThrottleOptions, type ThrottleOptions } from './throttle/throttle.ts'

/** Where the database is. */
export type DatabaseChoice = { readonly url: string } | { readonly folder: string }

/** The environment, read once: real types, nothing left to parse. */
export interface Config {
  readonly database: DatabaseChoice
  readonly databaseWaitSeconds: number
  readonly host: string
  readonly port: number
  readonly logLevel: string
  /** Addresses and networks whose `X-Forwarded-For` is believed; empty believes none. */
  readonly trustProxy: readonly string[]
  readonly lifetimeSeconds: number
  /** The origin under which the server is known; undefined: where it listens. */
  readonly publicUrl: string | undefined
  /** Origins whose pages may call the dialects, `/userinfo`, `/seats` and `/revoke`. */
  readonly corsOrigins: readonly string[]
  readonly tokenCacheSeconds: number
  /** How long a token found before is accepted while the database is away. */
  readonly outageLeaseSeconds: number
  /** Whether there is a `/docs` page. */
  readonly docs: boolean
  readonly dialects: readonly Dialect[]
  readonly maxSeatsPerUser: number
  /** 32 bytes; undefined: an embedded database's folder has them. */
  readonly encryptionKey: Buffer | undefined
  /** How attempts are limited; false: not at all. */
  readonly throttle: ThrottleOptions | false
  readonly passwords: PasswordOptions
}

/** One variable: what is accepted, the default as it would be written, and the sentence for both table and error. */
export interface Variable {
  readonly expected: string
  readonly meaning: string
  readonly schema: Readonly<Record<string, unknown>>
  /** The default in words, where it is no fixed value. */
  readonly defaultWords?: string
}

const wholeNumber = (minimum: number, maximum: number, fallback?: number, meaning = ''): Variable => ({
  expected: `a whole number from ${minimum} to ${maximum}`,
  meaning,
  schema: { type: 'integer', minimum, maximum, ...(fallback === undefined ? {} : { default: fallback }) },
})

const text = (expected: string, pattern: string, fallback: string | undefined, meaning: string): Variable => ({
  expected,
  meaning,
  schema: { type: 'string', pattern, ...(fallback === undefined ? {} : { default: fallback }) },
})

const lifetime = (fallback: number, meaning: string): Variable => wholeNumber(1, 316_224_000, fallback, meaning)

const yesOrNo = (meaning: string): Variable => text('true or false', '^(true|false)$', 'false', meaning)

const path = (example: string, meaning: string): Variable =>
  text(
    `a path such as ${example} that nothing else has`,
    `^(/[A-Za-z0-9._~-]{1,100})+${example.endsWith('/') ? '/?' : ''}$`,
    example,
    meaning,
  )

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** Every variable this version reads: the whole truth, from which the README's table is checked. */
export const variables = {
  DATABASE_URL: text('a postgres:// URL', '.', undefined, 'the PostgreSQL to use'),
  EMBEDDED_FOLDER: text('a folder', '.', undefined, 'the folder of an embedded PostgreSQL, instead of `DATABASE_URL`'),
  HOST: text('an address or host name', '^[^\\s/]+$', '127.0.0.1', 'where to listen'),
  PORT: wholeNumber(0, 65_535, 3000, 'where to listen; `0` takes any free port, which the ready line in the log names'),
  TOKEN_LIFETIME_SECONDS: lifetime(1_209_600, 'how long a token lives: 14 days'),
  DIALECTS: text(`a comma list of ${Object.keys(dialects).join(', ')}`, '.', 'webapi', 'the wire forms to serve'),
  ARGON2_MEMORY_KIB: wholeNumber(1024, 4_194_304, defaultPasswordOptions.memoryKib, 'memory of a new password hash'),
  ARGON2_PASSES: wholeNumber(1, 1000, defaultPasswordOptions.passes, 'passes of a new password hash'),
  ARGON2_LANES: wholeNumber(1, 128, defaultPasswordOptions.lanes, 'lanes of a new password hash'),
  HASH_CONCURRENCY: {
    ...wholeNumber(1, 1024, undefined, 'password checks at once'),
    defaultWords: "the smaller of cores and the container's CPU quota",
  },
  HASH_QUEUE_LIMIT: wholeNumber(0, 1_000_000, defaultPasswordOptions.queueLimit, 'password checks waiting before 503'),
  HASH_QUEUE_SECONDS: wholeNumber(
    1,
    300,
    defaultPasswordOptions.queueSeconds,
    'longest wait for a password check; who is likely to wait half of it gets 503 at once',
  ),
  LOG_LEVEL: text(`one of ${logLevels.join(', ')}`, `^(${logLevels.join('|')})$`, 'info', 'how much is logged'),
  TRUST_PROXY: text(
    'a comma list of IP addresses and networks',
    '.',
    undefined,
    'proxies whose `X-Forwarded-For` is believed; unset believes no header',
  ),
  DATABASE_WAIT_SECONDS: wholeNumber(0, 86_400, 60, 'how long a start keeps trying a database that is away'),
  PUBLIC_URL: {
    ...text(
      'an origin such as https://tokens.example.com, without a path',
      '^https?://',
      undefined,
      'the issuer in the metadata: the origin under which clients know the server',
    ),
    defaultWords: '`http://HOST:PORT` as listened on',
  },
  CORS_ORIGINS: text(
    'a comma list of origins such as https://app.example.com',
    '.',
    undefined,
    'whose pages may call the token endpoints, `/userinfo`, `/seats` and `/revoke` from a browser',
  ),
  TOKEN_CACHE_SECONDS: wholeNumber(
    0,
    3600,
    5,
    'how long a found token may be remembered in process; `0` asks the database every time',
  ),
  OUTAGE_LEASE_SECONDS: wholeNumber(
    0,
    86_400,
    0,
    'how long after its last check a token is still accepted while the database is away; `0`: not at all',
  ),
  DOCS: text('on or off', '^(on|off)$', 'on', 'the `/docs` page'),
  WEBAPI_PATH: path('/Token', 'where the `webapi` dialect listens'),
  WEBAPI_SESSION_PATH: path('/v2/token', 'where the `webapi-session` dialect listens'),
  ENVELOPE_PATH: path('/v1/oauth/', 'where the `envelope` dialect listens; a slash at its end may be left out'),
  DEVICE_PATH: path('/auth/login', 'where the `device` dialect listens'),
  WEBAPI_PARITY: yesOrNo("`webapi` answers as ASP.NET Web API's endpoint does, to the letter"),
  WEBAPI_DEFAULT_CLIENT: text(
    "a public client's id: 1 to 64 of A-Z a-z 0-9 . _ -",
    '^[A-Za-z0-9._-]{1,64}$',
    undefined,
    'the public client that a `/Token` request without any client credentials stands for',
  ),
  ENVELOPE_DEBUG: yesOrNo('allows `debug=1` of the `envelope` dialect, which tells who exists: for development only'),
  ENVELOPE_LIFETIME_SECONDS: lifetime(2_592_000, 'how long a token of the `envelope` dialect lives: 30 days'),
  DEVICE_LIFETIME_SECONDS: lifetime(600, 'how long a token of the `device` dialect lives: 10 minutes'),
  MAX_SEATS_PER_USER: wholeNumber(
    1,
    10_000,
    50,
    'devices a user may be signed in from; the one signed in longest ago gives way',
  ),
  THROTTLE: text(
    'on or off',
    '^(on|off)$',
    'on',
    'whether failed attempts, and sign-ins of devices, are limited; `off` is for benchmarks and tests',
  ),
  THROTTLE_FREE_ATTEMPTS: wholeNumber(
    1,
    1_000,
    defaultThrottleOptions.freeAttempts,
    'failed attempts, of a user and network together, before the first wait',
  ),
  THROTTLE_LONGEST_WAIT_SECONDS: wholeNumber(
    1,
    86_400,
    defaultThrottleOptions.longestWaitSeconds,
    'where the waits of 1, 2, 4 … seconds stop growing',
  ),
  THROTTLE_FORGET_SECONDS: wholeNumber(
    1,
    2_592_000,
    defaultThrottleOptions.forgetSeconds,
    'after so long without a failure the count begins anew; no less than the longest wait',
  ),
  THROTTLE_STRANGERS_LIMIT: wholeNumber(
    1,
    10_000,
    defaultThrottleOptions.strangersLimit,
    'guesses at a user that are looked at, from all networks the user is not known from, in the time below',
  ),
  THROTTLE_STRANGERS_SOURCE_LIMIT: wholeNumber(
    1,
    10_000,
    defaultThrottleOptions.strangersSourceLimit,
    'how many of these guesses one IPv4 address or one IPv6 /48 may spend',
  ),
  THROTTLE_STRANGERS_SECONDS: wholeNumber(1, 2_592_000, defaultThrottleOptions.strangersSeconds, 'that time'),
  THROTTLE_NETWORK_NAMES: wholeNumber(
    1,
    1_000_000,
    defaultThrottleOptions.networkNames,
    'after this many different names failed from one network in that time, it may try only names known from there',
  ),
  THROTTLE_KNOWN_NETWORK_DAYS: wholeNumber(
    1,
    3_650,
    defaultThrottleOptions.knownNetworkDays,
    'how long a network from which a user signed in is remembered as known',
  ),
  ENCRYPTION_KEY: {
    ...text(
      '32 bytes in base64, as `openssl rand -base64 32` prints them',
      '^[A-Za-z0-9+/]{43}=$',
      undefined,
      'encrypts the keys of devices and the keys that sign, which the `device` dialect needs; hashes remembered networks',
    ),
    defaultWords: 'made in the folder when embedded',
  },
} as const satisfies Record<string, Variable>

/** Where something else answers. */
const reservedPaths = /^\/(userinfo|seats|introspect|revoke|health|openapi\.yaml|docs|\.well-known)(\/|$)/i

/** Every mistake of an environment at once; no value is repeated, since some are secrets. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

/** Environment → frozen Config. An empty or blank variable counts as unset. Throws ConfigError with every mistake. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => Boolean(entry[1]?.trim())),
  )
  const { values, mistakes } = readVariables(given)
  const proxies = values.TRUST_PROXY?.split(',').map((proxy) => proxy.trim()) ?? []
  mistakes.push(...findUrlMistakes(given['DATABASE_URL']))
  if (!proxies.every(isNetwork)) mistakes.push(expect('TRUST_PROXY'))
  const names = values.DIALECTS.split(',').map((name) => name.trim())
  if (!names.every(isDialectName)) mistakes.push(expect('DIALECTS'))
  for (const name of Object.values(pathNames)) if (reservedPaths.test(values[name])) mistakes.push(expect(name))
  const mounted = [...new Set(names)].filter(isDialectName).map((name) => placeDialect(name, values))
  mistakes.push(...findMismatches(mounted, given))
  const corsOrigins = values.CORS_ORIGINS?.split(',').map((origin) => origin.trim()) ?? []
  if (!corsOrigins.every(isOrigin)) mistakes.push(expect('CORS_ORIGINS'))
  if (values.PUBLIC_URL !== undefined && !isOrigin(values.PUBLIC_URL)) mistakes.push(expect('PUBLIC_URL'))
  const database = chooseDatabase(given, mistakes)
  if (mistakes.length > 0 || database === null) throw new ConfigError(mistakes)
  return Object.freeze({
    database,
    databaseWaitSeconds: values.DATABASE_WAIT_SECONDS,
    host: values.HOST,
    port: values.PORT,
    logLevel: values.LOG_LEVEL,
    trustProxy: proxies,
    lifetimeSeconds: values.TOKEN_LIFETIME_SECONDS,
    publicUrl: values.PUBLIC_URL,
    corsOrigins,
    tokenCacheSeconds: values.TOKEN_CACHE_SECONDS,
    outageLeaseSeconds: values.OUTAGE_LEASE_SECONDS,
    docs: values.DOCS === 'on',
    dialects: mounted,
    maxSeatsPerUser: values.MAX_SEATS_PER_USER,
    encryptionKey: values.ENCRYPTION_KEY === undefined ? undefined : Buffer.from(values.ENCRYPTION_KEY, 'base64'),
    throttle: values.THROTTLE === 'on' && {
      freeAttempts: values.THROTTLE_FREE_ATTEMPTS,
      longestWaitSeconds: values.THROTTLE_LONGEST_WAIT_SECONDS,
      forgetSeconds: values.THROTTLE_FORGET_SECONDS,
      strangersLimit: values.THROTTLE_STRANGERS_LIMIT,
      strangersSourceLimit: values.THROTTLE_STRANGERS_SOURCE_LIMIT,
      networkNames: values.THROTTLE_NETWORK_NAMES,
      strangersSeconds: values.THROTTLE_STRANGERS_SECONDS,
      knownNetworkDays: values.THROTTLE_KNOWN_NETWORK_DAYS,
    },
    passwords: {
      memoryKib: values.ARGON2_MEMORY_KIB,
      passes: values.ARGON2_PASSES,
      lanes: values.ARGON2_LANES,
      concurrency: values.HASH_CONCURRENCY ?? availableCores(),
      queueLimit: values.HASH_QUEUE_LIMIT,
      queueSeconds: values.HASH_QUEUE_SECONDS,
    },
  })
}

interface Values {
  HOST: string
  PORT: number
  TOKEN_LIFETIME_SECONDS: number
  DIALECTS: string
  ARGON2_MEMORY_KIB: number
  ARGON2_PASSES: number
  ARGON2_LANES: number
  HASH_CONCURRENCY?: number
  HASH_QUEUE_LIMIT: number
  HASH_QUEUE_SECONDS: number
  LOG_LEVEL: string
  TRUST_PROXY?: string
  DATABASE_WAIT_SECONDS: number
  PUBLIC_URL?: string
  CORS_ORIGINS?: string
  TOKEN_CACHE_SECONDS: number
  OUTAGE_LEASE_SECONDS: number
  DOCS: 'on' | 'off'
  WEBAPI_PATH: string
  WEBAPI_SESSION_PATH: string
  ENVELOPE_PATH: string
  DEVICE_PATH: string
  WEBAPI_PARITY: 'true' | 'false'
  WEBAPI_DEFAULT_CLIENT?: string
  ENVELOPE_DEBUG: 'true' | 'false'
  ENVELOPE_LIFETIME_SECONDS: number
  DEVICE_LIFETIME_SECONDS: number
  MAX_SEATS_PER_USER: number
  THROTTLE: 'on' | 'off'
  THROTTLE_FREE_ATTEMPTS: number
  THROTTLE_LONGEST_WAIT_SECONDS: number
  THROTTLE_FORGET_SECONDS: number
  THROTTLE_STRANGERS_LIMIT: number
  THROTTLE_STRANGERS_SOURCE_LIMIT: number
  THROTTLE_NETWORK_NAMES: number
  THROTTLE_STRANGERS_SECONDS: number
  THROTTLE_KNOWN_NETWORK_DAYS: number
  ENCRYPTION_KEY?: string
}

/** env-schema reads and checks; a variable it refuses becomes our sentence, and its default stands in meanwhile. */
function readVariables(given: Record<string, string>): { values: Values; mistakes: string[] } {
  const properties = Object.fromEntries(Object.entries(variables).map(([name, { schema }]) => [name, { ...schema }]))
  const read = (data: Record<string, string>) =>
    envSchema<Values>({ schema: { type: 'object', properties }, data: { ...data }, env: false })
  const wrong = new Set<string>(Object.keys(given).filter((name) => isOddNumber(name, given[name] ?? '')))
  const readRight = () => read(Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name))))
  const mistakes = () => (Object.keys(variables) as VariableName[]).filter((name) => wrong.has(name)).map(expect)
  try {
    return { values: readRight(), mistakes: mistakes() }
  } catch (error) {
    for (const name of wrongNames(error)) wrong.add(name)
    return { values: readRight(), mistakes: mistakes() }
  }
}

/** JavaScript takes `0x50` and `1e3` for numbers; people who set a port do not. */
function isOddNumber(name: string, text: string): boolean {
  const variable: Variable | undefined = Object.hasOwn(variables, name) ? variables[name as VariableName] : undefined
  return variable?.schema['type'] === 'integer' && !/^\d+$/.test(text)
}

function wrongNames(error: unknown): VariableName[] {
  if (!(error instanceof Error) || !('errors' in error) || !Array.isArray(error.errors)) throw error
  const names = error.errors.map(({ instancePath }) => String(instancePath).slice(1) as VariableName)
  return [...new Set(names)]
}

type VariableName = keyof typeof variables

function expect(name: VariableName): string {
  return `${name}: expected ${variables[name].expected}`
}

/** Reads the URL as the connections do; the sentence repeats nothing of it. */
function findUrlMistakes(url: string | undefined): string[] {
  if (!url) return []
  try {
    readDatabaseUrl(url)
    return []
  } catch (error) {
    return [`DATABASE_URL: ${(error as TypeError).message}`] // it throws nothing else
  }
}

function chooseDatabase(given: Record<string, string>, mistakes: string[]): DatabaseChoice | null {
  const { DATABASE_URL: url, EMBEDDED_FOLDER: folder } = given
  if (url && folder) mistakes.push('DATABASE_URL, EMBEDDED_FOLDER: set one of them, not both')
  if (!url && !folder) mistakes.push('DATABASE_URL, EMBEDDED_FOLDER: set one of them, or use --embedded FOLDER')
  return url ? { url } : folder ? { folder } : null
}

function isNetwork(network: string): boolean {
  const [address = '', bits, ...rest] = network.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** As a browser writes it: scheme, host and a port that is not the scheme's own, no path. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && !text.includes('*') && new URL(text).origin === text
}

type DialectName = keyof typeof dialects

const pathNames = {
  webapi: 'WEBAPI_PATH',
  'webapi-session': 'WEBAPI_SESSION_PATH',
  envelope: 'ENVELOPE_PATH',
  device: 'DEVICE_PATH',
} as const satisfies Record<DialectName, VariableName>

function isDialectName(name: string): name is DialectName {
  return Object.hasOwn(dialects, name)
}

/** A dialect as the environment wants it: another path or lifetime, and of two a variant. */
function placeDialect(name: DialectName, values: Values): Dialect {
  switch (name) {
    case 'webapi': {
      const variant = values.WEBAPI_PARITY === 'true' ? webapiParity : dialects.webapi
      return { ...variant, path: values.WEBAPI_PATH, defaultClient: values.WEBAPI_DEFAULT_CLIENT }
    }
    case 'webapi-session':
      return { ...dialects['webapi-session'], path: values.WEBAPI_SESSION_PATH }
    case 'envelope': {
      const variant = values.ENVELOPE_DEBUG === 'true' ? envelopeWithDebug : dialects.envelope
      return { ...variant, path: values.ENVELOPE_PATH, lifetimeSeconds: values.ENVELOPE_LIFETIME_SECONDS }
    }
    case 'device':
      return { ...dialects.device, path: values.DEVICE_PATH, lifetimeSeconds: values.DEVICE_LIFETIME_SECONDS }
  }
}

/** What is right by itself and not together. */
function findMismatches(mounted: readonly Dialect[], given: Record<string, string>): string[] {
  const shared = findSharedPath(mounted)
  const mistakes = []
  if (shared) {
    const names = shared.names.map((name) => pathNames[name as DialectName]).join(', ')
    mistakes.push(`${names}: two dialects on one path, ${shared.path}; give each a path of its own`)
  }
  const hasDevices = mounted.some(signsTokens)
  if (hasDevices && given['ENCRYPTION_KEY'] === undefined && given['EMBEDDED_FOLDER'] === undefined) {
    mistakes.push(`${expect('ENCRYPTION_KEY')}, which the device dialect needs`)
  }
  return mistakes
}

// OWASP Password Storage Cheat Sheet: argon2id choices of equal strength, [memory in KiB, passes]
const owaspChoices = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9_216, 4],
  [7_168, 5],
] as const

/** Whether a cost is below every choice OWASP gives for argon2id. */
export function isWeakCost({ memoryKib, passes }: PasswordOptions): boolean {
  return !owaspChoices.some(([memory, times]) => memoryKib >= memory && passes >= times)
}
