import { describe, expect, test } from 'vitest'
import { optionalField, requiredField } from '../../src/wire/fields.ts'

describe('a field', () => {
  const fields = new Map([
    ['username', 'Ada'],
    ['empty', ''],
    ['space', ' '],
    ['zero', '0'],
  ])

  test('is found by its name in any letter case', () => {
    expect(optionalField(fields, 'username')).toBe('Ada')
    expect(optionalField(fields, 'userName')).toBe('Ada')
    expect(requiredField(fields, 'USERNAME')).toBe('Ada')
  })

  test('that is empty counts as missing (RFC 6749 §3.2)', () => {
    expect(optionalField(fields, 'empty')).toBeNull()
    expect(optionalField(fields, 'absent')).toBeNull()
    expect(optionalField(fields, 'toString')).toBeNull()
  })

  test('with a space or a zero is present', () => {
    expect(requiredField(fields, 'space')).toBe(' ')
    expect(requiredField(fields, 'zero')).toBe('0')
  })

  test('that is required and missing is named in the refusal', () => {
    for (const name of ['absent', 'empty']) {
      expect(() => requiredField(fields, name)).toThrow(
        expect.objectContaining({ code: 'invalid_request', status: 400, description: `The field ${name} is missing.` }),
      )
    }
  })
})
