import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Argon2, type Argon2Cost, loadArgon2, loadNode, loadNodeRs } from '../../src/passwords/argon2.ts'
import { nobody } from '../../src/passwords/hash-queue.ts'
import {
  createPasswords,
  findMissingCost,
  isPassword,
  requirePassword,
  writeDecoyHash,
} from '../../src/passwords/password.ts'
import { countHashes } from '../support/count-hashes.ts'
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

  test('distinguishes passwords that differ only in composition', async () => {
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

  test('match only their own hash, with any Unicode in them', async () => {
    const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter(isPassword)
    await fc.assert(
      fc.asyncProperty(texts, texts, async (password, other) => {
        const hash = await passwords.hash(password)
        expect(await passwords.match(hash, password, nobody)).toBe(true)
        if (other !== password) expect(await passwords.match(hash, other, nobody)).toBe(false)
      }),
      { numRuns: 25 },
    )
  })

  test('match nothing where there is no hash', async () => {
    expect(await passwords.match(null, 'sesame', nobody)).toBe(false)
    expect(await passwords.match(null, '', nobody)).toBe(false)
  })

  test.each([
    '',
    'sesame',
    '$argon2id$',
    '$argon2id$v=19$m=1024,t=1,p=1$x',
    '$2b$10$abcdefghijklmnopqrstuv',
    'sha256:00',
  ])('never match a stored text that is not a hash: %j', async (stored) => {
    const outcome = await passwords.match(stored, 'sesame', nobody).catch((error: unknown) => error)
    if (outcome !== false) expect(outcome).toEqual(new Error('a stored hash is unreadable'))
  })

  test('distinguish a truncated stored hash from a wrong password', async () => {
    const hash = await passwords.hash('sesame')
    await expect(passwords.match(hash.slice(0, 40), 'sesame', nobody)).rejects.toThrow('a stored hash is unreadable')
    expect(await passwords.match(hash, 'other', nobody)).toBe(false)
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

  test('wait in one queue to be hashed or matched', async () => {
    const narrow = await createPasswords({ ...cheapPasswords, concurrency: 1, queueLimit: 0 })
    const first = narrow.hash('sesame')
    await expect(narrow.match(null, 'sesame', nobody)).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    await expect(narrow.hash('sesame')).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(await first).toContain('$argon2id$')
    expect(await narrow.match(await first, 'sesame', nobody)).toBe(true)
  })
})

describe('a stored hash', async () => {
  const today = { memoryKib: 4096, passes: 2, lanes: 1 }
  const passwords = await createPasswords({ ...cheapPasswords, ...today })
  const written = (cost: Argon2Cost) => writeDecoyHash(cost)

  test.each([
    ['of today’s cost', written(today), 1],
    ['of a dearer cost', written({ memoryKib: 8192, passes: 3, lanes: 1 }), 1],
    ['of as much work, with more passes', written({ memoryKib: 2048, passes: 4, lanes: 1 }), 1],
    ['of less memory', written({ memoryKib: 1024, passes: 2, lanes: 1 }), 2],
    ['of fewer passes', written({ memoryKib: 4096, passes: 1, lanes: 1 }), 2],
    ['of more memory and less work', written({ memoryKib: 6144, passes: 1, lanes: 1 }), 2],
    ['of almost today’s cost', written({ memoryKib: 4092, passes: 2, lanes: 1 }), 1],
    ['of an unknown user', null, 1],
  ] as const)('%s is checked with enough hashes to reach today’s cost', async (_what, stored, times) => {
    passwords.noteStoredCosts([]) // an earlier case brought a dearer hash
    const checked = countHashes(async () => expect(await passwords.match(stored, 'sesame', nobody)).toBe(false))
    expect(await checked).toBe(times)
  })

  test('pads a refusal up to the highest noted cost, until that cost is gone', async () => {
    const server = await createPasswords({ ...cheapPasswords, ...today })
    const stored = await server.hash('sesame')
    const count = (hash: string | null, password: string, isRefused = false) =>
      countHashes(() => server.match(hash, password, nobody, isRefused))
    server.noteStoredCosts(['m=4096,t=2,p=1', 'p=1,t=3,m=8192', 'nonsense'])
    expect(await count(stored, 'open')).toBe(2)
    expect(await count(stored, 'sesame', true)).toBe(2)
    expect(await count(stored, 'sesame')).toBe(1)
    expect(await count(null, 'sesame')).toBe(2)
    expect(await count(written({ memoryKib: 8192, passes: 3, lanes: 1 }), 'open')).toBe(1)
    server.noteStoredCosts(['m=4096,t=2,p=1'])
    expect(await count(stored, 'open')).toBe(1)
    await count(written({ memoryKib: 4096, passes: 5, lanes: 1 }), 'open') // seen in a look-up before it was noted
    expect(await count(null, 'open')).toBe(2)
  })

  test('that is right costs as much as a wrong one', async () => {
    const cheaper = await createPasswords({ ...cheapPasswords, memoryKib: 1024, passes: 1 })
    const stored = await cheaper.hash('sesame')
    for (const [password, isRight] of [['sesame', true] as const, ['open', false] as const]) {
      const checked = countHashes(async () => expect(await passwords.match(stored, password, nobody)).toBe(isRight))
      expect(await checked).toBe(2)
    }
  })

  test.each(['$argon2id$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ', '$argon2id$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ$', 'sesame'])(
    'that is unreadable costs a whole one: %s',
    async (stored) => {
      const unread = await countHashes(() => passwords.match(stored, 'sesame', nobody).catch(() => undefined))
      const attempted = await countHashes(async () =>
        (await loadArgon2()).verify(stored, 'sesame').catch(() => undefined),
      )
      expect(unread).toBe(attempted + 1)
    },
  )

  test('of any cost is padded to any other within a pass, and never beyond', () => {
    const lanes = fc.integer({ min: 1, max: 16 })
    const cost = lanes.chain((count) =>
      fc.record({
        memoryKib: fc.integer({ min: 8 * count, max: 2_097_152 }),
        passes: fc.integer({ min: 1, max: 64 }),
        lanes: fc.constant(count),
      }),
    )
    const usual = [
      { memoryKib: 1024, passes: 1, lanes: 1 },
      { memoryKib: 12_288, passes: 3, lanes: 1 },
      { memoryKib: 19_456, passes: 2, lanes: 1 },
      { memoryKib: 47_104, passes: 1, lanes: 1 },
      { memoryKib: 65_536, passes: 3, lanes: 4 },
    ]
    const examples = usual.flatMap((stored) => usual.map((now) => [stored, now] as [Argon2Cost, Argon2Cost]))
    fc.assert(fc.property(cost, cost, expectMadeUp), { numRuns: 1_000, examples })
  })

  test.each(bindings.map((argon2) => [argon2.binding, argon2] as const))(
    '%s accepts the smallest cost used for padding',
    async (_name, { verify }) => {
      for (const count of [1, 4]) {
        const now = { memoryKib: 64 * count, passes: 2, lanes: count }
        const missing = findMissingCost(written({ ...now, memoryKib: 56 * count }), now)
        expect(missing).toEqual({ memoryKib: 8 * count, passes: 2, lanes: count })
        expect(await verify(written(missing ?? now), 'sesame')).toBe(false)
      }
    },
  )

  test.each([
    '$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$',
    '$argon2id$v=19$p=1,t=1,m=1024$c2FsdHNhbHQ$',
    '$argon2id$v=19$t=1,m=1024,p=1$c2FsdHNhbHQ$',
    '$argon2id$v=16$m=1024,t=1,p=1$c2FsdHNhbHQ$',
    '$argon2id$m=1024,t=1,p=1$c2FsdHNhbHQ$',
  ])('is padded for any software that wrote it: %s', (stored) => {
    expect(findMissingCost(stored, today)).toEqual({ memoryKib: 3584, passes: 2, lanes: 1 })
  })
})

/** Verification costs as much memory times passes as a hash of today. */
function expectMadeUp(stored: Argon2Cost, now: Argon2Cost): void {
  const work = ({ memoryKib, passes }: Argon2Cost) => memoryKib * passes
  const missing = findMissingCost(writeDecoyHash(stored), now)
  const spared = work(now) - work(stored)
  if (missing === null) {
    expect(spared).toBeLessThan(8 * now.lanes * now.passes) // the least argon2 can do
    return
  }
  const passes = stored.memoryKib === now.memoryKib ? now.passes - stored.passes : now.passes
  expect(missing).toMatchObject({ passes, lanes: now.lanes })
  expect(missing.memoryKib).toBeGreaterThanOrEqual(8 * now.lanes)
  expect(work(missing)).toBeLessThanOrEqual(spared)
  expect(work(missing)).toBeGreaterThan(spared - now.passes)
}

describe('a possible password', () => {
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

  test('is described in the message when it is missing', () => {
    expect(() => requirePassword('sesame')).not.toThrow()
    expect(() => requirePassword('')).toThrow(expect.objectContaining({ code: 'invalid_request', status: 400 }))
  })
})
