import { isIP } from 'node:net'
import envSchema from 'env-schema'
import { availableCores } from './available-cores.ts'
import { isPostgresUrl } from './database/database.ts'
import type { Dialect } from './dialects/dialect.ts'
import { dialects } from './dialects/index.ts'
import { defaultPasswordOptions, type PasswordOptions } from './passwords/password.ts'

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
  /** Origins whose pages may call `/Token`, `/userinfo` and `/revoke`. */
  readonly corsOrigins: readonly string[]
  readonly tokenCacheSeconds: number
  /** Whether there is a `/docs` page. */
  readonly docs: boolean
  readonly dialects: readonly Dialect[]
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

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** Every variable this version reads: the whole truth, from which the README's table is checked. */
export const variables = {
  DATABASE_URL: text('a postgres:// URL', '.', undefined, 'the PostgreSQL to use'),
  EMBEDDED_FOLDER: text('a folder', '.', undefined, 'the folder of an embedded PostgreSQL, instead of `DATABASE_URL`'),
  HOST: text('an address or host name', '^[^\\s/]+$', '127.0.0.1', 'where to listen'),
  PORT: wholeNumber(0, 65_535, 3000, 'where to listen; `0` takes any free port, which the ready line in the log names'),
  TOKEN_LIFETIME_SECONDS: wholeNumber(1, 316_224_000, 1_209_600, 'how long a token lives: 14 days'),
  DIALECTS: text(`a comma list of ${Object.keys(dialects).join(', ')}`, '.', 'webapi', 'the wire forms to serve'),
  ARGON2_MEMORY_KIB: wholeNumber(1024, 4_194_304, defaultPasswordOptions.memoryKib, 'memory of a new password hash'),
  ARGON2_PASSES: wholeNumber(1, 1000, defaultPasswordOptions.passes, 'passes of a new password hash'),
  ARGON2_LANES: wholeNumber(1, 128, defaultPasswordOptions.lanes, 'lanes of a new password hash'),
  HASH_CONCURRENCY: {
    ...wholeNumber(1, 1024, undefined, 'password checks at once'),
    defaultWords: "the smaller of cores and the container's CPU quota",
  },
  HASH_QUEUE_LIMIT: wholeNumber(0, 1_000_000, defaultPasswordOptions.queueLimit, 'password checks waiting before 503'),
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
    'whose pages may call `/Token`, `/userinfo` and `/revoke` from a browser',
  ),
  TOKEN_CACHE_SECONDS: wholeNumber(
    0,
    3600,
    5,
    'how long a found token may be remembered in process; `0` asks the database every time',
  ),
  DOCS: text('on or off', '^(on|off)$', 'on', 'the `/docs` page'),
  WEBAPI_PATH: text(
    'a path such as /Token that nothing else has',
    '^(/[A-Za-z0-9._~-]{1,100})+$',
    '/Token',
    'where the `webapi` dialect listens',
  ),
} as const satisfies Record<string, Variable>

/** Variables of later versions: refused rather than ignored, so that nobody relies on what is not there. */
const notYet = [
  'THROTTLE',
  'WEBAPI_SESSION_PATH',
  'ENVELOPE_PATH',
  'DEVICE_PATH',
  'WEBAPI_PARITY',
  'WEBAPI_DEFAULT_CLIENT',
  'ENVELOPE_DEBUG',
  'OUTAGE_LEASE_SECONDS',
  'ENVELOPE_LIFETIME_SECONDS',
  'DEVICE_LIFETIME_SECONDS',
  'MAX_SEATS_PER_USER',
  'ENCRYPTION_KEY',
]

/** Where something else answers. */
const reservedPaths = /^\/(userinfo|introspect|revoke|health|openapi\.yaml|docs|\.well-known)(\/|$)/i

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
  mistakes.push(...notYet.filter((name) => given[name]).map((name) => `${name}: not available in this version`))
  const proxies = values.TRUST_PROXY?.split(',').map((proxy) => proxy.trim()) ?? []
  if (given['DATABASE_URL'] && !isPostgresUrl(given['DATABASE_URL'])) mistakes.push(expect('DATABASE_URL'))
  if (!proxies.every(isNetwork)) mistakes.push(expect('TRUST_PROXY'))
  const names = values.DIALECTS.split(',').map((name) => name.trim())
  if (!names.every((name) => Object.hasOwn(dialects, name))) mistakes.push(expect('DIALECTS'))
  if (reservedPaths.test(values.WEBAPI_PATH)) mistakes.push(expect('WEBAPI_PATH'))
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
    docs: values.DOCS === 'on',
    dialects: [...new Set(names)].map((name) => placeDialect(name, { webapi: values.WEBAPI_PATH })),
    passwords: {
      memoryKib: values.ARGON2_MEMORY_KIB,
      passes: values.ARGON2_PASSES,
      lanes: values.ARGON2_LANES,
      concurrency: values.HASH_CONCURRENCY ?? availableCores(),
      queueLimit: values.HASH_QUEUE_LIMIT,
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
  LOG_LEVEL: string
  TRUST_PROXY?: string
  DATABASE_WAIT_SECONDS: number
  PUBLIC_URL?: string
  CORS_ORIGINS?: string
  TOKEN_CACHE_SECONDS: number
  DOCS: 'on' | 'off'
  WEBAPI_PATH: string
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

function placeDialect(name: string, paths: Record<string, string>): Dialect {
  const dialect = dialects[name] as Dialect // its name was checked
  return { ...dialect, path: paths[name] ?? dialect.path }
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
