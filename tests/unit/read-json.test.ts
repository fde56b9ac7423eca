import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readJson } from '../../src/wire/read-json.ts'
import { descriptionOf } from '../support/refusals.ts'

function fieldsOf(text: string): [string, string][] {
  return [...readJson(text)]
}

function refusalOf(text: string): string | null {
  return descriptionOf(() => readJson(text))
}

const noObject = 'The body is not a JSON object.'
const noText = 'A field of the JSON object is neither a string nor a number.'
const repeated = 'The body has the same field twice.'
const unreadable = 'The body has bytes that are not UTF-8, NUL, or half a character.'

describe('a JSON object', () => {
  test.each<[string, [string, string][]]>([
    ['{}', []],
    [' \r\n\t{ } \n', []],
    ['{"a":"1"}', [['a', '1']]],
    ['{"a":""}', [['a', '']]],
    ['{"":"1"}', [['', '1']]],
    [
      '{"b":"1","a":"2"}',
      [
        ['b', '1'],
        ['a', '2'],
      ],
    ],
    ['{"UserName":"Ada"}', [['username', 'Ada']]],
    ['{"\\u0061":"\\u0041"}', [['a', 'A']]],
    ['{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', [['a', '"\\/\b\f\n\r\t']]],
    ['{"a":"é😀"}', [['a', 'é😀']]],
    ['{"a":"\\ud83d\\ude00"}', [['a', '😀']]],
    ['{"a":"\u2028 \uFEFF"}', [['a', '\u2028 \uFEFF']]],
    ['{"a":"a+b%26&c=d"}', [['a', 'a+b%26&c=d']]],
    ['\uFEFF{"a":"1"}', [['a', '1']]],
    ['\uFEFF{"a":12345678}', [['a', '12345678']]],
    [
      '{"__proto__":"1","constructor":"2"}',
      [
        ['__proto__', '1'],
        ['constructor', '2'],
      ],
    ],
  ])('%j is read as %j', (text, fields) => {
    expect(fieldsOf(text)).toEqual(fields)
  })

  test.each(['0', '-0', '12345678', '1.50', '0.10', '1e400', '1E+2', '98765432109876543210'])(
    'with a number has the text that was sent: %s',
    (number) => {
      expect(fieldsOf(`{"before":"é😀","a": ${number} }`)).toContainEqual(['a', number])
    },
  )

  test('with null has no such field', () => {
    expect(fieldsOf('{"a":null,"b":"1"}')).toEqual([['b', '1']])
  })

  test('of texts survives a round trip with any Unicode in it', () => {
    const anyText = fc.string({ unit: 'binary' }).filter((text) => !/[\0\uFFFD]/.test(text))
    const pairs = fc.uniqueArray(fc.tuple(anyText, anyText), { selector: ([name]) => name.toLowerCase() })
    fc.assert(
      fc.property(pairs, fc.boolean(), (given, isEscaped) => {
        const written = given.map((pair) => pair.map((text) => JSON.stringify(text)).join(':')).join(', ')
        const text = `{${isEscaped ? written.replace(/[^\0-\x7F]/g, escapeUnit) : written}}`
        expect(new Map(fieldsOf(text))).toEqual(new Map(given.map(([name, value]) => [name.toLowerCase(), value])))
      }),
      { numRuns: 300 },
    )
  })

  test('of numbers keeps them as written', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const written = JSON.stringify(number)
        expect(fieldsOf(`{"a":${written}}`)).toEqual([['a', written]])
      }),
    )
  })
})

