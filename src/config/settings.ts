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
  DATABASE_URL: setting(text('a postgres:// URL'), undefined, 'The PostgreSQL database to use.'),
  EMBEDDED_FOLDER: setting(
    text('a folder'),
    undefined,
    'The folder of an embedded PostgreSQL. Set it instead of `DATABASE_URL`.',
  ),
  HOST: setting(
    text('an address or host name', (host) => /^[^\s/]+$/.test(host)),
    '127.0.0.1',
    'The address to listen on.',
  ),
  PORT: setting(
    wholeNumber(0, 65_535),
    3000,
    'The port to listen on. `0` picks a free port, which the ready line in the log names.',
  ),
  TOKEN_LIFETIME_SECONDS: setting(
    lifetime,
    defaultTokenOptions.lifetimeSeconds,
    'How long a token of `webapi` or `webapi-session` lives. The default is 14 days. `client add --lifetime` overrides it for one client.',
  ),
  DIALECTS: setting(list(Object.keys(dialects).join(', ')), 'webapi', 'The dialects to serve.'),
  ARGON2_MEMORY_KIB: setting(
    wholeNumber(1024, 4_194_304),
    defaultPasswordOptions.memoryKib,
    'Memory for each new password hash, in KiB.',
  ),
  ARGON2_PASSES: setting(
    wholeNumber(1, 1000),
    defaultPasswordOptions.passes,
    'Passes over that memory for each new password hash.',
  ),
  ARGON2_LANES: setting(
    wholeNumber(1, 128),
    defaultPasswordOptions.lanes,
    'Lanes (degree of parallelism) of each new password hash.',
  ),
  HASH_CONCURRENCY: setting(
    wholeNumber(1, 1024),
    undefined,
    'How many password checks run at the same time.',
    "the number of CPU cores, or the container's CPU quota if that is smaller",
  ),
  HASH_QUEUE_LIMIT: setting(
    wholeNumber(0, 1_000_000),
    defaultPasswordOptions.queueLimit,
    'How many password checks may wait. When the queue is full, the server answers 503.',
  ),
  HASH_QUEUE_SECONDS: setting(
    wholeNumber(1, 300),
    defaultPasswordOptions.queueSeconds,
    'The longest time a password check may wait. A request that is likely to wait for half of it gets 503 at once.',
  ),
  LOG_LEVEL: setting(
    text(`one of ${logLevels.join(', ')}`, (level) => logLevels.includes(level)),
    'info',
    'The lowest level to log.',
  ),
  TRUST_PROXY: setting(
    list('IP addresses and networks', isNetwork),
    undefined,
    'The proxies whose `X-Forwarded-For` header the server trusts. Without it, the server ignores that header.',
  ),
  DATABASE_WAIT_SECONDS: setting(
    wholeNumber(0, 86_400),
    60,
    'How long the server retries at start-up while the database is unavailable.',
  ),
  PUBLIC_URL: setting(
    text('an origin such as https://tokens.example.com, without a path', isOrigin),
    undefined,
    'The issuer in the metadata: the origin under which clients reach the server.',
    '`http://HOST:PORT`, where the server listens',
  ),
  CORS_ORIGINS: setting(
    list('origins such as https://app.example.com', isOrigin),
    undefined,
    'The origins whose pages may call the token endpoints, `/userinfo`, `/seats` and `/revoke` from a browser.',
  ),
  TOKEN_CACHE_SECONDS: setting(
    wholeNumber(0, 3600),
    defaultTokenOptions.cacheSeconds,
    'How long the server caches a token that it found. `0` asks the database every time.',
  ),
  OUTAGE_LEASE_SECONDS: setting(
    wholeNumber(0, 86_400),
    defaultTokenOptions.outageLeaseSeconds,
    'How long after its last check a token is still accepted while the database is unavailable. `0` accepts none.',
  ),
  DOCS: setting(choice('on', 'off'), 'on', 'Whether to serve the `/docs` page.'),
  WEBAPI_PATH: pathOf(dialects.webapi, 'The path of the `webapi` dialect.'),
  WEBAPI_SESSION_PATH: pathOf(dialects['webapi-session'], 'The path of the `webapi-session` dialect.'),
  ENVELOPE_PATH: pathOf(
    dialects.envelope,
    'The path of the `envelope` dialect. The slash at its end is optional in requests.',
  ),
  DEVICE_PATH: pathOf(dialects.device, 'The path of the `device` dialect.'),
  WEBAPI_PARITY: flag("Whether `webapi` answers byte for byte like ASP.NET Web API's token endpoint."),
  WEBAPI_DEFAULT_CLIENT: setting(
    text('the id of a public client: 1 to 64 ASCII letters, digits, dots, underscores or hyphens', (id) =>
      /^[A-Za-z0-9._-]{1,64}$/.test(id),
    ),
    undefined,
    'The public client that a `/Token` request without client credentials counts as.',
  ),
  ENVELOPE_DEBUG: flag(
    'Whether the `envelope` dialect honours `debug=1`, which reveals which users exist. Use it for development only.',
  ),
  ENVELOPE_LIFETIME_SECONDS: setting(
    lifetime,
    dialects.envelope.lifetimeSeconds,
    'How long a token of the `envelope` dialect lives. The default is 30 days.',
  ),
  DEVICE_LIFETIME_SECONDS: setting(
    lifetime,
    dialects.device.lifetimeSeconds,
    'How long a token of the `device` dialect lives. The default is 10 minutes.',
  ),
  MAX_SEATS_PER_USER: setting(
    wholeNumber(1, 10_000),
    defaultTokenOptions.maxSeatsPerUser,
    'How many devices a user can be signed in from. One more sign-in ends the one from longest ago.',
  ),
  THROTTLE: setting(
    choice('on', 'off'),
    'on',
    'Whether to limit failed attempts and the sign-ins of devices. Use `off` for benchmarks and tests only.',
  ),
  THROTTLE_FREE_ATTEMPTS: setting(
    wholeNumber(1, 1_000),
    defaultThrottleOptions.freeAttempts,
    'How many attempts must fail for one user from one network before the first wait begins.',
  ),
  THROTTLE_LONGEST_WAIT_SECONDS: setting(
    wholeNumber(1, 86_400),
    defaultThrottleOptions.longestWaitSeconds,
    'The longest wait. Waits last 1, 2, 4 … seconds, up to this limit.',
  ),
  THROTTLE_FORGET_SECONDS: setting(
    wholeNumber(1, 2_592_000),
    defaultThrottleOptions.forgetSeconds,
    'After this time without a failure, the count starts again. Set it to at least `THROTTLE_LONGEST_WAIT_SECONDS`.',
  ),
  THROTTLE_STRANGERS_LIMIT: setting(
    wholeNumber(1, 10_000),
    defaultThrottleOptions.strangersLimit,
    'How many guesses at one user the server checks within `THROTTLE_STRANGERS_SECONDS`, from all networks together that are unknown to the user.',
  ),
  THROTTLE_STRANGERS_SOURCE_LIMIT: setting(
    wholeNumber(1, 10_000),
    defaultThrottleOptions.strangersSourceLimit,
    'How many of these guesses one IPv4 address or one IPv6 /48 can use.',
  ),
  THROTTLE_STRANGERS_SECONDS: setting(
    wholeNumber(1, 2_592_000),
    defaultThrottleOptions.strangersSeconds,
    'The window for the two limits above and for `THROTTLE_NETWORK_NAMES`.',
  ),
  THROTTLE_NETWORK_NAMES: setting(
    wholeNumber(1, 1_000_000),
    defaultThrottleOptions.networkNames,
    'How many different names can fail from one network within `THROTTLE_STRANGERS_SECONDS`. After that, the server checks only names that are known from this network.',
  ),
  THROTTLE_KNOWN_NETWORK_DAYS: setting(
    wholeNumber(1, 3_650),
    defaultThrottleOptions.knownNetworkDays,
    'How many days after a sign-in its network counts as known to the user.',
  ),
  ENCRYPTION_KEY: setting(
    base64('32 bytes in base64, as `openssl rand -base64 32` prints them', /^[A-Za-z0-9+/]{43}=$/),
    undefined,
    'Encrypts the customer keys of devices and the signing keys, which the `device` dialect needs. The server also hashes stored networks with it.',
    'generated in the folder of an embedded database',
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
