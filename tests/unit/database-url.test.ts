import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/config/config.ts'
import { readDatabaseUrl } from '../../src/database/database-url.ts'
import { hidePassword } from '../../src/database/hide-password.ts'
import { openDatabase } from '../../src/database/postgres.ts'

function mistakeIn(url: string): string {
  try {
    readConfig({ DATABASE_URL: url })
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

const folder = mkdtempSync(join(tmpdir(), 'password-grant-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('DATABASE_URL is parsed as the connections parse it', () => {
  test.each([
    ['postgres://grace:s3cret@db.example:5433/tokens', { user: 'grace', password: 's3cret', host: 'db.example' }],
    ['postgresql://grace:a%2Fb%3Fc%23d%40e%25f@db/tokens', { password: 'a/b?c#d@e%f', host: 'db', database: 'tokens' }],
    ['postgres://grace:a:b!$&*()^{|}<>"é~@db/tokens', { password: 'a:b!$&*()^{|}<>"é~', host: 'db' }],
    ['postgres://grace@/tokens?host=/var/run/postgresql', { user: 'grace', host: '/var/run/postgresql' }],
    ['postgres://%2Fvar%2Frun%2Fpostgresql/tokens', { host: '/var/run/postgresql', database: 'tokens' }],
    ['postgres://[::1]:5432/tokens', { host: '::1', port: '5432' }],
    [' postgres://db/tokens\n', { host: 'db', database: 'tokens' }],
  ])('%s', (url, expected) => {
    expect(readDatabaseUrl(url)).toMatchObject(expected)
    expect(mistakeIn(url)).toBe('')
  })
})

/** Every part that could be a part of the password. */
const passwords = [
  'p@rt-one',
  'part/two',
  'part?two',
  'part#two',
  'par%two',
  'part%zztwo',
  'part two',
  'part\\two',
  '%FF',
  '12/two',
  '12@two/x',
  '1#two',
  '@/two',
  'a@b@c',
  'part\ttwo',
]

describe('a password that is not percent-encoded is refused, and no part of it is repeated', () => {
  test.each(passwords)('%j', async (password) => {
    const url = `postgres://grace:${password}@db.example:5432/tokens`
    expect(mistakeIn(url)).toMatch(/^DATABASE_URL: expected a postgres:\/\/ URL/)
    await expect(openDatabase(url)).rejects.toThrow(/^openDatabase: expected a postgres:\/\/ URL/)
    for (const part of password.split(/[^a-z-]+/).filter((word) => word.length > 2)) {
      expect(mistakeIn(url)).not.toContain(part)
    }
  })
})

describe('DATABASE_URL is refused with the unusable part', () => {
  const certificate = join(folder, 'certificate.pem')
  const key = join(folder, 'key.pem')
  writeFileSync(join(folder, 'rubbish.pem'), 'no certificate')

  test.each([
    ['sslrootcert=/does/not/exist.pem', 'a certificate file that it names cannot be read'],
    ['sslcert=/does/not/exist.pem&sslkey=/does/not/exist.pem', 'a certificate file that it names cannot be read'],
    [
      `sslcert=${join(folder, 'rubbish.pem')}`,
      'its TLS settings, or the certificate files that it names, cannot be used',
    ],
    ['sslnegotiation=sideways', 'its TLS settings, or the certificate files that it names, cannot be used'],
    ['uselibpqcompat=true&sslmode=verify-ca', 'sslmode=verify-ca needs sslrootcert'],
    ['port=70000', 'its port is not one from 1 to 65535'],
    ['port=many', 'its port is not one from 1 to 65535'],
  ])('%s', (parameters, sentence) => {
    expect(mistakeIn(`postgres://grace:s3cret@db/tokens?${parameters}`)).toBe(`DATABASE_URL: ${sentence}`)
  })

  test('but a renewed certificate is read again, and a missing one keeps its last content', () => {
    const subject = ['-subj', '/CN=test', '-days', '2', '-nodes', '-newkey', 'rsa:2048']
    const renew = () =>
      execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
    renew()
    const { ssl } = readDatabaseUrl(
      `postgres://db/tokens?sslcert=${certificate}&sslkey=${key}&sslrootcert=${certificate}`,
    )
    const read = () => (ssl as { ca: string; cert: string; key: string }).ca
    const first = read()
    renew()
    const second = read()
    expect(second).not.toBe(first)
    rmSync(certificate)
    expect(read()).toBe(second)
  })
})

describe('the message of an error', () => {
  test('contains no password, in either spelling', () => {
    const error = new Error('cannot reach s3cr/t or s3cr%2Ft')
    expect(hidePassword(error, 's3cr/t').message).toBe('cannot reach *** or ***')
  })
})
