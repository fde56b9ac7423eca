import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readXml, writeElement } from '../../src/wire/xml.ts'
import { descriptionOf } from '../support/refusals.ts'

const namespace = 'http://sample.test/types'
const root = { name: 'Request', namespace }
const instance = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'

/** A document with the right root around `content`. */
function documentOf(content: string, attributes = ''): string {
  return `<Request xmlns="${namespace}"${attributes}>${content}</Request>`
}

function fieldsOf(text: string): [string, string][] {
  return [...readXml(text, root)]
}

function refusalOf(text: string): string | null {
  return descriptionOf(() => readXml(text, root))
}

const malformed = 'The body is not well-formed XML.'
const tooDeep = 'The XML has elements inside its fields.'
const otherRoot = `The XML must be Request, with all elements in the namespace ${namespace}.`
const looseText = 'The XML has text outside its fields.'
const repeated = 'The body has the same field twice.'
const doctype = /document type|not well-formed/

describe('the children of the root are fields', () => {
  test.each<[string, [string, string][]]>([
    ['', []],
    ['<a>1</a>', [['a', '1']]],
    ['<a></a>', [['a', '']]],
    ['<a/>', [['a', '']]],
    ['<a />', [['a', '']]],
    ['<a >1</a >', [['a', '1']]],
    ['<UserName>Ada</UserName>', [['username', 'Ada']]],
    [
      ' \r\n\t<b>1</b> \n <a>2</a> ',
      [
        ['b', '1'],
        ['a', '2'],
      ],
    ],
    ['<a> 1 </a>', [['a', ' 1 ']]],
    ['<a>é😀</a>', [['a', 'é😀']]],
    ['<a>\uFEFF</a>', [['a', '\uFEFF']]],
    ['<a>1</a><!-- a comment --><?an instruction?>', [['a', '1']]],
    ['<a>1<!-- a comment -->2</a>', [['a', '12']]],
    ['<a>1<!----><?an instruction?>2</a>', [['a', '12']]],
    ['<a><!-- <b>&amp;</b> --></a>', [['a', '']]],
    ['<a><![CDATA[<b>&amp;</b>]]></a>', [['a', '<b>&amp;</b>']]],
    ['<a><![CDATA[<!DOCTYPE x>]]></a>', [['a', '<!DOCTYPE x>']]],
    ['<a>1<![CDATA[2]]>3<![CDATA[4]]></a>', [['a', '1234']]],
    ['<a><![CDATA[]]></a>', [['a', '']]],
    ['<a>1 > 0 "quoted" \'so\'</a>', [['a', '1 > 0 "quoted" \'so\'']]],
    ['<a b="1" c=\'2 > "1"\'>3</a>', [['a', '3']]],
    [`<p:a xmlns:p="${namespace}">1</p:a>`, [['a', '1']]],
    [
      '<__proto__>1</__proto__><constructor>2</constructor>',
      [
        ['__proto__', '1'],
        ['constructor', '2'],
      ],
    ],
    ['<a constructor="1" __proto__="2" toString="3">4</a>', [['a', '4']]],
  ])('%j as %j', (content, fields) => {
    expect(fieldsOf(documentOf(content))).toEqual(fields)
  })

  test.each([
    ['an XML declaration', `<?xml version="1.0" encoding="utf-8"?>\n${documentOf('<a>1</a>')}`],
    ['a byte order mark', `\uFEFF${documentOf('<a>1</a>')}`],
    ['both', `\uFEFF<?xml version="1.0"?>${documentOf('<a>1</a>')}`],
    ['comments and instructions around the root', `<!--x--><?x?>${documentOf('<a>1</a>')}\n<!--x--><?x?>\n`],
    ['attributes at the root', documentOf('<a>1</a>', ` ${instance} version="1" i:type="x"`)],
    ['a prefix instead of the default namespace', `<p:Request xmlns:p="${namespace}"><p:a>1</p:a></p:Request>`],
    ['two prefixes', `<p:Request xmlns:p="${namespace}" xmlns:q="${namespace}"><q:a>1</q:a></p:Request>`],
    ['an apostrophe for a quote', `<Request xmlns='${namespace}'><a>1</a></Request>`],
    ['a namespace in character references', `<Request xmlns="${namespace.replace(':', '&#58;')}"><a>1</a></Request>`],
  ])('with any surroundings: %s', (_name, text) => {
    expect(fieldsOf(text)).toEqual([['a', '1']])
  })

  test.each(['true', '1', ' true '])('except a nil one: %j', (nil) => {
    expect(fieldsOf(documentOf(`<a i:nil="${nil}"/><b>1</b>`, ` ${instance}`))).toEqual([['b', '1']])
    expect(fieldsOf(documentOf(`<a i:nil="${nil}"></a><b>1</b>`, ` ${instance}`))).toEqual([['b', '1']])
    expect(fieldsOf(documentOf(`<a ${instance.replace(':i', ':p')} p:nil="${nil}"/><b>1</b>`))).toEqual([['b', '1']])
  })

  test.each([
    ['i:nil="false"', ` ${instance}`],
    ['nil="true"', ''],
    ['i:nil="true"', ' xmlns:i="http://sample.test/other"'],
    ['i:nill="true"', ` ${instance}`],
  ])('including one that is not nil: %s', (attribute, attributes) => {
    expect(fieldsOf(documentOf(`<a ${attribute}>1</a>`, attributes))).toEqual([['a', '1']])
  })
})

