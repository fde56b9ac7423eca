import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readForm } from '../../src/wire/read-form.ts'
import { descriptionOf } from '../support/refusals.ts'

const example = 'token=...'

function fieldsOf(text: string): [string, string][] {
  return [...readForm(text, example)]
}

function refusalOf(text: string): string | null {
  return descriptionOf(() => readForm(text, example))
}

describe('a form', () => {
  test.each<[string, [string, string][]]>([
    ['', []],
    ['&', []],
    [
      '&&a=1&&b=2&',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['a=1', [['a', '1']]],
    ['a=', [['a', '']]],
    ['a', [['a', '']]],
    ['=1', [['', '1']]],
    ['a=b=c', [['a', 'b=c']]],
    ['a=1;b=2', [['a', '1;b=2']]],
    ['a=x+y', [['a', 'x y']]],
    ['a=x%2By', [['a', 'x+y']]],
    ['a=x%20y', [['a', 'x y']]],
    ['a=+%20+', [['a', '   ']]],
    ['a+b=1', [['a b', '1']]],
    ['%61=1', [['a', '1']]],
    ['a=%C3%A9', [['a', 'é']]],
    ['a=%c3%a9', [['a', 'é']]],
    ['a=é', [['a', 'é']]],
    ['a=%F0%9F%98%80', [['a', '😀']]],
    ['a=%EF%BF%BD', [['a', '\uFFFD']]],
    ['a=%26%3D%25', [['a', '&=%']]],
    ['a= x ', [['a', ' x ']]],
    ['a=1%0D%0A', [['a', '1\r\n']]],
    ['\uFEFFa=1', [['a', '1']]],
    ['a=\uFEFF1', [['a', '\uFEFF1']]],
    [
      '__proto__=1&constructor=2',
      [
        ['__proto__', '1'],
        ['constructor', '2'],
      ],
    ],
  ])('%j is read as %j', (text, fields) => {
    expect(fieldsOf(text)).toEqual(fields)
  })

  test('names its fields in any letter case', () => {
    expect(fieldsOf('Grant_Type=password&USERNAME=Ada&passWord=P')).toEqual([
      ['grant_type', 'password'],
      ['username', 'Ada'],
      ['password', 'P'],
    ])
  })

  test('survives a round trip with any Unicode in it', () => {
    const anyText = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'))
    const pairs = fc.uniqueArray(fc.tuple(anyText, anyText), { selector: ([name]) => name.toLowerCase() })
    fc.assert(
      fc.property(pairs, (given) => {
        const fields = new Map(given.map(([name, value]) => [name.toLowerCase(), value]))
        expect(new Map(fieldsOf(new URLSearchParams(given).toString()))).toEqual(fields)
      }),
      { numRuns: 500 },
    )
  })

  test('of random text gives fields or a refusal, never a fault', () => {
    const pieces = fc.constantFrom(
      '%',
      '%0',
      '%zz',
      '%ff',
      '%00',
      '&',
      '=',
      '+',
      'a',
      '\uFFFD',
      '\0',
      '{',
      '<',
      '--',
      '\n',
    )
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(texts, (text) => {
        if (refusalOf(text) === null) for (const part of fieldsOf(text).flat()) expect(part).not.toContain('\0')
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a body is refused', () => {
  test.each(['a=1&a=1', 'a=1&a=2', 'a=1&A=1', 'a&a', 'a=1&%61=1', 'x=&x=', 'unknown=1&unknown=2', '=1&=2'])(
    'with the same field twice: %s',
    (text) => {
      expect(refusalOf(text)).toBe('The body has the same field twice.')
    },
  )

  test.each([
    ['a=%', 'a lone per cent sign'],
    ['a=%4', 'half an escape'],
    ['a=%zz', 'no hexadecimal'],
    ['a=100%&b=1', 'a per cent sign meant as itself'],
    ['a=%u00e9', 'the old JavaScript escape'],
    ['%zz=1', 'a broken name'],
    ['a=%FF', 'no UTF-8'],
    ['a=%C3', 'half a character'],
    ['a=%C0%80', 'an overlong NUL'],
    ['a=%ED%A0%80', 'half of a surrogate pair'],
    ['a=%F5%80%80%80', 'beyond Unicode'],
    ['a=\uFFFD', 'bytes that were no UTF-8'],
    ['\uFFFD=1', 'bytes that were no UTF-8, in a name'],
    ['a=%00', 'an escaped NUL'],
    ['a=\0', 'a NUL'],
    ['a%00=1', 'a NUL in a name'],
  ])('when it cannot be decoded: %j, %s', (text) => {
    expect(refusalOf(text)).toMatch(/^The body has broken percent-encoding.*write % as %25 and \+ as %2B\.$/)
  })

  test.each([
    ['{"grant_type":"password"}', 'JSON'],
    [' \r\n\t{"a":1}', 'JSON'],
    ['[1]', 'JSON'],
    ['\uFEFF{"a":1}', 'JSON'],
    ['<OAuthRequest/>', 'XML'],
    ['<?xml version="1.0"?>\n<a/>', 'XML'],
    ['\n<a>&amp;</a>', 'XML'],
    ['--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n', 'multipart'],
    ['------WebKitFormBoundaryX\r\ncontent-disposition: form-data; name="a"\r\n\r\n1', 'multipart'],
    ['--b\nContent-Disposition: form-data; name="a"\n\n1', 'multipart'],
    ['--b\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name="a"\r\n\r\n1', 'multipart'],
  ])('with a message about the sent and the expected format: %j', (text, kind) => {
    const description = refusalOf(text)
    expect(description).toContain(`The body is ${kind}.`)
    expect(description).toContain('Send a form: token=...')
  })

  test.each(['a=1\r\n', 'a=1\n', 'a=1&b=2\n\n', 'a=1\r', '\r\n', 'a=%zz\n', 'a=1&a=2\n'])(
    'with a line break at its end: %j',
    (text) => {
      expect(refusalOf(text)).toBe('The form ends with a line break. Send it without: token=...')
    },
  )

  test.each(['a=1\nb=2', 'a=1&\r\nb=2', '\na=1', 'a=1\r\nb=2\r\n', 'a=x\ny&b=2', 'a=%zz\nb=1'])(
    'with a line break within it: %j',
    (text) => {
      expect(refusalOf(text)).toBe(
        'The form has a line break in it. Put & between fields, and write a line break of a value as %0D%0A: token=...',
      )
    },
  )

  test('with a message without an example where there is none', () => {
    const sentences = ['a=1\n', 'a=1\nb=2'].map((text) => descriptionOf(() => readForm(text, null)))
    expect(sentences).toEqual([
      'The form ends with a line break. Send it without.',
      'The form has a line break in it. Put & between fields, and write a line break of a value as %0D%0A.',
    ])
  })

  test('with more than 50 fields, before they are decoded', () => {
    const most = Array.from({ length: 50 }, (_, index) => `f${index}=1`).join('&')
    expect(fieldsOf(most)).toHaveLength(50)
    for (const text of [`${most}&g=1`, '&'.repeat(16_000), 'a&'.repeat(8_000), `${most}&%zz`]) {
      expect(refusalOf(text)).toBe('The body has more than 50 fields.')
    }
  })

  test('without repeating a word of it', () => {
    for (const text of [
      'marker=1\n',
      'marker=1\nmarker=2',
      'marker=%zz',
      'marker=1&marker=2',
      '{"marker":1}',
      '<marker/>',
    ]) {
      expect(refusalOf(text)).not.toContain('marker')
    }
  })
})
