import { describe, expect, test } from 'vitest'
import { createPasswords } from '../../src/passwords/password.ts'
import { changeUser } from '../../src/users/register-user.ts'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { expectRefusal, wrongPassword } from '../support/refusals.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'
import { eventually } from '../support/wire.ts'

const { app, database } = await testServer()
const client = await addClient(database)

function signIn(name: string, password: string) {
  return askForToken(app, { client, user: { name, password: keepSecret(password) } })
}

async function expectWrong(name: string, password: string): Promise<void> {
  expectRefusal(await signIn(name, password), 400, 'invalid_grant', wrongPassword)
}

describe('a password', () => {
  test.each([
    'pässwörd',
    '密码です',
    'كلمة السر',
    '😀👩‍👩‍👧',
    '100% a+b&c=d',
    '"\\\'`$(x)',
    'tab\tline\r\n',
    '\uFEFFmark',
    '\uFFFD',
  ])('may hold anything: %j', async (text) => {
    const password = `${text}${randomWord()}`
    const user = await addUser(database, { password })
    expect((await signIn(user.name, password)).statusCode).toBe(200)
    await expectWrong(user.name, `${password} `)
  })

  test('is compared as the bytes sent: the same letters composed otherwise are another', async () => {
    const word = randomWord()
    const [composed, decomposed] = [`é${word}`, `e\u0301${word}`]
    const one = await addUser(database, { password: composed })
    const other = await addUser(database, { password: decomposed })
    expect((await signIn(one.name, composed)).statusCode).toBe(200)
    expect((await signIn(other.name, decomposed)).statusCode).toBe(200)
    await expectWrong(one.name, decomposed)
    await expectWrong(other.name, composed)
  })

  test('is not trimmed and its case matters', async () => {
    const password = ` Sesame ${randomWord()} `
    const user = await addUser(database, { password })
    expect((await signIn(user.name, password)).statusCode).toBe(200)
    for (const wrong of [
      password.trim(),
      password.trimStart(),
      password.trimEnd(),
      password.toLowerCase(),
      `${password}\n`,
    ]) {
      await expectWrong(user.name, wrong)
    }
  })

  test('can be only spaces', async () => {
    const user = await addUser(database, { password: '   ' })
    expect((await signIn(user.name, '   ')).statusCode).toBe(200)
    await expectWrong(user.name, '  ')
  })

  test('has up to 1,024 bytes; a longer one is wrong, not a mistake in the request', async () => {
    const longest = randomWord().repeat(64)
    expect(longest).toHaveLength(1024)
    const user = await addUser(database, { password: longest })
    expect((await signIn(user.name, longest)).statusCode).toBe(200)
    await expectWrong(user.name, `${longest}a`)
    await expectWrong(user.name, longest.slice(0, -1))
    const accented = await addUser(database, { password: 'é'.repeat(512) })
    expect((await signIn(accented.name, 'é'.repeat(512))).statusCode).toBe(200)
    await expectWrong(accented.name, `${'é'.repeat(512)}a`)
  })

  test('of more than 1,024 bytes is refused, even when its hash was stored by other means', async () => {
    const user = await addUser(database, { password: 'a'.repeat(1025) })
    await expectWrong(user.name, 'a'.repeat(1025))
  })

  test('is never truncated: the last of 1,024 bytes counts', async () => {
    const start = randomWord().repeat(64).slice(0, -1)
    const user = await addUser(database, { password: `${start}a` })
    await expectWrong(user.name, `${start}b`)
  })
})

describe('a user name', () => {
  test('has up to 256 characters, counted as people count; a longer one is unknown', async () => {
    for (const [character, other] of [
      ['a', 'b'],
      ['é', 'è'],
      ['😀', '😁'],
    ] as const) {
      const word = randomWord()
      const name = word + character.repeat(256 - word.length)
      const user = await addUser(database, { name })
      expect((await signIn(name, user.password)).statusCode).toBe(200)
      await expectWrong(name + character, user.password)
      await expectWrong(name.slice(0, -character.length) + other, user.password)
    }
  })

  test('with control characters is unknown, not a fault', async () => {
    const user = await addUser(database)
    for (const name of [`${user.name}\n`, `\t${user.name}`, `${user.name}\u0085`]) {
      await expectWrong(name, user.password)
    }
  })
})

