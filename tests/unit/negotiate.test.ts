import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { negotiate } from '../../src/wire/negotiate.ts'

/** In the order of the formatters of ASP.NET Web API, the one for scripts last. */
const formatters = [['application/json', 'text/json'], ['application/xml', 'text/xml'], ['text/javascript']] as const
const offered = ['application/json', 'text/json', 'application/xml', 'text/xml', 'text/javascript'] as const
const json = 'application/json'
const xml = 'application/xml'
const form = 'application/x-www-form-urlencoded'

/** What browsers send when a page is opened. */
const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'

describe('without Accept the answer is of', () => {
  test.each([...offered])('the type of the request, %s', (requestType) => {
    expect(negotiate('', requestType, formatters)).toBe(requestType)
  })

  test.each(['', form, 'text/html', 'multipart/form-data'])('JSON where the request is %j', (requestType) => {
    expect(negotiate('', requestType, formatters)).toBe(json)
  })

  test.each([' ', ',', ' , ,', '\t'])('the type of the request where Accept is effectively empty: %j', (accept) => {
    expect(negotiate(accept, xml, formatters)).toBe(xml)
  })
})

describe('Accept', () => {
  test.each([...offered])('that names %s gets it for any request', (type) => {
    for (const requestType of [...offered, form, '']) expect(negotiate(type, requestType, formatters)).toBe(type)
  })

  test.each([
    ['*/*', json],
    ['text/*', 'text/json'],
    ['application/*', json],
    [browser, xml],
    ['application/xml;q=0.9, */*;q=0.8', xml],
    ['application/xml;q=0.8, */*;q=0.9', json],
    ['application/xml, application/json', json],
    ['text/javascript, text/xml', 'text/xml'],
    ['text/xml, application/xml', 'text/xml'],
    ['text/json, application/json', 'text/json'],
    ['text/javascript, application/xml, application/json', json],
    ['application/json;q=0.5, application/xml;q=0.6', xml],
    ['application/json;q=0.5, text/javascript;q=0.501', 'text/javascript'],
    ['application/json;q=0.5, application/xml;q=0.5', json],
    ['*/*, text/javascript', 'text/javascript'],
    ['application/*, text/xml', 'text/xml'],
    ['*/*, text/*', 'text/json'],
    ['application/json;q=0, application/xml', xml],
    ['application/json;q=0.0, text/xml;q=0.001', 'text/xml'],
    ['text/html, text/javascript;q=0.1', 'text/javascript'],
    ['application/xml;charset=utf-8', xml],
    ['application/xml; charset=utf-8; q=0.2, text/json; q=0.1', xml],
    ['application/xml ; q=0.2 , text/json ; q=0.1', xml],
    ['Application/XML', xml],
    ['APPLICATION/XML;Q=0.2, text/json;q=0.1', xml],
  ])('%s gets %s', (accept, type) => {
    expect(negotiate(accept, '', formatters)).toBe(type)
    expect(negotiate(accept, xml, formatters)).toBe(type)
  })

  test.each([
    'text/html',
    'text/html;q=0.9, image/png',
    'application/xhtml+xml',
    'application/soap+xml',
    'application/x-www-form-urlencoded',
    'application/xml;q=0',
    '*/*;q=0',
    'application/xml;q=0, text/xml;q=0',
    '*',
    'xml',
    '*/xml',
    'application/',
    '/xml',
    'application/xml;q=2',
    'application/xml;q=-1',
    'application/xml;q=high',
    'application/xml/xml',
  ])('%s, which names no offered type, gets JSON, even for a request in XML', (accept) => {
    expect(negotiate(accept, xml, formatters)).toBe(json)
  })

  test('of any shape gets an offered type, the same in any letter case', () => {
    const pieces = fc.constantFrom(
      ...[...offered, 'text/html', '*/*', 'text/*', '*', '/', ',', ';', '=', 'q', 'q=', ';q=0.5', ';q=1', ';q=0'],
      ...[';q=1e400', ';q=NaN', ';q=Infinity', ';q="1"', '"', '\\', ' ', '\t', '__proto__', 'constructor'],
    )
    const headers = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces).map((parts) => parts.join('')),
      fc.array(pieces).map((parts) => parts.join(',')),
    )
    fc.assert(
      fc.property(headers, fc.constantFrom(...offered, form, ''), (accept, requestType) => {
        const type = negotiate(accept, requestType, formatters)
        expect(offered).toContain(type)
        if (/^[ -~]*$/.test(accept)) expect(negotiate(accept.toUpperCase(), requestType, formatters)).toBe(type)
      }),
      { numRuns: 1000 },
    )
  })

  test('selects the highest quality, then the first formatter, then its first named type', () => {
    const ranges = fc.uniqueArray(fc.tuple(fc.constantFrom(...offered), fc.integer({ min: 1, max: 1000 })), {
      selector: ([type]) => type,
      minLength: 1,
    })
    fc.assert(
      fc.property(ranges, (named) => {
        const highest = Math.max(...named.map(([, thousandths]) => thousandths))
        const best = named.filter(([, thousandths]) => thousandths === highest).map(([type]) => type)
        const accept = named.map(([type, thousandths]) => `${type};q=${thousandths / 1000}`).join(', ')
        expect(negotiate(accept, '', formatters)).toBe(
          best.find((type) =>
            formatters.find((types) => types.some((one) => best.includes(one)))?.includes(type as never),
          ),
        )
      }),
    )
  })
})
