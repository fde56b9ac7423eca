import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import commonPasswords from '../../src/passwords/common-passwords.json' with { type: 'json' }
import { isPassword } from '../../src/passwords/password.ts'
import { applyPasswordPolicy } from '../../src/passwords/password-policy.ts'
import { generateSecret } from '../../src/secrets.ts'
import { descriptionCharacters } from '../support/refusals.ts'

const common = 'This is one of the most common passwords. Attackers try those first.'
const ownName = 'A password must not be the user name or a part of it.'
const advice = 'A password of at least 15 characters is recommended.'

const decide = (password: string, userName = 'ada@example.com') => applyPasswordPolicy(password, userName)

/** The reason of a refusal, which keeps to the characters of RFC 6749 §5.2; null when nothing was refused. */
async function reasonAgainst(password: string, userName?: string): Promise<string | null> {
  const error = await decide(password, userName).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error === null) return null
  expect(error).toMatchObject({ code: 'invalid_request', description: expect.stringMatching(descriptionCharacters) })
  return (error as { description: string }).description
}

describe('a password to be set', () => {
  test.each(['', 'a', 'sesame1', '       ', 'Aa1!Aa1', 'é'.repeat(7), '😀'.repeat(7)])(
    'has at least 8 characters: %j is refused',
    async (password) => {
      expect(await reasonAgainst(password)).toBe('A password must have at least 8 characters.')
    },
  )

  test.each(['8 signs!', '😀'.repeat(8), 'hutmacher', 'fourteen signs', '😀'.repeat(14)])(
    'of 8 to 14 characters is accepted, with advice: %j',
    async (password) => {
      expect(await decide(password)).toBe(advice)
    },
  )

  test.each([
    'exactly fifteen',
    '😀'.repeat(15),
    ' '.repeat(15),
    'a'.repeat(64),
    '1'.repeat(1024),
    'correct horse battery staple',
    'Пароль не для чужих',
    'tab\tand\nline end',
  ])('of 15 characters and more is accepted: %j', async (password) => {
    expect(await decide(password)).toBeNull()
  })

  test('needs no kind of character and can have every kind', async () => {
    const texts = fc.string({ unit: 'binary', minLength: 15, maxLength: 200 }).filter(isPassword)
    const accepted = fc.asyncProperty(texts, async (password) => {
      expect(await decide(password)).toBeNull()
    })
    await fc.assert(accepted, { numRuns: 25 })
  })

  test.each([
    ['of 1,025 bytes', 'a'.repeat(1025)],
    ['of 1,026 bytes in 513 characters', 'é'.repeat(513)],
    ['with a NUL', 'long enough\0as it is'],
  ])('must be usable for signing in: not %s', async (_what, password) => {
    expect(await reasonAgainst(password)).toMatch(/1024 bytes .* no NUL/)
  })

  test('can be one that the first start generates', async () => {
    expect(await decide(generateSecret(20))).toBeNull()
  })
})

describe('the most common passwords', () => {
  test.each(['password', '12345678', '123456789', 'qwertyuiop', 'iloveyou', 'password1', '1q2w3e4r', '00000000'])(
    'are refused with the reason: %s',
    async (password) => {
      expect(await reasonAgainst(password)).toBe(common)
    },
  )

  test.each(['PASSWORD1', 'pAssWord1', 'P@ssw0rd', 'QWERTYuiop'])(
    'are refused in any letter case: %s',
    async (password) => {
      expect(await reasonAgainst(password)).toBe(common)
    },
  )

  test.each(['password1 ', ' password1', 'pass word1', 'p4ssword1.', 'p@55word1', 'mypassword1b'])(
    'are refused only as they are, with no rules for similar ones: %j',
    async (password) => {
      expect(await decide(password)).toBe(advice)
    },
  )

  test('are more than 3,000, each of them refused', async () => {
    expect(new Set(commonPasswords).size).toBeGreaterThanOrEqual(3000)
    const refused: string[] = []
    for (const password of commonPasswords) {
      const reason = await decide(password).catch((error: Error) => error.message)
      if (reason === common) refused.push(password)
    }
    expect(refused).toEqual(commonPasswords)
  })
})

describe('an obvious password', () => {
  test.each([
    ['ada.lovelace', 'ada.lovelace'],
    ['ada.lovelace', 'ADA.Lovelace'],
    ['ada.lovelace@example.com', 'Ada.Lovelace@Example.com'],
    ['ada.lovelace@example.com', 'ada.lovelace'],
    ['ada.lovelace@example.com', 'EXAMPLE.COM'],
    ['Straßenbauer', 'STRASSENBAUER'],
    ['ren\u00e9.descartes', 'rene\u0301.descartes'],
  ])('is the user’s own name, whole or around the @: of %s not %s', async (userName, password) => {
    expect(await reasonAgainst(password, userName)).toBe(ownName)
  })

  test.each(['fastify-password-grant', 'Password-Grant', 'passwordgrant'])(
    'is this service’s name: %s',
    async (password) => {
      expect(await reasonAgainst(password)).toBe('A password must not be the name of this service.')
    },
  )

  test('is not one that merely contains the name', async () => {
    expect(await decide('ada.lovelace and the engine', 'ada.lovelace')).toBeNull()
  })
})