describe('of references', () => {
  test.each([
    ['&amp;', '&'],
    ['&lt;', '<'],
    ['&gt;', '>'],
    ['&quot;', '"'],
    ['&apos;', "'"],
    ['&#65;', 'A'],
    ['&#x41;', 'A'],
    ['&#x000041;', 'A'],
    ['&#xe9;&#xE9;', 'éé'],
    ['&#9;&#10;&#13;', '\t\n\r'],
    ['&#x1F600;', '😀'],
    ['&#x10FFFF;', '\u{10FFFF}'],
    ['&amp;lt;', '&lt;'],
    ['&amp;#65;', '&#65;'],
    ['&#38;lt;', '&lt;'],
    ['a&amp;b&lt;c', 'a&b<c'],
  ])('%s is decoded, once', (written, text) => {
    expect(fieldsOf(documentOf(`<a>${written}</a>`))).toEqual([['a', text]])
  })

  test.each([
    ...['&nbsp;', '&eacute;', '&euro;', '&copy;', '&other;', '&xxe;', '&#0;', '&#x0;', '&#xD800;', '&#xDFFF;'],
    ...['&#xD83D;&#xDE00;', '&#x110000;', '&#xFFFFFFFFFF;', '&#1;', '&#xFFFE;', '&#-65;', '&#;', '&#x;', '&#xg;'],
    ...['&#6 5;', '&#65', '&amp', '&', '& ', '&;', '& amp;', '&constructor;', '&__proto__;', '&toString;', '%amp;&a;'],
  ])('%s is refused, in a text and in an attribute', (written) => {
    expect(refusalOf(documentOf(`<a>${written}</a>`))).toBe(malformed)
    expect(refusalOf(documentOf(`<a b="${written}">1</a>`))).toBe(malformed)
  })
})

