import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { isUserName, requireUserName, userNameKey } from '../../src/users/user-name.ts'

/** Every Unicode character there can be. */
function* everyCharacter(): Generator<string> {
  for (let point = 0; point <= 0x10ffff; point += 1) {
    if (point < 0xd800 || point > 0xdfff) yield String.fromCodePoint(point)
  }
}

describe('the look-up key of a user name', () => {
  test.each([
    ['Ada@Example.COM', 'ada@example.com', 'Latin'],
    ['ÅNGSTRÖM', 'ångström', 'Latin with marks'],
    ['ΣΊΣΥΦΟΣ', 'σίσυφος', 'Greek, where the last sigma has a form of its own'],
    ['σίσυφος', 'σίσυφοσ', 'final and middle sigma'],
    ['ЖУКОВ', 'жуков', 'Cyrillic'],
    ['ԱՐԱՄ', 'արամ', 'Armenian'],
    ['STRASSE', 'straße', 'sharp s'],
    ['ﬁn', 'FIN', 'ligature'],
    ['𐐀𐐁', '𐐨𐐩', 'Deseret, beyond the first 65,536 characters'],
    ['DŽ', 'Dž', 'title case'],
    ['Ⅷ', 'ⅷ', 'numerals with case'],
  ])('%s and %s are one user: %s', (one, other) => {
    expect(userNameKey(one)).toBe(userNameKey(other))
  })

  test.each([
    ['é', 'e\u0301', 'one character or a letter and its accent'],
    ['Å', '\u212B', 'the ångström sign'],
    ['각', '\u1100\u1161\u11A8', 'a Korean syllable and its parts'],
    ['ΐ', 'ι\u0308\u0301', 'two accents'],
  ])('%s and %s are one user: %s', (one, other) => {
    expect(userNameKey(one)).toBe(userNameKey(other))
  })

  test.each([
    ['ada', 'ada '],
    ['ada', 'a.da'],
    ['e', 'é'],
    ['a', 'а'], // the second is Cyrillic
    ['1', '１'],
    ['о', 'o'],
  ])('%j and %j are two users', (one, other) => {
    expect(userNameKey(one)).not.toBe(userNameKey(other))
  })

  test('ignores the locale of the machine: I and i are equal, in Turkish names too', () => {
    expect(userNameKey('DIYARBAKIR')).toBe(userNameKey('diyarbakir'))
    expect(userNameKey('ı')).toBe(userNameKey('I'))
    expect(userNameKey('İ')).toBe(userNameKey('i\u0307'))
    expect(userNameKey('İ')).not.toBe(userNameKey('i'))
  })

  test('is the same for the upper and the lower case of every character of Unicode but one', () => {
    const exceptions: string[] = []
    for (const character of everyCharacter()) {
      const key = userNameKey(character)
      const variants = [character.toUpperCase(), character.toLowerCase(), character.normalize('NFD'), key]
      if (variants.some((variant) => userNameKey(variant) !== key)) exceptions.push(character)
    }
    expect(exceptions).toEqual(['ẞ']) // has no upper case of its own, and its lower case ß has SS
  })

  test('is the same for any name in any case and composition', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        fc.pre(!name.includes('ẞ'))
        const key = userNameKey(name)
        expect(userNameKey(name.toLowerCase())).toBe(key)
        expect(userNameKey(name.normalize('NFD'))).toBe(key)
        expect(userNameKey(key)).toBe(key)
      }),
    )
  })
})

describe('a user name', () => {
  test('has 1 to 256 characters, counted as people count them and not as UTF-16 does', () => {
    expect(isUserName('')).toBe(false)
    expect(isUserName('a')).toBe(true)
    expect(isUserName('a'.repeat(256))).toBe(true)
    expect(isUserName('a'.repeat(257))).toBe(false)
    expect('😀'.repeat(256)).toHaveLength(512)
    expect(isUserName('😀'.repeat(256))).toBe(true)
    expect(isUserName('😀'.repeat(257))).toBe(false)
  })

  test('can be of any script, with spaces and signs', () => {
    for (const name of ['Ada Lovelace', 'ada@example.com', 'Сергей', '山田太郎', 'محمد', '😀', "O'Neil", '%00', ' ']) {
      expect(isUserName(name)).toBe(true)
    }
  })

  test('has no control characters and no half characters', () => {
    for (const name of ['a\0b', 'a\nb', 'a\tb', '\u007F', '\u0085', 'a\uD800', '\uDC00b']) {
      expect(isUserName(name)).toBe(false)
    }
  })

  test('that is impossible is refused with a message', () => {
    expect(() => requireUserName('ada')).not.toThrow()
    expect(() => requireUserName('')).toThrow(OAuthError)
    expect(() => requireUserName('a'.repeat(257))).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })
})
