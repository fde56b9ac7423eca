import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config/config.ts'
import { settings } from '../../src/config/settings.ts'
import { device } from '../../src/dialects/device.ts'
import { envelope, envelopeWithDebug } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiParity } from '../../src/dialects/webapi-parity.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { isWeakCost } from '../../src/passwords/is-weak-cost.ts'
import { defaultThrottleOptions } from '../../src/throttle/throttle.ts'

const encryptionKey = Buffer.alloc(32, 7).toString('base64')
const database = { DATABASE_URL: 'postgres://localhost/tokens' }

function mistakesOf(environment: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig(environment)
  } catch (error) {
    if (error instanceof ConfigError) {
      expect(error.message).toBe(error.mistakes.join('\n'))
      return error.mistakes
    }
    throw error
  }
  return []
}

/** For every variable: the accepted and the refused values. */
const table: Record<keyof typeof settings, { good: string[]; bad: string[] }> = {
  DATABASE_URL: {
    good: ['postgres://localhost/tokens', 'postgresql://u:p@db.example:5432/t?sslmode=require'],
    bad: ['mysql://localhost/tokens', 'localhost', '/var/run', 'postgres://u:p@db:port/t'],
  },
  EMBEDDED_FOLDER: { good: ['./data', '/srv/tokens', 'C:\\data'], bad: [] },
  HOST: { good: ['0.0.0.0', '::', 'localhost', 'tokens.example'], bad: ['two words', 'http://localhost'] },
  PORT: { good: ['0', '1', '3000', '65535'], bad: ['-1', '65536', '3000.5', 'http', '80 81', '0x50', '1e3'] },
  TOKEN_LIFETIME_SECONDS: { good: ['1', '60', '316224000'], bad: ['0', '-1', '1.5', '14d', '316224001'] },
  DIALECTS: {
    good: ['webapi', ' webapi ', 'webapi,webapi', 'envelope', 'webapi-session, envelope'],
    bad: ['Webapi', 'webapi,', 'soap', 'constructor', 'device webapi'],
  },
  ARGON2_MEMORY_KIB: { good: ['1024', '19456', '4194304'], bad: ['1023', '0', '19 MiB', '4194305'] },
  ARGON2_PASSES: { good: ['1', '1000'], bad: ['0', '1001', 'two'] },
  ARGON2_LANES: { good: ['1', '128'], bad: ['0', '129', 'x'] },
  HASH_CONCURRENCY: { good: ['1', '1024'], bad: ['0', '1025', 'all'] },
  HASH_QUEUE_LIMIT: { good: ['0', '512', '1000000'], bad: ['-1', '1000001', 'none'] },
  HASH_QUEUE_SECONDS: { good: ['1', '300'], bad: ['0', '301', '5s'] },
  LOG_LEVEL: {
    good: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    bad: ['INFO', 'verbose', 'info,warn', '30'],
  },
  TRUST_PROXY: {
    good: ['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '10.0.0.1, 192.168.0.0/16', '10.0.0.1/32', '::1/128'],
    bad: [
      'true',
      'loopback',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0',
      '10.0.0.1,',
      '10.0.0.0/',
      '10.0.0.0/8/9',
      '1',
      '0.0.0.0/0',
      '::/0',
    ],
  },
  DATABASE_WAIT_SECONDS: { good: ['0', '60', '86400'], bad: ['-1', '86401', 'forever'] },
  PUBLIC_URL: {
    good: [
      'https://tokens.example.com',
      'http://127.0.0.1:3000',
      'https://tokens.example.com:8443',
      'http://[::1]:8080',
    ],
    bad: [
      'tokens.example.com',
      'https://tokens.example.com/',
      'https://tokens.example.com/auth',
      'https://tokens.example.com?x',
      'https://user@tokens.example.com',
      'https://TOKENS.example.com',
      'https://tokens.example.com:443',
      'ftp://tokens.example.com',
    ],
  },
  CORS_ORIGINS: {
    good: ['https://app.example.com', 'http://localhost:5173, https://app.example.com'],
    bad: [
      '*',
      'https://*.example.com',
      'https://app.example.com/',
      'https://app.example.com,',
      'null',
      'app.example.com',
    ],
  },
  TOKEN_CACHE_SECONDS: { good: ['0', '5', '3600'], bad: ['-1', '3601', 'off', '0.5'] },
  DOCS: { good: ['on', 'off'], bad: ['true', 'ON', '0', 'no'] },
  WEBAPI_PATH: {
    good: ['/Token', '/oauth/token', '/a.b/c-d_e~f', '/2', `/${'a'.repeat(100)}`],
    bad: [
      'Token',
      '/',
      '/Token/',
      '//',
      '/to ken',
      '/:id',
      '/*',
      '/Token?x',
      '/tök',
      '/UserInfo',
      '/introspect',
      '/revoke',
      '/docs/x',
      '/health',
      '/.well-known/x',
      `/${'a'.repeat(101)}`,
    ],
  },
  WEBAPI_SESSION_PATH: { good: ['/v2/token', '/login'], bad: ['v2/token', '/v2/token/', '/seats', '/SEATS/x'] },
  ENVELOPE_PATH: { good: ['/v1/oauth/', '/v1/oauth'], bad: ['v1', '/', '/v1//', '/userinfo/'] },
  DEVICE_PATH: { good: ['/auth/login'], bad: ['/auth/login/', '/auth login', '/.well-known/x'] },
  WEBAPI_PARITY: { good: ['true', 'false'], bad: ['on', 'TRUE', '1'] },
  WEBAPI_DEFAULT_CLIENT: { good: ['legacy', 'a.b_c-1'], bad: ['two words', 'ü', 'a'.repeat(65)] },
  ENVELOPE_DEBUG: { good: ['true', 'false'], bad: ['1', 'yes'] },
  ENVELOPE_LIFETIME_SECONDS: { good: ['1', '2592000'], bad: ['0', '30d'] },
  DEVICE_LIFETIME_SECONDS: { good: ['1', '600'], bad: ['0', '10m'] },
  MAX_SEATS_PER_USER: { good: ['1', '50', '10000'], bad: ['0', '10001', 'many'] },
  THROTTLE: { good: ['on', 'off'], bad: ['false', 'OFF'] },
  THROTTLE_FREE_ATTEMPTS: { good: ['1', '1000'], bad: ['0', '1001', 'five'] },
  THROTTLE_LONGEST_WAIT_SECONDS: { good: ['1', '86400'], bad: ['0', '86401', '15m'] },
  THROTTLE_FORGET_SECONDS: { good: ['1', '2592000'], bad: ['0', '2592001', '1h'] },
  THROTTLE_STRANGERS_LIMIT: { good: ['1', '10000'], bad: ['0', '10001', 'none'] },
  THROTTLE_STRANGERS_SOURCE_LIMIT: { good: ['1', '10000'], bad: ['0', '10001', 'ten'] },
  THROTTLE_NETWORK_NAMES: { good: ['1', '1000000'], bad: ['0', '1000001', 'all'] },
  THROTTLE_STRANGERS_SECONDS: { good: ['1', '2592000'], bad: ['0', '2592001', '1h'] },
  THROTTLE_KNOWN_NETWORK_DAYS: { good: ['1', '3650'], bad: ['0', '3651', '30d'] },
  OUTAGE_LEASE_SECONDS: { good: ['0', '86400'], bad: ['-1', '86401', '1h'] },
  ENCRYPTION_KEY: {
    good: [encryptionKey],
    bad: ['x', encryptionKey.slice(1), `${encryptionKey}=`, 'a'.repeat(64), Buffer.alloc(31).toString('base64')],
  },
}

const good = Object.entries(table).flatMap(([name, { good }]) => good.map((value) => [name, value] as const))
const bad = Object.entries(table).flatMap(([name, { bad }]) => bad.map((value) => [name, value] as const))

describe('the environment', () => {
  test.each(good)('%s can be %j', (name, value) => {
    const others = name === 'EMBEDDED_FOLDER' ? {} : database
    expect(mistakesOf({ ...others, [name]: value })).toEqual([])
  })

  test.each(bad)('%s must not be %j, and the error names the allowed values', (name, value) => {
    expect(mistakesOf({ ...database, [name]: value })).toEqual([
      `${name}: expected ${settings[name as keyof typeof settings].expected}`,
    ])
  })

  test('gives the documented defaults when unset', () => {
    const config = readConfig(database)
    expect(config).toEqual({
      database: { url: 'postgres://localhost/tokens' },
      databaseWaitSeconds: 60,
      host: '127.0.0.1',
      port: 3000,
      logLevel: 'info',
      trustProxy: [],
      lifetimeSeconds: 1_209_600,
      publicUrl: undefined,
      corsOrigins: [],
      tokenCacheSeconds: 5,
      outageLeaseSeconds: 0,
      docs: true,
      dialects: [webapi],
      maxSeatsPerUser: 50,
      throttle: defaultThrottleOptions,
      encryptionKey: undefined,
      passwords: {
        memoryKib: 19_456,
        passes: 2,
        lanes: 1,
        concurrency: expect.any(Number),
        queueLimit: 512,
        queueSeconds: 5,
      },
    })
    expect(config.passwords.concurrency).toBeGreaterThanOrEqual(1)
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('is read into numbers, lists and choices', () => {
    const config = readConfig({
      EMBEDDED_FOLDER: './data',
      HOST: '::1',
      PORT: '0',
      LOG_LEVEL: 'warn',
      TRUST_PROXY: '10.0.0.1, fd00::/8',
      TOKEN_LIFETIME_SECONDS: '90',
      DATABASE_WAIT_SECONDS: '0',
      ARGON2_MEMORY_KIB: '47104',
      ARGON2_PASSES: '1',
      ARGON2_LANES: '2',
      HASH_CONCURRENCY: '3',
      HASH_QUEUE_LIMIT: '0',
      HASH_QUEUE_SECONDS: '9',
      PUBLIC_URL: 'https://tokens.example.com',
      CORS_ORIGINS: 'https://app.example.com, http://localhost:5173',
      TOKEN_CACHE_SECONDS: '0',
      OUTAGE_LEASE_SECONDS: '900',
      DOCS: 'off',
      WEBAPI_PATH: '/oauth/token',
      DIALECTS: 'webapi,webapi-session,envelope,device',
      WEBAPI_SESSION_PATH: '/session',
      WEBAPI_DEFAULT_CLIENT: 'legacy',
      ENVELOPE_PATH: '/envelope',
      ENVELOPE_LIFETIME_SECONDS: '91',
      DEVICE_PATH: '/device',
      DEVICE_LIFETIME_SECONDS: '92',
      MAX_SEATS_PER_USER: '3',
      THROTTLE: 'off',
      ENCRYPTION_KEY: encryptionKey,
    })
    expect(config).toEqual({
      database: { folder: './data' },
      databaseWaitSeconds: 0,
      host: '::1',
      port: 0,
      logLevel: 'warn',
      trustProxy: ['10.0.0.1', 'fd00::/8'],
      lifetimeSeconds: 90,
      publicUrl: 'https://tokens.example.com',
      corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
      tokenCacheSeconds: 0,
      outageLeaseSeconds: 900,
      docs: false,
      dialects: [
        { ...webapi, path: '/oauth/token', defaultClient: 'legacy' },
        { ...webapiSession, path: '/session' },
        { ...envelope, path: '/envelope', lifetimeSeconds: 91 },
        { ...device, path: '/device', lifetimeSeconds: 92 },
      ],
      maxSeatsPerUser: 3,
      throttle: false,
      encryptionKey: Buffer.alloc(32, 7),
      passwords: { memoryKib: 47_104, passes: 1, lanes: 2, concurrency: 3, queueLimit: 0, queueSeconds: 9 },
    })
  })

  test('is read into every number of the throttle', () => {
    const { throttle } = readConfig({
      ...database,
      THROTTLE_FREE_ATTEMPTS: '1',
      THROTTLE_LONGEST_WAIT_SECONDS: '2',
      THROTTLE_FORGET_SECONDS: '3',
      THROTTLE_STRANGERS_LIMIT: '4',
      THROTTLE_STRANGERS_SECONDS: '5',
      THROTTLE_KNOWN_NETWORK_DAYS: '6',
      THROTTLE_STRANGERS_SOURCE_LIMIT: '7',
      THROTTLE_NETWORK_NAMES: '8',
    })
    expect(throttle).toEqual({
      freeAttempts: 1,
      longestWaitSeconds: 2,
      forgetSeconds: 3,
      strangersLimit: 4,
      strangersSeconds: 5,
      knownNetworkDays: 6,
      strangersSourceLimit: 7,
      networkNames: 8,
    })
  })

  test('chooses the variants of dialects', () => {
    const config = readConfig({
      ...database,
      DIALECTS: 'envelope, webapi',
      WEBAPI_PARITY: 'true',
      ENVELOPE_DEBUG: 'true',
    })
    expect(config.dialects).toEqual([envelopeWithDebug, webapiParity])
  })

  test.each([
    [
      'to the letter',
      { WEBAPI_PATH: '/v2/token' },
      'WEBAPI_PATH, WEBAPI_SESSION_PATH: two dialects share the path /v2/token',
    ],
    ['but for case', { WEBAPI_PATH: '/V2/Token' }, 'WEBAPI_PATH, WEBAPI_SESSION_PATH: two dialects share the path'],
    [
      'but for a slash',
      { WEBAPI_PATH: '/v1/oauth' },
      'WEBAPI_PATH, ENVELOPE_PATH: two dialects share the path /v1/oauth/',
    ],
  ])('that puts two dialects on one path, equal %s, is a mistake that says so', (_how, paths, mistake) => {
    const environment = { ...database, DIALECTS: 'webapi,webapi-session,envelope', ...paths }
    expect(mistakesOf(environment)).toEqual([expect.stringContaining(mistake)])
    expect(mistakesOf({ ...environment, DIALECTS: 'webapi' })).toEqual([])
  })

  test('with devices and a server needs an encryption key; an embedded folder has one', () => {
    expect(mistakesOf({ ...database, DIALECTS: 'device' })).toEqual([
      'ENCRYPTION_KEY: expected 32 bytes in base64, as `openssl rand -base64 32` prints them, which the device dialect needs',
    ])
    expect(mistakesOf({ ...database, DIALECTS: 'device', ENCRYPTION_KEY: encryptionKey })).toEqual([])
    expect(mistakesOf({ EMBEDDED_FOLDER: './data', DIALECTS: 'device' })).toEqual([])
  })

  test('treats an empty or blank variable as unset', () => {
    const names = Object.keys(settings).filter((name) => name !== 'DATABASE_URL')
    const empty = Object.fromEntries(names.map((name) => [name, '']))
    const blank = Object.fromEntries(names.map((name) => [name, ' ']))
    expect(readConfig({ ...database, ...empty, OUTAGE_LEASE_SECONDS: '' })).toEqual(readConfig(database))
    expect(readConfig({ ...database, ...blank })).toEqual(readConfig(database))
    expect(readConfig({ DATABASE_URL: '', EMBEDDED_FOLDER: 'data' }).database).toEqual({ folder: 'data' })
  })

  test('can hold unrelated variables', () => {
    expect(mistakesOf({ ...database, HOME: '/root', PATH: '/bin', port: 'x', npm_config_x: '1' })).toEqual([])
  })

  test('names every mistake at once, each once', () => {
    const environment = {
      PORT: 'http',
      HOST: 'two words',
      LOG_LEVEL: 'loud',
      DIALECTS: 'soap',
      TRUST_PROXY: 'loopback',
      ARGON2_PASSES: '0',
      WEBAPI_PATH: 'Token',
      OUTAGE_LEASE_SECONDS: '-3',
      THROTTLE_FREE_ATTEMPTS: '0',
      DOCS: 'no',
      PUBLIC_URL: 'tokens.example.com',
      CORS_ORIGINS: '*',
    }
    const named = mistakesOf(environment).map((mistake) => mistake.split(':')[0])
    expect(named.toSorted()).toEqual([...Object.keys(environment), 'DATABASE_URL, EMBEDDED_FOLDER'].toSorted())
  })

  test('repeats no value in its errors, since some are secrets', () => {
    const marker = 'mysql://ada:sesame@db'
    const everything = Object.fromEntries([...Object.keys(settings), 'ENCRYPTION_KEY'].map((name) => [name, marker]))
    const error = (() => {
      try {
        return readConfig(everything)
      } catch (thrown) {
        return thrown as Error
      }
    })()
    expect(error).toBeInstanceOf(ConfigError)
    expect(JSON.stringify([String(error), error, (error as Error).stack, (error as Error).cause])).not.toContain(
      'sesame',
    )
  })

  test.each([
    'THROTTLE',
    'PUBLIC_URL',
    'CORS_ORIGINS',
    'WEBAPI_SESSION_PATH',
    'ENVELOPE_PATH',
    'DEVICE_PATH',
    'WEBAPI_PARITY',
    'WEBAPI_DEFAULT_CLIENT',
    'ENVELOPE_DEBUG',
    'TOKEN_CACHE_SECONDS',
    'OUTAGE_LEASE_SECONDS',
    'DOCS',
    'ENVELOPE_LIFETIME_SECONDS',
    'DEVICE_LIFETIME_SECONDS',
    'MAX_SEATS_PER_USER',
    'ENCRYPTION_KEY',
  ])('with %s is read and never ignored', (name) => {
    expect(mistakesOf({ ...database, [name]: '\u0001' })).toHaveLength(1)
  })

  test('must name exactly one database', () => {
    expect(mistakesOf({})).toEqual(['DATABASE_URL, EMBEDDED_FOLDER: set one of them, or use --embedded FOLDER'])
    expect(mistakesOf({ ...database, EMBEDDED_FOLDER: './data' })).toEqual([
      'DATABASE_URL, EMBEDDED_FOLDER: set one of them, not both',
    ])
  })
})

describe('the cost of a hash is below the advice', () => {
  const queue = { concurrency: 1, queueLimit: 1, queueSeconds: 1 }
  test.each([
    [47_104, 1, false],
    [47_103, 1, true],
    [19_456, 2, false],
    [19_455, 2, true],
    [19_456, 1, true],
    [12_288, 3, false],
    [9_216, 4, false],
    [7_168, 5, false],
    [7_167, 5, true],
    [7_167, 1000, true],
    [1_024, 1, true],
    [1_000_000, 1, false],
  ])('with %i KiB and %i passes: %s', (memoryKib, passes, isWeak) => {
    expect(isWeakCost({ memoryKib, passes, lanes: 1, ...queue })).toBe(isWeak)
  })
})
