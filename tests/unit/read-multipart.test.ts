import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { readMultipart } from '../../src/wire/read-multipart.ts'

const type = 'multipart/form-data; boundary=edge'
const end = '--edge--\r\n'

function part(header: string, value: string): string {
  return `--edge\r\n${header}\r\n\r\n${value}\r\n`
}

function field(name: string, value: string): string {
  return part(`Content-Disposition: form-data; name="${name}"`, value)
}

async function read(text: string, contentType = type): Promise<[string, string][]> {
  return [...(await readMultipart(text, contentType))]
}

describe('a multipart body is read', () => {
  test.each<[string, string, string | undefined, [string, string][]]>([
    [
      'of two fields',
      field('username', 'ada') + field('password', 'x') + end,
      undefined,
      [
        ['username', 'ada'],
        ['password', 'x'],
      ],
    ],
    ['of nothing', end, undefined, []],
    ['with an empty field', field('username', '') + end, undefined, [['username', '']]],
    ['with names in any letter case', field('UserName', 'ada') + end, undefined, [['username', 'ada']]],
    ['with what looks encoded', field('a', '100% +%2B&b=c') + end, undefined, [['a', '100% +%2B&b=c']]],
    ['with line ends in a field', field('a', 'b\r\n\r\nc') + end, undefined, [['a', 'b\r\n\r\nc']]],
    [
      'with a type that its parts name',
      part('Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=utf-8', 'ü') + end,
      undefined,
      [['a', 'ü']],
    ],
    ['with words around it', `hello\r\n${field('a', 'b')}${end}bye`, undefined, [['a', 'b']]],
    [
      'whose boundary is quoted',
      field('a', 'b') + end,
      'Multipart/Form-Data; charset=utf-8; Boundary="edge"',
      [['a', 'b']],
    ],
    ['with a name of JavaScript', field('__proto__', 'b') + end, undefined, [['__proto__', 'b']]],
  ])('%s', async (_what, text, contentType, expected) => {
    expect(await read(text, contentType)).toEqual(expected)
  })

  test('with any value without a boundary in it', async () => {
    const values = fc.string({ unit: 'grapheme' }).filter((value) => !/[\0\uFFFD\p{Cs}]|--edge/u.test(value))
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        expect(await read(field('password', value) + end)).toEqual([['password', value]])
      }),
    )
  })

  test('with a field of 16 KiB whole', async () => {
    const value = 'a'.repeat(16_384)
    expect(await read(field('password', value) + end)).toEqual([['password', value]])
  })
})

describe('a multipart body is refused', () => {
  const disposition = 'Content-Disposition: form-data; name="username"'
  test.each<[string, string, string?]>([
    ['with nothing in it', ''],
    ['with a repeated field', field('a', 'b') + field('A', 'b') + end],
    ['with a file', part(`${disposition}; filename="a.txt"`, 'ada') + end],
    ['with a file without a name', part(`${disposition}; filename=""`, 'ada') + end],
    ['with a part that is only bytes', part(`${disposition}\r\nContent-Type: application/octet-stream`, 'ada') + end],
    [
      'with a file behind its fields',
      field('a', 'b') + part('Content-Disposition: form-data; name="f"; filename="f"', 'ada') + end,
    ],
    ['with NUL', field('a', 'b\0c') + end],
    ['with bytes that were not UTF-8', field('a', 'b\uFFFDc') + end],
    ['that ends in a field', `--edge\r\n${disposition}\r\n\r\nada`],
    ['that ends before a value', `--edge\r\n${disposition}\r\n\r\n`],
    ['that ends in a header', `--edge\r\n${disposition.slice(0, 20)}`],
    ['that ends after a field', field('a', 'b')],
    ['that ends in a file', `--edge\r\n${disposition}; filename="a.txt"\r\n\r\nada`],
    ['that ends in a file behind its fields', `${field('a', 'b')}--edge\r\n${disposition}; filename="f"\r\n\r\n`],
    ['with a field without a name', part('Content-Disposition: form-data', 'ada') + end],
    ['with line feeds alone', (field('a', 'b') + end).replaceAll('\r', '')],
    ['that is a form', 'username=ada&password=x'],
    ['that is JSON', '{"username":"ada"}'],
    ['without a boundary', field('a', 'b') + end, 'multipart/form-data'],
    ['with an empty boundary', field('a', 'b') + end, 'multipart/form-data; boundary='],
    ['with another boundary', field('a', 'b') + end, 'multipart/form-data; boundary=other'],
  ])('%s', async (_what, text, contentType = type) => {
    const refused = await read(text, contentType).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(OAuthError)
    expect(refused).toMatchObject({ code: 'invalid_request', status: 400, missingField: undefined })
  })
})
