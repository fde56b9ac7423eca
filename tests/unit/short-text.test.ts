import { describe, expect, test } from 'vitest'
import { isShortText } from '../../src/short-text.ts'

describe('a text of at most three characters', () => {
  test.each(['', 'a', 'abc', 'äöü', '😀😀😀'])('can be %j', (text) => {
    expect(isShortText(text, 3)).toBe(true)
  })

  test.each(['abcd', '😀😀😀😀', '😀abc', 'a'.repeat(100_000)])('is not longer than that: %j', (text) => {
    expect(isShortText(text, 3)).toBe(false)
  })

  test.each(['a\n', '\0', '\u0085', '\uD83D', '\uDE00a'])(
    'has no control character and no half of a character: %j',
    (text) => {
      expect(isShortText(text, 3)).toBe(false)
    },
  )
})