describe('a user who cannot sign in', () => {
  test('and has no password is refused for every password', async () => {
    const user = await addUser(database, { passwordHash: null })
    for (const password of [user.password, 'null', '$argon2id$', ' ']) await expectWrong(user.name, password)
  })

  test('and is disabled gets the same bytes for a right and a wrong password', async () => {
    const user = await addUser(database)
    await changeUser(database.writes, user.name, { isEnabled: false })
    const [right, wrong] = [await signIn(user.name, user.password), await signIn(user.name, 'wrong-password')]
    expectRefusal(right, 400, 'invalid_grant', wrongPassword)
    const [one, other] = [right, wrong].map(({ headers: { date: _date, ...rest }, body }) => ({ rest, body }))
    expect(one).toEqual(other)
    await changeUser(database.writes, user.name, { isEnabled: true })
    expect((await signIn(user.name, user.password)).statusCode).toBe(200)
  })

  test('and has an unreadable hash gets the answer of a wrong password, logged as an internal fault', async () => {
    for (const passwordHash of ['$argon2id$', '$argon2id$v=19$m=1024,t=1,p=1$AAAA$', '$argon2id$nonsense']) {
      const user = await addUser(database, { passwordHash })
      await expectWrong(user.name, user.password)
      const lines = readLog().filter(({ userId }) => userId === user.id)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatchObject({ level: 50, event: 'refusal', reason: 'a stored hash is unreadable' })
      expect(JSON.stringify(lines)).not.toContain(passwordHash)
    }
  })
})

describe('a changed password', () => {
  test('replaces the old one at once', async () => {
    const user = await addUser(database)
    const next = keepSecret(randomWord())
    const passwordHash = await (await createPasswords(cheapPasswords)).hash(next)
    await changeUser(database.writes, user.name, { passwordHash })
    await expectWrong(user.name, user.password)
    expect((await signIn(user.name, next)).statusCode).toBe(200)
  })
})

describe('an older hash', () => {
  const olderCosts = [
    { memoryKib: 2048, passes: 1, lanes: 1 },
    { memoryKib: 1024, passes: 2, lanes: 1 },
    { memoryKib: 1024, passes: 1, lanes: 2 },
  ]

  async function rowOf(id: string) {
    const [row] = await database.script<{ hash: string; version: string }>(
      'select password_hash as hash, credential_version as version from password_grant.users where id = $1',
      [id],
    )
    if (!row) throw new Error('no such user')
    return row
  }

  async function addOlder(cost: object) {
    const password = randomWord()
    const older = await createPasswords({ ...cheapPasswords, ...cost })
    const passwordHash = await older.hash(password)
    return { ...(await addUser(database, { password, passwordHash })), passwordHash }
  }

  test.each(olderCosts)(
    'of cost $memoryKib, $passes, $lanes is renewed at the next sign-in, which changes nothing else',
    async (cost) => {
      const user = await addOlder(cost)
      const before = await rowOf(user.id)
      const response = await signIn(user.name, user.password)
      expect(response.statusCode).toBe(200)
      const after = await eventually(
        () => rowOf(user.id),
        ({ hash }) => hash !== before.hash,
      )
      expect(after.hash).toMatch(/^\$argon2id\$v=19\$m=1024,t=1,p=1\$/)
      expect(after.version).toBe(before.version)
      expect((await askWhose(app, response.json().access_token)).statusCode).toBe(200)
      expect((await signIn(user.name, user.password)).statusCode).toBe(200)
      await expectWrong(user.name, 'wrong-password')
    },
  )

  test('is unchanged by a wrong password', async () => {
    const user = await addOlder({ memoryKib: 2048 })
    await expectWrong(user.name, 'wrong-password')
    await askForToken(app, { client, user: await addUser(database) })
    expect((await rowOf(user.id)).hash).toBe(user.passwordHash)
  })

  test('is renewed without refusing a parallel sign-in', async () => {
    const user = await addOlder({ memoryKib: 2048, passes: 2 })
    const { version } = await rowOf(user.id)
    const answers = await Promise.all(Array.from({ length: 12 }, () => signIn(user.name, user.password)))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(12).fill(200))
    await eventually(
      () => rowOf(user.id),
      ({ hash }) => hash !== user.passwordHash,
    )
    expect((await rowOf(user.id)).version).toBe(version)
  })

  test('with today’s cost stays unchanged', async () => {
    const user = await addUser(database)
    const { hash } = await rowOf(user.id)
    for (let time = 0; time < 3; time += 1) await signIn(user.name, user.password)
    expect((await rowOf(user.id)).hash).toBe(hash)
  })
})
