import type { Chance } from './chance.ts'
import type { Encoding, Pair } from './endpoints.ts'

/** A body and its content type. */
export interface Body {
  readonly type: string
  readonly bytes: Buffer
}

/** Writes fields as a body in one of several ways. `isOdd` allows ways that no library writes. */
export function writeBody(chance: Chance, encoding: Encoding, fields: readonly Pair[], isOdd: boolean): Body {
  switch (encoding) {
    case 'json':
      return { type: chance.pick(jsonTypes), bytes: Buffer.from(writeJson(chance, fields, isOdd)) }
    case 'xml':
      return { type: chance.pick(xmlTypes), bytes: Buffer.from(writeXml(chance, fields, isOdd)) }
    case 'multipart':
      return writeMultipart(chance, fields, isOdd)
    default:
      return { type: 'application/x-www-form-urlencoded', bytes: Buffer.from(writeForm(chance, fields, isOdd)) }
  }
}

const jsonTypes = ['application/json', 'application/json; charset=utf-8', 'text/json', 'text/javascript']
const xmlTypes = ['application/xml', 'text/xml', 'text/xml; charset=utf-8']
const namespace = 'http://schemas.datacontract.org/2004/07/Yindo.DAL.Types'

/** Writes fields as a form or a query. */
export function writeForm(chance: Chance, fields: readonly Pair[], isOdd: boolean): string {
  const isRaw = isOdd && chance.is(40)
  const write = (text: string) => (isRaw ? text : encodeURIComponent(Buffer.from(text).toString()))
  return fields
    .map(([name, value]) => `${write(name)}=${write(value)}`)
    .join(isOdd ? chance.pick(['&', '&&', ';']) : '&')
}

function writeJson(chance: Chance, fields: readonly Pair[], isOdd: boolean): string {
  const members = fields.map(([name, value]) => `${JSON.stringify(name)}:${writeValue(chance, value, isOdd)}`)
  const text = `{${members.join(',')}}`
  if (!isOdd || chance.is(60)) return text
  const depth = chance.int(1, 5_000)
  return chance.pick([
    `\ufeff${text}`,
    `[${text}]`,
    `${text}${text}`,
    `{"__proto__":${text}}`,
    text.replace('{', '{"__proto__":{"grant_type":"password"},'),
    text.replace('}', ',}'),
    text.replaceAll('"', "'"),
    `//\n${text}`,
    `${'['.repeat(depth)}${']'.repeat(depth)}`,
    `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    `${' '.repeat(depth)}${text}`,
  ])
}

function writeValue(chance: Chance, value: string, isOdd: boolean): string {
  if (/^\d{1,15}$/.test(value) && chance.is(50)) return String(Number(value))
  if (!isOdd || chance.is(80)) return JSON.stringify(value)
  const text = JSON.stringify(value)
  return chance.pick([
    'null',
    'true',
    `[${text}]`,
    `{"a":${text}}`,
    '1e999',
    '-0',
    '9007199254740993',
    `${'9'.repeat(400)}`,
    `"\\ud800"`,
    `"\\u0000"`,
    text.replace(/^"./, '"\\u0061'),
    value,
  ])
}

function writeXml(chance: Chance, fields: readonly Pair[], isOdd: boolean): string {
  const members = fields.map(([name, value]) => writeMember(chance, name, value, isOdd))
  const body = members.join(chance.pick(['', '\n  ']))
  const head = chance.pick(['', '<?xml version="1.0" encoding="utf-8"?>\n'])
  const text = `${head}<OAuthRequest xmlns="${namespace}">${body}</OAuthRequest>`
  if (!isOdd || chance.is(50)) return text
  const depth = chance.int(1, 2_000)
  return chance.pick([
    text.replace(namespace, `${namespace}x`),
    `${head}<n:OAuthRequest xmlns:n="${namespace}">${body}</n:OAuthRequest>`,
    `<?xml version="1.1"?>${text}`,
    `<?xml version="1.0" encoding="utf-16"?>${text}`,
    `<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d SYSTEM "file:///etc/passwd">]>${text.replace('</', '&b;&d;</')}`,
    `<!-- ${body} -->${text}<!-- -- -->`,
    text.replace('</OAuthRequest>', ''),
    text.replace('</', '</a'),
    `${'<a>'.repeat(depth)}${text}`,
    text.replace('>', `>${'<a xmlns="">'.repeat(depth)}`),
    text.replace(' ', ` ${Array.from({ length: depth }, (_, index) => `a${index}=""`).join(' ')} `),
    text.replace(' ', ' xmlns:xml="a" xmlns:xmlns="b" __proto__="c" '),
    `${text}${text}`,
    `\ufeff${text}`,
    text.replace('</', ']]></'),
    `<?php echo 1 ?>${text}`,
  ])
}

function writeMember(chance: Chance, name: string, value: string, isOdd: boolean): string {
  const escaped = value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  if (!isOdd || chance.is(60)) return `<${name}>${escaped}</${name}>`
  return chance.pick([
    `<${name}><![CDATA[${value}]]></${name}>`,
    `<${name}>${value}</${name}>`,
    `<${name} i:nil="true" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"/>`,
    `<${name} i:nil="true"/>`,
    `<${name}/>`,
    `<${name} a="${value}">${escaped}</${name}>`,
    `<a:${name}>${escaped}</a:${name}>`,
    `<${name}>&#${chance.pick(codes)};${escaped}</${name}>`,
    `<${name}>&${chance.pick(['amp', 'nbsp', 'b', '__proto__', 'constructor', ''])};</${name}>`,
    `<${name}><b>${escaped}</b></${name}>`,
    `${value}<${name}>${escaped}</${name}>`,
  ])
}

