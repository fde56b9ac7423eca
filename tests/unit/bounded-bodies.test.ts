import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { maxFields } from '../../src/wire/fields.ts'
import { type Formatters, negotiate } from '../../src/wire/negotiate.ts'
import { readForm } from '../../src/wire/read-form.ts'
import { readJson } from '../../src/wire/read-json.ts'
import { readMultipart } from '../../src/wire/read-multipart.ts'
import { readXml } from '../../src/wire/xml.ts'

const root = { name: 'Request', namespace: '' }
const longest = 16_384
const toTheLimit = (text: string) => text.repeat(Math.floor(longest / text.length))
const named = (count: number, write: (name: string) => string, between = '') =>
  Array.from({ length: count }, (_, index) => write(`f${index}`)).join(between)

const form = (count: number) => named(count, (name) => `${name}=1`, '&')
const json = (count: number) => `{${named(count, (name) => `"${name}":1`, ',')}}`
const xml = (count: number) => `<Request>${named(count, (name) => `<${name}>1</${name}>`)}</Request>`
const type = 'multipart/form-data; boundary=edge'
const multipart = (count: number) =>
  `${named(count, (name) => `--edge\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n1\r\n`)}--edge--\r\n`

const formats: [string, (count: number) => string, (text: string) => unknown][] = [
  ['a form', form, (text) => readForm(text, null)],
  ['JSON', json, readJson],
  ['XML', xml, (text) => readXml(text, root)],
  ['multipart', multipart, (text) => readMultipart(text, type)],
]

describe.each(formats)('%s', (_name, write, read) => {
  test(`has at most ${maxFields} fields`, async () => {
    expect(await read(write(maxFields))).toHaveProperty('size', maxFields)
    expect(await refusalOf(() => read(write(maxFields + 1)))).toBe('The body has more than 50 fields.')
    expect(await refusalOf(() => read(write(500)))).toBe('The body has more than 50 fields.')
  })
})

describe('a body that repeats one thing to the limit is refused', () => {
  const tooMany = 'The body has more than 50 fields.'
  test.each<[string, () => unknown, string]>([
    ['empty fields', () => readForm(toTheLimit('&'), null), tooMany],
    ['one member', () => readJson(`{${toTheLimit('"a":1,')}"a":1}`), tooMany],
    ['null members', () => readJson(`{${toTheLimit('"a":null,')}"a":1}`), tooMany],
    [
      'array elements',
      () => readJson(`{"a":[${toTheLimit('1,')}1]}`),
      'A field of the JSON object is neither a string nor a number.',
    ],
    [
      'brackets',
      () => readJson(`{"a":${'['.repeat(8_000)}${']'.repeat(8_000)}}`),
      'A field of the JSON object is neither a string nor a number.',
    ],
    [
      'attributes',
      () => readXml(`<Request ${named(60, (name) => ` ${name}=""`)}/>`, root),
      'The XML has more than 50 attributes.',
    ],
    [
      'namespaces',
      () => readXml(`<Request ${named(60, (name) => ` xmlns:${name}="a"`)}/>`, root),
      'The XML has more than 50 attributes.',
    ],
    ['parts without a name', () => readMultipart(toTheLimit('--edge\r\n\r\n'), type), tooMany],
    ['parts of one name', () => readMultipart(toTheLimit(multipart(1).replace('--edge--\r\n', '')), type), tooMany],
  ])('%s', async (_name, read, sentence) => {
    expect(await refusalOf(async () => read())).toBe(sentence)
  })
})

describe('an Accept of more than 1,000 characters', () => {
  const formatters: Formatters = [['application/json'], ['application/xml', 'text/xml']]
  test.each(['text/xml,', 'a,', ',', ';', ' ', 'text/xml;q=1,'])('gets JSON: %j', (piece) => {
    expect(negotiate(toTheLimit(piece), 'application/xml', formatters)).toBe('application/json')
  })

  test('is ignored from the first character beyond the limit', () => {
    const accept = `text/xml${' '.repeat(992)}`
    expect(negotiate(accept, '', formatters)).toBe('text/xml')
    expect(negotiate(`${accept} `, '', formatters)).toBe('application/json')
  })
})

async function refusalOf(read: () => unknown): Promise<string | null> {
  try {
    await read()
    return null
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    expect([error.code, error.status]).toEqual(['invalid_request', 400])
    return error.description
  }
}