describe('a document is refused', () => {
  test.each([
    ['without a namespace', '<Request><a>1</a></Request>'],
    ['of another namespace', '<Request xmlns="http://sample.test/other"><a>1</a></Request>'],
    ['of a namespace with a slash more', `<Request xmlns="${namespace}/"><a>1</a></Request>`],
    ['of the namespace in another letter case', `<Request xmlns="${namespace.toUpperCase()}"/>`],
    ['with an unused prefix for the namespace', `<Request xmlns:p="${namespace}"><a>1</a></Request>`],
    ['of another root', `<Other xmlns="${namespace}"><a>1</a></Other>`],
    ['of the root in another letter case', `<request xmlns="${namespace}"><a>1</a></request>`],
    ['with a field of no namespace', `<p:Request xmlns:p="${namespace}"><a>1</a></p:Request>`],
    ['with a field taken out of the namespace', documentOf('<a xmlns="">1</a>')],
    ['with a field of another namespace', documentOf('<p:a xmlns:p="http://sample.test/other">1</p:a>')],
  ])('%s', (_name, text) => {
    expect(refusalOf(text)).toBe(otherRoot)
  })

  test.each([
    ['between fields', documentOf('<a>1</a>text<b>2</b>')],
    ['before the fields', documentOf('text<a>1</a>')],
    ['instead of fields', documentOf('text')],
    ['in a CDATA section', documentOf('<a>1</a><![CDATA[text]]>')],
    ['in references', documentOf('&#65;<a>1</a>')],
  ])('with text outside its fields: %s', (_name, text) => {
    expect(refusalOf(text)).toBe(looseText)
  })

  test.each(['<a>1</a><a>1</a>', '<a>1</a><A>2</A>', '<a/><a/>', `<a>1</a><p:a xmlns:p="${namespace}">2</p:a>`])(
    'with the same field twice: %s',
    (content) => {
      expect(refusalOf(documentOf(content))).toBe(repeated)
    },
  )

  test.each([
    ['one level too many', '<a><b>1</b></a>'],
    ['one level too many, without text', '<a><b/></a>'],
    ['thousands of levels', '<a>'.repeat(5_000)],
    ['thousands of levels that are closed', `${'<a>'.repeat(2_000)}${'</a>'.repeat(2_000)}`],
  ])('that nests: %s', (_name, content) => {
    expect(refusalOf(documentOf(content))).toBe(tooDeep)
  })

  test.each([
    ['a second root', documentOf('') + documentOf('')],
    ['a second root of another name', `${documentOf('')}<a/>`],
    ['text behind the root', `${documentOf('')}text`],
    ['a reference behind the root', `${documentOf('')}&amp;`],
    ['an end tag behind the root', `${documentOf('')}</Request>`],
    ['text before the root', `text${documentOf('')}`],
  ])('with %s', (_name, text) => {
    expect(refusalOf(text)).toMatch(/not well-formed|text outside its fields/)
  })

  test.each([
    'text',
    '<',
    '<Request',
    `<Request xmlns="${namespace}`,
    `<Request xmlns="${namespace}">`,
    `<Request xmlns="${namespace}"><a>1</a>`,
    `<Request xmlns="${namespace}"><a>1</a></Request`,
    documentOf('<a>1'),
    documentOf('</a>'),
    documentOf('<a>1</b>'),
    documentOf('<a>1</A>'),
    documentOf('<1>1</1>'),
    documentOf('<a b>1</a>'),
    documentOf('<a b=1>2</a>'),
    documentOf('<a b="1>2</a>'),
    documentOf('<a>1</a b="2">'),
    documentOf('<a>1<2</a>'),
    documentOf('<!-- never closed'),
    documentOf('<!-- a -- b -->'),
    documentOf('<a><![CDATA[never closed</a>'),
    documentOf('<?never closed'),
    documentOf('<p:a>1</p:a>'),
    documentOf('<a xmlns:xmlns="http://sample.test/other">1</a>'),
    documentOf('<a xmlns:xml="http://sample.test/other">1</a>'),
  ])('when it is not well-formed: %j', (text) => {
    expect(refusalOf(text)).toBe(malformed)
  })

  test.each([
    ['by name alone', '<!DOCTYPE Request>', ''],
    ['in lower case', '<!doctype Request>', ''],
    ['with an entity of its own', '<!DOCTYPE Request [<!ENTITY x "y">]>', '<a>&x;</a>'],
    ['with an entity that is not used', '<!DOCTYPE Request [<!ENTITY x "y">]>', '<a>1</a>'],
    ['with a file', '<!DOCTYPE Request [<!ENTITY x SYSTEM "file:///etc/hostname">]>', '<a>&x;</a>'],
    ['with an address', '<!DOCTYPE Request SYSTEM "http://127.0.0.1:9/sample.dtd">', '<a>1</a>'],
    ['with a public name', '<!DOCTYPE Request PUBLIC "-//sample//" "http://127.0.0.1:9/">', '<a>1</a>'],
    ['with parameter entities', '<!DOCTYPE Request [<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;]>', '<a>1</a>'],
    ['with a default attribute', '<!DOCTYPE Request [<!ATTLIST a b CDATA "1">]>', '<a>1</a>'],
    ['that redefines a predefined entity', '<!DOCTYPE Request [<!ENTITY lt "y">]>', '<a>&lt;</a>'],
    ['that is never closed', '<!DOCTYPE Request ', '<a>1</a>'],
    ['whose inner part is never closed', '<!DOCTYPE Request [<!ENTITY x "y">', '<a>1</a>'],
    ['whose inner part is empty and never closed', '<!DOCTYPE Request [', '<a>1</a>'],
    ['with entities of entities', `<!DOCTYPE Request [${laughs(30)}]>`, '<a>&x29;</a>'],
    ['with one long entity used often', `<!DOCTYPE Request [<!ENTITY x "${'y'.repeat(8_000)}">]>`, '&x;'.repeat(2_000)],
  ])('with a document type %s', (_name, type, content) => {
    expect(refusalOf(`${type}${documentOf(content)}`)).toMatch(doctype)
    expect(refusalOf(`<?xml version="1.0"?>\n<!-- x -->\n${type}\n${documentOf(content)}`)).toMatch(doctype)
  })

  test.each(['<!ENTITY x "y">', '<!ELEMENT a ANY>', `<!${'a'.repeat(80)}>`, '<!'])(
    'with a declaration outside a document type: %s',
    (declaration) => {
      for (const text of [declaration + documentOf(''), documentOf(declaration), documentOf('') + declaration]) {
        expect(refusalOf(text)).toMatch(doctype)
      }
    },
  )

  test('with a control character that only another version of XML has', () => {
    expect(refusalOf(`<?xml version="1.1"?>${documentOf('<a>&#1;</a>')}`)).toBe(malformed)
  })

  test.each([' ', '<!-- x -->', '<?xml version="1.0"?>', '\uFEFF'])('without a root: %j', (text) => {
    expect(refusalOf(text)).toBe(malformed)
  })

  test('with a document type inside or behind the root', () => {
    expect(refusalOf(documentOf('<!DOCTYPE Request>'))).toMatch(doctype)
    expect(refusalOf(`${documentOf('')}<!DOCTYPE Request>`)).toMatch(doctype)
  })

  test.each(['<a>\uFFFD</a>', '<\uFFFD/>', '<!-- \uFFFD -->', '<a b="\uFFFD"/>', '<a>\0</a>', '<a>\uD800</a>'])(
    'with invalid UTF-8, NUL, or half a character: %j',
    (content) => {
      expect(refusalOf(documentOf(content))).toMatch(/bytes that are not UTF-8|not well-formed/)
    },
  )

  test('without repeating a word of it', () => {
    const texts = ['marker', '<marker/>', documentOf('marker'), documentOf('<a>&marker;</a>'), '<!DOCTYPE marker>']
    for (const text of [...texts, documentOf('<marker/><marker/>'), documentOf('<a><marker/></a>')]) {
      expect(refusalOf(text)).not.toBeNull()
      expect(refusalOf(text)).not.toContain('marker')
    }
  })
})