const codes = ['0', 'x0', 'xD800', 'x110000', 'xFFFF', '65', 'x41', '99999999999', '']

function writeMultipart(chance: Chance, fields: readonly Pair[], isOdd: boolean): Body {
  const boundary = isOdd ? chance.pick(['b', 'a b', '"', '', '-', 'a'.repeat(80), "'()+_,-./:=?"]) : 'fuzz-boundary'
  const quoted = isOdd && chance.is(50) ? boundary : `"${boundary}"`
  const parts = fields.map(([name, value]) => {
    const extra = isOdd && chance.is(30) ? `\r\n${chance.pick(partHeaders)}` : ''
    const disposition = isOdd && chance.is(30) ? chance.pick(dispositions) : 'form-data; name="NAME"'
    const head = `Content-Disposition: ${disposition.replace('NAME', name)}${extra}`
    return `--${boundary}\r\n${head}\r\n\r\n${value}\r\n`
  })
  const end = isOdd
    ? chance.pick([`--${boundary}--\r\n`, '', '', `--${boundary}`, `--${boundary}--trailer`, '\r\n--'])
    : `--${boundary}--\r\n`
  const type = `multipart/form-data; boundary=${quoted}`
  return {
    type: isOdd
      ? chance.pick([type, type, 'multipart/form-data', `${type}; boundary=c`, 'multipart/mixed; boundary=b'])
      : type,
    bytes: Buffer.from(parts.join('') + end),
  }
}

const partHeaders = [
  'Content-Type: application/octet-stream',
  'Content-Type: text/plain; charset=utf-16',
  'Content-Type: text/plain; charset=__proto__',
  'Content-Transfer-Encoding: base64',
  'Content-Type: multipart/mixed; boundary=c',
  `X: ${'!'.repeat(20_000)}`,
  '__proto__: a',
  ': a',
]

const dispositions = [
  'form-data',
  'form-data; name',
  'form-data; name=NAME',
  'form-data; name="NAME"; filename="a.txt"',
  'form-data; name="NAME"; filename="a.txt"',
  'form-data; name="NAME"; filename=""',
  "form-data; name*=utf-8''NAME",
  "form-data; name*=__proto__'x'%zz",
  "form-data; name*=iso-8859-1''%ff",
  'attachment; name="NAME"',
  'form-data; name="__proto__"',
  'form-data; name="NAME',
  '',
]
