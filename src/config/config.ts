import { availableCores } from '../available-cores.ts'
import { readDatabaseUrl } from '../database/database-url.ts'
import type { Dialect } from '../dialects/dialect.ts'
import type { PasswordOptions } from '../passwords/password.ts'
import type { ThrottleOptions } from '../throttle/throttle.ts'
import { placeDialects } from './place-dialects.ts'
import { readSettings, type Values } from './settings.ts'

/** The URL of the database, or the folder of an embedded one. */
export type DatabaseChoice = { readonly url: string } | { readonly folder: string }

/** The settings of the environment, parsed and typed. */
export type Config = ReturnType<typeof readConfig>

/** Lists every mistake of an environment at once. Repeats no value, since some are secrets. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

/**
 * Reads the environment into a frozen Config. A blank variable counts as unset. Throws ConfigError with every mistake.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>) {
  const given = Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => Boolean(entry[1]?.trim())),
  )
  const { values, mistakes } = readSettings(given)
  const placed = placeDialects(values, given)
  const database = chooseDatabase(values)
  mistakes.push(...findUrlMistakes(values.DATABASE_URL), ...placed.mistakes)
  if (typeof database === 'string') mistakes.push(database)
  if (mistakes.length > 0 || typeof database === 'string') throw new ConfigError(mistakes)
  return Object.freeze(arrange(values, database, placed.dialects))
}

function arrange(values: Values, database: DatabaseChoice, dialects: readonly Dialect[]) {
  return {
    database,
    databaseWaitSeconds: values.DATABASE_WAIT_SECONDS,
    host: values.HOST,
    port: values.PORT,
    logLevel: values.LOG_LEVEL,
    /** Addresses and networks of trusted proxies, whose `X-Forwarded-For` counts. */
    trustProxy: values.TRUST_PROXY ?? [],
    lifetimeSeconds: values.TOKEN_LIFETIME_SECONDS,
    /** Undefined: the listening address. */
    publicUrl: values.PUBLIC_URL,
    corsOrigins: values.CORS_ORIGINS ?? [],
    tokenCacheSeconds: values.TOKEN_CACHE_SECONDS,
    outageLeaseSeconds: values.OUTAGE_LEASE_SECONDS,
    docs: values.DOCS,
    dialects,
    maxSeatsPerUser: values.MAX_SEATS_PER_USER,
    /** Undefined: the folder of an embedded database may hold one. */
    encryptionKey: values.ENCRYPTION_KEY,
    throttle: values.THROTTLE && readThrottle(values),
    passwords: readPasswords(values),
  }
}

function readThrottle(values: Values): ThrottleOptions {
  return {
    freeAttempts: values.THROTTLE_FREE_ATTEMPTS,
    longestWaitSeconds: values.THROTTLE_LONGEST_WAIT_SECONDS,
    forgetSeconds: values.THROTTLE_FORGET_SECONDS,
    strangersLimit: values.THROTTLE_STRANGERS_LIMIT,
    strangersSourceLimit: values.THROTTLE_STRANGERS_SOURCE_LIMIT,
    networkNames: values.THROTTLE_NETWORK_NAMES,
    strangersSeconds: values.THROTTLE_STRANGERS_SECONDS,
    knownNetworkDays: values.THROTTLE_KNOWN_NETWORK_DAYS,
  }
}

function readPasswords(values: Values): PasswordOptions {
  return {
    memoryKib: values.ARGON2_MEMORY_KIB,
    passes: values.ARGON2_PASSES,
    lanes: values.ARGON2_LANES,
    concurrency: values.HASH_CONCURRENCY ?? availableCores(),
    queueLimit: values.HASH_QUEUE_LIMIT,
    queueSeconds: values.HASH_QUEUE_SECONDS,
  }
}

/** Reads the URL as the connections do. The mistake repeats no part of it. */
function findUrlMistakes(url: string | undefined): string[] {
  if (url === undefined) return []
  try {
    readDatabaseUrl(url)
    return []
  } catch (error) {
    return [`DATABASE_URL: ${(error as TypeError).message}`] // readDatabaseUrl throws only TypeError
  }
}

/** Returns the database, or the mistake when the settings name none or two. */
function chooseDatabase({ DATABASE_URL: url, EMBEDDED_FOLDER: folder }: Values): DatabaseChoice | string {
  if (url !== undefined && folder !== undefined) return 'DATABASE_URL, EMBEDDED_FOLDER: set one of them, not both'
  if (url !== undefined) return { url }
  if (folder !== undefined) return { folder }
  return 'DATABASE_URL, EMBEDDED_FOLDER: set one of them, or use --embedded FOLDER'
}