describe('a body is refused', () => {
  test.each([
    '',
    ' ',
    'null',
    'true',
    '1',
    '"a"',
    '[]',
    '[{"a":"1"}]',
    'a=1',
    '<a/>',
    '{',
    '}',
    '{"a"}',
    '{"a":}',
    '{"a":"1"',
    '{"a":"1',
    '{"a":"1",}',
    '{,}',
    '{"a" "1"}',
    '{"a":"1" "b":"2"}',
    '{"a":"1"}x',
    '{"a":"1"}{"b":"2"}',
    '{a:"1"}',
    "{'a':'1'}",
    '{"a":"1"} // comment',
    '/* comment */ {"a":"1"}',
    '{"a":01}',
    '{"a":+1}',
    '{"a":.5}',
    '{"a":1.}',
    '{"a":1e}',
    '{"a":0x10}',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":undefined}',
    '{"a":"\\x41"}',
    '{"a":"\\u00"}',
    '\u00A0{"a":"1"}',
    '{"a":"a line\nend"}',
    '{"a":"\u0001"}',
    '{"a\t":"1"}',
    '\uFEFF\uFEFF{"a":"1"}',
  ])('when it is not a JSON object: %j', (text) => {
    expect(refusalOf(text)).toBe(noObject)
  })

  test.each(['{"a":true}', '{"a":false}', '{"a":{}}', '{"a":{"b":"1"}}', '{"a":[]}', '{"a":["1"]}', '{"a":[[["1"]]]}'])(
    'when a field is neither a string nor a number: %s',
    (text) => {
      expect(refusalOf(text)).toBe(noText)
    },
  )

  test.each([
    '{"a":"1","a":"1"}',
    '{"a":"1","a":"2"}',
    '{"a":"1","A":"2"}',
    '{"a":"1","\\u0061":"2"}',
    '{"a":"1","\\u0041":"2"}',
    '{"a":1,"a":"1"}',
    '{"":"1","":"2"}',
    '{"unknown":"1","unknown":"2"}',
    '{"__proto__":"1","__proto__":"2"}',
  ])('with the same field twice: %s', (text) => {
    expect(refusalOf(text)).toBe(repeated)
  })

  test.each([
    ['{"a":"\\ud800"}', 'the first half of a pair'],
    ['{"a":"\\udc00"}', 'the second half of a pair'],
    ['{"a":"\\ude00\\ud83d"}', 'both halves the wrong way round'],
    ['{"a":"\\ud83dx\\ude00"}', 'both halves apart'],
    ['{"\\ud800":"1"}', 'half a character in a name'],
    ['{"a":"\\u0000"}', 'an escaped NUL'],
    ['{"a\\u0000":"1"}', 'a NUL in a name'],
    ['{"a":"\uFFFD"}', 'bytes that were no UTF-8'],
    ['{"\uFFFD":"1"}', 'bytes that were no UTF-8, in a name'],
    ['{"a":"1"}\uFFFD', 'bytes that were no UTF-8, behind it'],
  ])('with an invalid text: %j, %s', (text) => {
    expect(refusalOf(text)).toBe(unreadable)
  })

  test('with a NUL', () => {
    expect([noObject, unreadable]).toContain(refusalOf('{"a":"\0"}'))
  })

  test.each([
    ['arrays', '['.repeat(16_000)],
    ['objects', '{"a":'.repeat(3_000)],
    ['arrays that are closed', `{"a":${'['.repeat(8_000)}${']'.repeat(8_000)}}`],
  ])('when it nests as deep as a body can: %s', (_name, text) => {
    expect([noObject, noText]).toContain(refusalOf(text))
  })

  test('without repeating a word of it', () => {
    for (const text of ['marker', '{"marker":true}', '{"marker":"1","marker":"2"}', '{"marker":"\\ud800"}']) {
      expect(refusalOf(text)).not.toContain('marker')
    }
  })
})

describe('random text', () => {
  const pieces = fc.constantFrom(
    ...['{', '}', '[', ']', ':', ',', '"', '\\', '\\u00', '\\ud800', '"a"', '"b"', '1', '-', '.', 'e', '0', 'null'],
    ...['true', ' ', '\n', '\uFEFF', '\u2028', "'", '//', '{"a":', '"}', '"":'],
  )

  test('is read only where it is a JSON object, and never causes a fault', () => {
    const objects = fc.dictionary(fc.constantFrom('a', 'b', '', 'é'), fc.constantFrom('1', 2, null)).map(toText)
    const texts = fc.oneof(
      fc.json(),
      objects,
      fc.string({ unit: 'binary' }),
      fc.array(pieces).map((parts) => parts.join('')),
      fc.tuple(objects, fc.nat(), pieces).map(([text, place, piece]) => insert(text, place, piece)),
    )
    fc.assert(
      fc.property(texts, (text) => {
        if (refusalOf(text) === null) expect(JSON.parse(text.replace(/^\uFEFF/, ''))).toBeTypeOf('object')
      }),
      { numRuns: 2000 },
    )
  })
})

function toText(value: object): string {
  return JSON.stringify(value)
}

function insert(text: string, place: number, piece: string): string {
  const at = place % (text.length + 1)
  return text.slice(0, at) + piece + text.slice(at)
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