describe('random text', () => {
  const pieces = fc.constantFrom(
    ...['<', '>', '/', '</', '/>', '="', '"', '&', ';', '&amp;', '&#x', '&#65;', '<!--', '-->', '<![CDATA[', ']]>'],
    ...['<?', '?>', 'a', '<a>', '</a>', '<b/>', ' ', 'xmlns', ':', 'xmlns:p="', namespace, '\uFFFD', '\0', '\uD800'],
    ...['__proto__', 'constructor', 'i:nil="true"', documentOf('')],
  )
  const rubbish = fc.array(pieces).map((parts) => parts.join(''))

  test('gives fields or a refusal, never a fault', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      rubbish,
      rubbish.map((content) => documentOf(content)),
    )
    fc.assert(
      fc.property(texts, (text) => {
        if (refusalOf(text) === null) for (const part of fieldsOf(text).flat()) expect(part).not.toMatch(/[\0\p{Cs}]/u)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a written text', () => {
  test.each([
    ['', '<a></a>'],
    ['1', '<a>1</a>'],
    ['<b>&amp;</b>', '<a>&lt;b&gt;&amp;amp;&lt;/b&gt;</a>'],
    [']]>', '<a>]]&gt;</a>'],
    ['"quoted" \'so\'', '<a>"quoted" \'so\'</a>'],
    ['\r\n', '<a>&#xD;\n</a>'],
    ['é😀', '<a>é😀</a>'],
    ['\uFFFE\uFFFF', '<a>\uFFFD\uFFFD</a>'],
  ])('%j is %j', (text, written) => {
    expect(writeElement('a', text)).toBe(written)
  })

  test('survives a round trip with any content that XML can hold', () => {
    const impossible = /(?![\t\n\r])[\p{Cc}\uFFFD-\uFFFF]/u // XML 1.0 §2.2, and U+FFFD, which stands for what was no UTF-8
    const anyText = fc.string({ unit: 'binary' }).filter((text) => !impossible.test(text))
    fc.assert(
      fc.property(anyText, (text) => {
        expect(fieldsOf(documentOf(writeElement('a', text)))).toEqual([['a', text]])
      }),
      { numRuns: 500 },
    )
  })
})

/** Entities that each stand for two of the one before: a gigabyte from a kilobyte. */
function laughs(count: number): string {
  const lines = Array.from({ length: count }, (_, index) =>
    index === 0 ? '<!ENTITY x0 "ha">' : `<!ENTITY x${index} "&x${index - 1};&x${index - 1};">`,
  )
  return lines.join('')
}
