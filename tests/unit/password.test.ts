import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Argon2, loadArgon2, loadNode, loadNodeRs } from '../../src/passwords/argon2.ts'
import { createPasswords, isPassword, requirePassword, writeDecoyHash } from '../../src/passwords/password.ts'
import { cheapPasswords } from '../support/people.ts'

const cheap = { memoryKib: 1024, passes: 1, lanes: 1 }
const bindings: readonly Argon2[] = [await loadNodeRs(), await loadNode()]
const pairs = bindings.flatMap((writer) =>
  bindings.map((reader) => [writer.binding, reader.binding, writer, reader] as const),
)

const someone = ['sesame', ' ', 'pässwörd', 'e\u0301', '密码', '😀', '%00 %zz +', 'a'.repeat(1024), 'tab\tline\n']

describe('argon2id by either binding', () => {
  test.each(pairs)('what %s writes, %s reads', async (_writerName, _readerName, writer, reader) => {
    for (const password of someone) {
      const hash = await writer.hash(password, cheap)
      expect(await reader.verify(hash, password)).toBe(true)
      expect(await reader.verify(hash, `${password}x`)).toBe(false)
      expect(await reader.verify(hash, password.slice(1) || 'x')).toBe(false)
    }
  })

  test.each(bindings.map((argon2) => [argon2.binding, argon2] as const))(
    '%s writes argon2id of version 19 with the cost it was told, and another salt each time',
    async (_name, { hash }) => {
      const cost = { memoryKib: 2048, passes: 3, lanes: 2 }
      const [one, other] = await Promise.all([hash('sesame', cost), hash('sesame', cost)])
      expect(one).toMatch(/^\$argon2id\$v=19\$m=2048,t=3,p=2\$[A-Za-z0-9+/]{22,}\$[A-Za-z0-9+/]{43}$/)
      expect(one).not.toBe(other)
    },
  )

  test.each(bindings.map((argon2) => [argon2.binding, argon2] as const))(
    '%s reads the reference implementation’s own test vector',
    async (_name, { verify }) => {
      // phc-winner-argon2, src/test.c: password "password", salt "somesalt", t=2, m=256, p=1
      const vector = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'
      expect(await verify(vector, 'password')).toBe(true)
      expect(await verify(vector, 'Password')).toBe(false)
    },
  )

  test.each(bindings.map((argon2) => [argon2.binding, argon2] as const))(
    '%s checks the decoy like any other hash and finds nothing that matches',
    async (_name, { verify }) => {
      for (const password of someone) expect(await verify(writeDecoyHash(cheap), password)).toBe(false)
    },
  )

  test('keeps a password that differs only in composition apart', async () => {
    for (const { hash, verify } of bindings) {
      expect(await verify(await hash('é', cheap), 'e\u0301')).toBe(false)
    }
  })

  test('takes the faster binding where it loads', async () => {
    expect((await loadArgon2()).binding).toBe('@node-rs/argon2')
  })
})

describe('passwords', async () => {
  const passwords = await createPasswords(cheapPasswords)

  test('match the hash they made and no other, whatever Unicode is in them', async () => {
    const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter(isPassword)
    await fc.assert(
      fc.asyncProperty(texts, texts, async (password, other) => {
        const hash = await passwords.hash(password)
        expect(await passwords.match(hash, password)).toBe(true)
        if (other !== password) expect(await passwords.match(hash, other)).toBe(false)
      }),
      { numRuns: 25 },
    )
  })

  test('match nothing where there is no hash', async () => {
    expect(await passwords.match(null, 'sesame')).toBe(false)
    expect(await passwords.match(null, '')).toBe(false)
  })

  test.each([
    '',
    'sesame',
    '$argon2id$',
    '$argon2id$v=19$m=1024,t=1,p=1$x',
    '$2b$10$abcdefghijklmnopqrstuv',
    'sha256:00',
  ])('never match a stored text that is no hash: %j', async (stored) => {
    const outcome = await passwords.match(stored, 'sesame').catch((error: unknown) => error)
    if (outcome !== false) expect(outcome).toEqual(new Error('a stored hash is unreadable'))
  })

  test('tell a stored text that is cut apart from a wrong password', async () => {
    const hash = await passwords.hash('sesame')
    await expect(passwords.match(hash.slice(0, 40), 'sesame')).rejects.toThrow('a stored hash is unreadable')
    expect(await passwords.match(hash, 'other')).toBe(false)
  })

  test.each([
    ['$argon2id$v=19$m=1024,t=1,p=1$c2FsdA$aGFzaA', false],
    ['$argon2id$v=19$t=1,m=1024,p=1$c2FsdA$aGFzaA', false],
    ['$argon2id$v=19$p=1,t=1,m=1024$c2FsdA$aGFzaA', false],
    ['$argon2id$v=19$m=1024,t=2,p=1$c2FsdA$aGFzaA', true],
    ['$argon2id$v=19$m=1024,t=1,p=2$c2FsdA$aGFzaA', true],
    ['$argon2id$v=19$m=2048,t=1,p=1$c2FsdA$aGFzaA', true],
    ['$argon2id$v=19$m=10240,t=11,p=1$c2FsdA$aGFzaA', true],
    ['$argon2id$v=19$m=1024,t=1,t=1$c2FsdA$aGFzaA', true],
    ['$argon2id$v=16$m=1024,t=1,p=1$c2FsdA$aGFzaA', true],
    ['$argon2i$v=19$m=1024,t=1,p=1$c2FsdA$aGFzaA', true],
    ['', true],
  ])('%s is due for renewal: %s', (hash, isDue) => {
    expect(passwords.needsRenewal(hash)).toBe(isDue)
  })

  test('a hash made today is not due for renewal', async () => {
    expect(passwords.needsRenewal(await passwords.hash('sesame'))).toBe(false)
  })

  test('wait in one queue, whether they are hashed or matched', async () => {
    const narrow = await createPasswords({ ...cheapPasswords, concurrency: 1, queueLimit: 0 })
    const first = narrow.hash('sesame')
    await expect(narrow.match(null, 'sesame')).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    await expect(narrow.hash('sesame')).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(await first).toContain('$argon2id$')
    expect(await narrow.match(await first, 'sesame')).toBe(true)
  })
})

describe('a password a user can have', () => {
  test('has 1 to 1,024 bytes of UTF-8', () => {
    expect(isPassword('')).toBe(false)
    expect(isPassword('a')).toBe(true)
    expect(isPassword(' ')).toBe(true)
    expect(isPassword('a'.repeat(1024))).toBe(true)
    expect(isPassword('a'.repeat(1025))).toBe(false)
    expect(isPassword('é'.repeat(512))).toBe(true)
    expect(isPassword(`${'é'.repeat(512)}a`)).toBe(false)
    expect(isPassword('😀'.repeat(256))).toBe(true)
    expect(isPassword('😀'.repeat(257))).toBe(false)
  })

  test('has no NUL', () => {
    expect(isPassword('a\0b')).toBe(false)
  })

  test('is asked for in a sentence when it is none', () => {
    expect(() => requirePassword('sesame')).not.toThrow()
    expect(() => requirePassword('')).toThrow(expect.objectContaining({ code: 'invalid_request', status: 400 }))
  })
})
