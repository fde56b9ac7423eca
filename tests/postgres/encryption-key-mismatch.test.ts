import { describe, expect, onTestFinished, test } from 'vitest'
import { noteEncryptionKey } from '../../src/commands/note-encryption-key.ts'
import type { Database } from '../../src/database/database.ts'
import { generateBytes } from '../../src/secrets.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { readyServer } from '../support/processes.ts'

const [key, other] = [generateBytes(32), generateBytes(32)]

async function open(): Promise<{ database: Database; url: string }> {
  const fresh = await freshDatabase()
  onTestFinished(() => fresh.database.close())
  return fresh
}

describe('servers of one database', () => {
  test.each<[string, (Buffer | null)[], (string | null)[]]>([
    ['with one key agree', [key, key], [null, null]],
    ['without a key agree', [null, null], [null, null]],
    [
      'with two keys are told so, as often as the other one starts',
      [key, other, key, other],
      [null, 'another key', null, 'another key'],
    ],
    [
      'get a first key one by one, and one that was left out is told so',
      [null, key, key, null],
      [null, null, null, 'no key here'],
    ],
  ])('%s', async (_, keys, mismatches) => {
    const { database } = await open()
    const found = []
    for (const one of keys) found.push(await noteEncryptionKey(database.writes, one))
    expect(found).toEqual(mismatches)
  })

  test('agree on one key when they start at the same time', async () => {
    const { database } = await open()
    const found = await Promise.all(
      Array.from({ length: 20 }, (_, turn) => noteEncryptionKey(database.writes, turn % 2 ? key : other)),
    )
    expect(found.filter((mismatch) => mismatch === null)).toHaveLength(10)
  })

  test('store a fingerprint that is neither the key nor a plain hash of it', async () => {
    const { database } = await open()
    await noteEncryptionKey(database.writes, key)
    const [row] = await database.script<{ fingerprint: string }>(
      'select fingerprint from password_grant.encryption_key',
    )
    expect(row?.fingerprint).toMatch(/^[\w-]{43}$/)
  })

  test('warn at start of a mismatch, naming the variable and no key', async () => {
    const { url } = await open()
    const environment = { DATABASE_URL: url, ENCRYPTION_KEY: key.toString('base64') }
    await (await readyServer({ environment })).end()
    const { lines } = await readyServer({ environment: { ...environment, ENCRYPTION_KEY: other.toString('base64') } })
    const warnings = lines.filter((line) => line.includes('"event":"encryption-key"')).map((line) => JSON.parse(line))
    expect(warnings).toEqual([
      expect.objectContaining({ level: 40, msg: expect.stringMatching(/^ENCRYPTION_KEY differs from the key/) }),
    ])
    const { lines: keyless } = await readyServer({ environment: { DATABASE_URL: url } })
    expect(keyless.join('\n')).toContain('ENCRYPTION_KEY is not set, but other servers on this database have one')
  })
})
