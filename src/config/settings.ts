import type { Dialect } from '../dialects/dialect.ts'
import { dialects } from '../dialects/index.ts'
import { defaultPasswordOptions } from '../passwords/password.ts'
import { defaultThrottleOptions } from '../throttle/throttle.ts'
import { defaultTokenOptions } from '../tokens/default-token-options.ts'
import { base64, choice, isNetwork, isOrigin, list, path, type Reader, text, wholeNumber } from './reader.ts'

/** One environment variable. */
export interface Setting<Value = unknown, Default = string | number | undefined> extends Reader<Value> {
  /** The default as the environment would spell it; undefined when there is none. */
  readonly default: Default
  readonly meaning: string
  /** Describes the default when it is not a fixed value. */
  readonly defaultWords: string | undefined
}

function setting<Value, Default extends string | number | undefined>(
  reader: Reader<Value>,
  fallback: Default,
  meaning: string,
  defaultWords?: string,
): Setting<Value, Default> {
  return { ...reader, default: fallback, meaning, defaultWords }
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
const lifetime = wholeNumber(1, 316_224_000)
const pathOf = (dialect: Dialect, meaning: string) => setting(path(dialect.path), dialect.path, meaning)
const flag = (meaning: string) => setting(choice('true', 'false'), 'false', meaning)

/** Every environment variable that the server reads, in the order of the reference. */
export const settings = {
  DATABASE_URL: setting(text('a postgres:// URL'), undefined, 'the PostgreSQL to use'),
  EMBEDDED_FOLDER: setting(
    text('a folder'),
    undefined,
    'the folder of an embedded PostgreSQL, instead of `DATABASE_URL`',
  ),
  HOST: setting(
    text('an address or host name', (host) => /^[^\s/]+$/.test(host)),
    '127.0.0.1',
    'where to listen',
  ),
  PORT: setting(
    wholeNumber(0, 65_535),
    3000,
    'where to listen; `0` takes any free port, which the ready line in the log names',
  ),
  TOKEN_LIFETIME_SECONDS: setting(lifetime, defaultTokenOptions.lifetimeSeconds, 'how long a token lives: 14 days'),
  DIALECTS: setting(list(Object.keys(dialects).join(', ')), 'webapi', 'the wire forms to serve'),
  ARGON2_MEMORY_KIB: setting(
    wholeNumber(1024, 4_194_304),
    defaultPasswordOptions.memoryKib,
    'memory of a new password hash',
  ),
  ARGON2_PASSES: setting(wholeNumber(1, 1000), defaultPasswordOptions.passes, 'passes of a new password hash'),
  ARGON2_LANES: setting(wholeNumber(1, 128), defaultPasswordOptions.lanes, 'lanes of a new password hash'),
  HASH_CONCURRENCY: setting(
    wholeNumber(1, 1024),
    undefined,
    'password checks at once',
    "the smaller of cores and the container's CPU quota",
  ),
  HASH_QUEUE_LIMIT: setting(
    wholeNumber(0, 1_000_000),
    defaultPasswordOptions.queueLimit,
    'password checks waiting before 503',
  ),
  HASH_QUEUE_SECONDS: setting(
    wholeNumber(1, 300),
    defaultPasswordOptions.queueSeconds,
    'longest wait for a password check; who is likely to wait half of it gets 503 at once',
  ),
  LOG_LEVEL: setting(
    text(`one of ${logLevels.join(', ')}`, (level) => logLevels.includes(level)),
    'info',
    'how much is logged',
  ),
  TRUST_PROXY: setting(
    list('IP addresses and networks', isNetwork),
    undefined,
    'proxies whose `X-Forwarded-For` is believed; unset believes no header',
  ),
  DATABASE_WAIT_SECONDS: setting(wholeNumber(0, 86_400), 60, 'how long a start keeps trying a database that is away'),
  PUBLIC_URL: setting(
    text('an origin such as https://tokens.example.com, without a path', isOrigin),
    undefined,
    'the issuer in the metadata: the origin under which clients know the server',
    '`http://HOST:PORT` as listened on',
  ),
  CORS_ORIGINS: setting(
    list('origins such as https://app.example.com', isOrigin),
    undefined,
    'whose pages may call the token endpoints, `/userinfo`, `/seats` and `/revoke` from a browser',
  ),
  TOKEN_CACHE_SECONDS: setting(
    wholeNumber(0, 3600),
    defaultTokenOptions.cacheSeconds,
    'how long a found token may be remembered in process; `0` asks the database every time',
  ),
  OUTAGE_LEASE_SECONDS: setting(
    wholeNumber(0, 86_400),
    defaultTokenOptions.outageLeaseSeconds,
    'how long after its last check a token is still accepted while the database is away; `0`: not at all',
  ),
  DOCS: setting(choice('on', 'off'), 'on', 'the `/docs` page'),
  WEBAPI_PATH: pathOf(dialects.webapi, 'where the `webapi` dialect listens'),
  WEBAPI_SESSION_PATH: pathOf(dialects['webapi-session'], 'where the `webapi-session` dialect listens'),
  ENVELOPE_PATH: pathOf(dialects.envelope, 'where the `envelope` dialect listens; a slash at its end may be left out'),
  DEVICE_PATH: pathOf(dialects.device, 'where the `device` dialect listens'),
  WEBAPI_PARITY: flag("`webapi` answers as ASP.NET Web API's endpoint does, to the letter"),
  WEBAPI_DEFAULT_CLIENT: setting(
    text("a public client's id: 1 to 64 of A-Z a-z 0-9 . _ -", (id) => /^[A-Za-z0-9._-]{1,64}$/.test(id)),
    undefined,
    'the public client that a `/Token` request without any client credentials stands for',
  ),
  ENVELOPE_DEBUG: flag('allows `debug=1` of the `envelope` dialect, which tells who exists: for development only'),
  ENVELOPE_LIFETIME_SECONDS: setting(
    lifetime,
    dialects.envelope.lifetimeSeconds,
    'how long a token of the `envelope` dialect lives: 30 days',
  ),
  DEVICE_LIFETIME_SECONDS: setting(
    lifetime,
    dialects.device.lifetimeSeconds,
    'how long a token of the `device` dialect lives: 10 minutes',
  ),
  MAX_SEATS_PER_USER: setting(
    wholeNumber(1, 10_000),
    defaultTokenOptions.maxSeatsPerUser,
    'devices a user may be signed in from; the one signed in longest ago gives way',
  ),
  THROTTLE: setting(
    choice('on', 'off'),
    'on',
    'whether failed attempts, and sign-ins of devices, are limited; `off` is for benchmarks and tests',
  ),
  THROTTLE_FREE_ATTEMPTS: setting(
    wholeNumber(1, 1_000),
    defaultThrottleOptions.freeAttempts,
    'failed attempts, of a user and network together, before the first wait',
  ),
  THROTTLE_LONGEST_WAIT_SECONDS: setting(
    wholeNumber(1, 86_400),
    defaultThrottleOptions.longestWaitSeconds,
    'where the waits of 1, 2, 4 … seconds stop growing',
  ),
  THROTTLE_FORGET_SECONDS: setting(
    wholeNumber(1, 2_592_000),
    defaultThrottleOptions.forgetSeconds,
    'after so long without a failure the count begins anew; no less than the longest wait',
  ),
  THROTTLE_STRANGERS_LIMIT: setting(
    wholeNumber(1, 10_000),
    defaultThrottleOptions.strangersLimit,
    'guesses at a user that are looked at, from all networks the user is not known from, in the time below',
  ),
  THROTTLE_STRANGERS_SOURCE_LIMIT: setting(
    wholeNumber(1, 10_000),
    defaultThrottleOptions.strangersSourceLimit,
    'how many of these guesses one IPv4 address or one IPv6 /48 may spend',
  ),
  THROTTLE_STRANGERS_SECONDS: setting(wholeNumber(1, 2_592_000), defaultThrottleOptions.strangersSeconds, 'that time'),
  THROTTLE_NETWORK_NAMES: setting(
    wholeNumber(1, 1_000_000),
    defaultThrottleOptions.networkNames,
    'after this many different names failed from one network in that time, it may try only names known from there',
  ),
  THROTTLE_KNOWN_NETWORK_DAYS: setting(
    wholeNumber(1, 3_650),
    defaultThrottleOptions.knownNetworkDays,
    'how long a network from which a user signed in is remembered as known',
  ),
  ENCRYPTION_KEY: setting(
    base64('32 bytes in base64, as `openssl rand -base64 32` prints them', /^[A-Za-z0-9+/]{43}=$/),
    undefined,
    'encrypts the keys of devices and the keys that sign, which the `device` dialect needs; hashes remembered networks',
    'made in the folder when embedded',
  ),
} satisfies Record<string, Setting>

/** The name of an environment variable that the server reads. */
export type SettingName = keyof typeof settings

/** The value of each setting; undefined when it is unset and has no default. */
export type Values = { readonly [Name in SettingName]: ValueOf<(typeof settings)[Name]> }

type ValueOf<S> =
  S extends Setting<infer Value, infer Default> ? (undefined extends Default ? Value | undefined : Value) : never

/** Describes a mistake by the texts that a setting accepts. Repeats no value, since some are secrets. */
export function describeMistake(name: SettingName): string {
  return `${name}: expected ${settings[name].expected}`
}

/** Reads every setting. Replaces an invalid text by the default, so that the other settings can be checked too. */
export function readSettings(given: Readonly<Record<string, string>>): { values: Values; mistakes: string[] } {
  const mistakes: string[] = []
  const readSetting = ([name, { read, default: fallback }]: [string, Setting]) => {
    const text = given[name]
    const value = text === undefined ? null : read(text)
    if (text !== undefined && value === null) mistakes.push(describeMistake(name as SettingName)) // a key of the table
    return [name, value ?? (fallback === undefined ? undefined : read(String(fallback)))]
  }
  const values = Object.fromEntries(Object.entries(settings).map(readSetting)) as Values // as the table's readers say
  return { values, mistakes }
}
