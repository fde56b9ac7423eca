import fc from 'fast-check'
import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { OAuthError, type OAuthErrorCode } from '../../src/errors.ts'
import type { IssuedToken } from '../../src/tokens/token.ts'
import type { Fields } from '../../src/wire/fields.ts'
import type { WireRequest } from '../../src/wire/wire-request.ts'
import { readXml } from '../../src/wire/xml.ts'
import {
  publishedAnswers,
  publishedMembers,
  publishedNamespace,
  publishedRequests,
  withoutLayout,
  xmlRequest,
} from '../support/transcripts/webapi-session.ts'

const form = 'application/x-www-form-urlencoded'
const issuedAt = DateTime.fromISO('2020-09-13T09:35:33Z')

/** The token of the published answers. */
function issued(facts: Partial<IssuedToken> = {}): IssuedToken {
  return {
    id: '0b7e0a52-3f6c-4d0e-9c53-6a1f2f5f8d11',
    clientId: 'webapi-session',
    userId: 'sample string 5',
    userName: 'sample string 4',
    role: 'Administrator',
    device: 'sample string 7',
    issuedAt,
    expiresAt: issuedAt.plus({ seconds: 3 }),
    value: 'sample string 1',
    lifetimeSeconds: 3,
    signInId: 'sample string 6',
    ...facts,
  }
}

function asked(headers: Record<string, string>, text = '', fields: Record<string, string> = {}): WireRequest {
  return { text, query: '', headers, fields: new Map(Object.entries(fields)) }
}

async function decode(type: string | undefined, text: string): Promise<Fields> {
  return webapiSession.decode(asked(type === undefined ? {} : { 'content-type': type }, text))
}

function read(fields: Record<string, string>) {
  return webapiSession.read(new Map(Object.entries({ grant_type: 'password', password: 'p', ...fields })))
}

function refusing(code: OAuthErrorCode, description: string | RegExp, status = 400) {
  const said = typeof description === 'string' ? description : expect.stringMatching(description)
  return expect.objectContaining({ code, status, description: said })
}

describe('the published page', () => {
  test('describes POST /v2/token without client authentication', () => {
    const { name, path, methods, client, grant } = webapiSession
    expect([name, path, methods, client, grant]).toEqual([
      'webapi-session',
      '/v2/token',
      ['POST'],
      'built-in',
      'password',
    ])
  })

  test.each(publishedRequests)(
    'has a request in %s that is understood exactly as published: %s',
    async (type, body, fields) => {
      expect(Object.fromEntries(await decode(type, body))).toEqual(fields)
    },
  )

  test.each(publishedRequests)(
    'has a request in %s that signs in once it asks for a password grant',
    async (type, body, fields) => {
      const decoded = new Map([...(await decode(type, body)), ['grant_type', 'password']])
      expect(webapiSession.read(decoded)).toEqual({
        grant: 'password',
        username: fields['username'],
        password: fields['password'],
        device: fields['clientkey'] ?? '',
      })
    },
  )

  test.each(publishedAnswers)('has an answer in %s that is written exactly, as a bearer token', (type, body) => {
    const reply = webapiSession.write(issued(), asked({ accept: type }, '', { clientkey: 'sample string 7' }))
    expect(reply).toEqual({
      status: 200,
      headers: { 'content-type': `${type}; charset=utf-8`, vary: 'Accept' },
      body: withoutLayout(body).replace('sample string 2', 'bearer'),
    })
  })

  test('has its members in the order of the numbers of its samples', () => {
    const { body } = webapiSession.write(issued(), asked({}))
    expect(Object.keys(JSON.parse(body))).toEqual(publishedMembers)
  })
})

describe('a sign-in without clientKey', () => {
  test.each([{}, { clientkey: '' }])('gets null in JSON and i:nil in XML, with the fields %j', (fields) => {
    expect(webapiSession.write(issued(), asked({}, '', fields)).body).toMatch(/,"clientKey":null\}$/)
    expect(webapiSession.write(issued(), asked({ accept: 'text/xml' }, '', fields)).body).toBe(
      `<OAuthToken xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="${publishedNamespace}">` +
        '<access_token>sample string 1</access_token><clientKey i:nil="true" /><expires_in>3</expires_in>' +
        '<sessionKey>sample string 6</sessionKey><token_type>bearer</token_type>' +
        '<userID>sample string 5</userID><userName>sample string 4</userName></OAuthToken>',
    )
  })

  test.each([{}, { clientkey: '' }])('is for the seat without a label, with the fields %j', (fields) => {
    expect(read({ username: 'ada', ...fields })).toMatchObject({ device: '' })
  })
})

describe('a body', () => {
  const json = '{"username":"ada"}'
  const xml = xmlRequest('<userName>ada</userName>')
  test.each([
    [undefined, 'username=ada'],
    ['', 'username=ada'],
    [form, 'username=ada'],
    [`${form}; charset=utf-8`, 'username=ada'],
    [form.toUpperCase(), 'username=ada'],
    ['application/json; charset=utf-8', json],
    ['Application/JSON', json],
    ['text/json;charset=UTF-8', json],
    [' text/javascript ; x=y', json],
    ['application/xml; charset=utf-8', xml],
    ['Text/XML', xml],
  ])('is read by its type %j: %s', async (type, text) => {
    expect([...(await decode(type, text))]).toEqual([['username', 'ada']])
  })

  test.each([
    'text/plain',
    'text/html',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    'application/javascript',
    'application/xhtml+xml',
    'application/soap+xml',
    'application/vnd.api+json',
    'application/json,application/json',
    'json',
    'application/json x',
    '*/*',
    '__proto__',
  ])('of another type is refused with 415, never guessed: %s', async (type) => {
    for (const text of ['username=ada', json, xml]) {
      const refusal = refusing('invalid_request', /^Send a form \(.*\), JSON or XML\.$/, 415)
      await expect(decode(type, text)).rejects.toEqual(refusal)
    }
  })

  test.each([
    [form, json, /JSON/],
    [form, xml, /XML/],
    [undefined, json, /JSON/],
    ['application/json', 'username=ada', /not a JSON object/],
    ['application/json', xml, /not a JSON object/],
    ['application/xml', json, /XML/],
    ['text/xml', 'username=ada', /XML/],
    ['text/xml', '<OAuthRequest><userName>ada</userName></OAuthRequest>', /namespace/],
    ['text/xml', xml.replaceAll('OAuthRequest', 'OAuthToken'), /OAuthRequest/],
  ])('of type %s that is something else is refused: %s', async (type, text, description) => {
    await expect(decode(type, text)).rejects.toEqual(refusing('invalid_request', description))
  })

  test.each([
    [form, 'userName=ada&username=eve'],
    [form, 'username=ada&USERNAME=ada'],
    ['application/json', '{"userName":"ada","username":"eve"}'],
    ['text/javascript', '{"userName":"ada","user\\u006eame":"ada"}'],
    ['text/xml', xmlRequest('<userName>ada</userName><username>eve</username>')],
    ['application/json', '{"clientKey":"a","clientkey":"b"}'],
  ])('of type %s with a field in two spellings is refused: %s', async (type, text) => {
    await expect(decode(type, text)).rejects.toEqual(refusing('invalid_request', 'The body has the same field twice.'))
  })
})

describe('names', () => {
  const forms: [type: string, write: (pairs: [string, string][]) => string][] = [
    [form, (pairs) => new URLSearchParams(pairs).toString()],
    ['application/json', (pairs) => JSON.stringify(Object.fromEntries(pairs))],
    ['application/xml', (pairs) => xmlRequest(pairs.map(([name, value]) => `<${name}>${value}</${name}>`).join(''))],
  ]

  test.each(forms)('match in any letter case and order, %s', async (type, write) => {
    const values = { grant_type: 'password', userName: 'ada', password: 'word', clientKey: 'key' }
    const cased = Object.entries(values).map(([name, value]) =>
      fc.tuple(fc.mixedCase(fc.constant(name)), fc.constant(value)),
    )
    const orders = fc.tuple(...cased).chain((pairs) => fc.shuffledSubarray(pairs, { minLength: 4 }))
    await fc.assert(
      fc.asyncProperty(orders, async (pairs) => {
        expect(webapiSession.read(await decode(type, write(pairs)))).toEqual({
          grant: 'password',
          username: 'ada',
          password: 'word',
          device: 'key',
        })
      }),
    )
  })
})

describe('clientKey', () => {
  test('is checked after the grant', () => {
    const fields = new Map([['clientkey', 'x'.repeat(201)]])
    expect(() => webapiSession.read(fields)).toThrow('The field grant_type is missing.')
  })

  test.each([
    ['200 characters', 'k'.repeat(200)],
    ['200 characters of two units each', '😀'.repeat(200)],
    ['blanks', ' a b '],
    ['markup', '<b>&"\''],
    ['a line separator', 'a\u2028b'],
  ])('is the label of the seat: %s', (_name, clientkey) => {
    expect(read({ username: 'ada', clientkey })).toMatchObject({ device: clientkey })
  })

  test.each([
    ['201 characters', 'k'.repeat(201)],
    ['201 characters of two units each', '😀'.repeat(201)],
    ['a line end', 'a\nb'],
    ['a tab', 'a\tb'],
    ['an escape', 'a\u001B[2J'],
    ['a delete', 'a\u007F'],
    ['a control character beyond ASCII', 'a\u0085'],
  ])('cannot be %s', (_name, clientkey) => {
    expect(() => read({ username: 'ada', clientkey })).toThrow(
      refusing('invalid_request', 'The field clientKey must have at most 200 characters and no control characters.'),
    )
  })

  test.each(['kéy', '<&>"\'', ']]>', '😀'])('is returned as sent: %s', (clientkey) => {
    const fields = { clientkey }
    expect(JSON.parse(webapiSession.write(issued(), asked({}, '', fields)).body).clientKey).toBe(clientkey)
    const { body } = webapiSession.write(issued(), asked({ accept: 'text/xml' }, '', fields))
    expect(readXml(body, { name: 'OAuthToken', namespace: publishedNamespace }).get('clientkey')).toBe(clientkey)
  })
})

describe('fields are refused', () => {
  test.each<[Record<string, string>, OAuthErrorCode, string]>([
    [{ grant_type: '' }, 'invalid_request', 'The field grant_type is missing.'],
    [{ grant_type: 'Password' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{ grant_type: 'sample string 1' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{ grant_type: 'refresh_token' }, 'unsupported_grant_type', 'The only supported grant_type is password.'],
    [{}, 'invalid_request', 'The field username is missing.'],
    [{ username: '' }, 'invalid_request', 'The field username is missing.'],
    [{ username: 'ada', password: '' }, 'invalid_request', 'The field password is missing.'],
  ])('%j as %s', (fields, code, description) => {
    expect(() => read(fields)).toThrow(refusing(code, description))
  })
})

describe('an answer', () => {
  const json = 'application/json'
  test.each<[accept: string | undefined, type: string | undefined, answer: string]>([
    [undefined, undefined, json],
    [undefined, form, json],
    [undefined, 'application/json; charset=utf-8', json],
    [undefined, 'text/json', 'text/json'],
    [undefined, 'text/javascript', 'text/javascript'],
    [undefined, 'Application/XML; charset=utf-8', 'application/xml'],
    [undefined, 'text/xml', 'text/xml'],
    [undefined, 'text/plain', json],
    ['*/*', 'application/xml', json],
    ['application/xml', form, 'application/xml'],
    ['text/javascript', 'text/xml', 'text/javascript'],
    ['text/html', 'text/xml', json],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', form, 'application/xml'],
    ['application/xml;q=0.1, text/javascript;q=0.2', form, 'text/javascript'],
  ])('with Accept %j to a request of type %j is %s, and so is a refusal', (accept, type, answer) => {
    const request = asked({ ...(accept === undefined ? {} : { accept }), ...(type && { 'content-type': type }) })
    const refusal = new OAuthError('invalid_grant', 'A sentence.')
    for (const { headers, body } of [webapiSession.write(issued(), request), webapiSession.refuse(refusal, request)]) {
      expect(headers).toEqual({ 'content-type': `${answer}; charset=utf-8`, vary: 'Accept' })
      expect(body[0]).toBe(answer.endsWith('xml') ? '<' : '{')
    }
  })

  test('in XML holds any name unchanged', () => {
    const names = fc.string({ unit: 'grapheme' }).filter((name) => !/[\0\uFFFD-\uFFFF\p{Cs}]/u.test(name))
    fc.assert(
      fc.property(names, (userName) => {
        const { body } = webapiSession.write(issued({ userName }), asked({ accept: 'application/xml' }))
        expect(readXml(body, { name: 'OAuthToken', namespace: publishedNamespace }).get('username')).toBe(userName)
      }),
    )
  })
})

describe('a refusal', () => {
  const statuses: readonly (readonly [OAuthErrorCode, number])[] = [
    ['invalid_request', 400],
    ['unsupported_grant_type', 400],
    ['invalid_grant', 400],
    ['not_found', 404],
    ['slow_down', 429],
    ['temporarily_unavailable', 503],
    ['server_error', 500],
  ]

  test.each(statuses)('as %s has status %i and the same two members in each form', (code, status) => {
    const error = new OAuthError(code, 'A sentence.', { reason: 'inside', cause: new Error('inside') })
    const inJson = webapiSession.refuse(error, asked({}))
    const inXml = webapiSession.refuse(error, asked({ accept: 'text/xml' }))
    expect([inJson.status, inXml.status]).toEqual([status, status])
    expect(inJson.body).toBe(`{"error":"${code}","error_description":"A sentence."}`)
    expect(inXml.body).toBe(`<Error><error>${code}</error><error_description>A sentence.</error_description></Error>`)
  })

  test('of another status has that status', () => {
    const error = new OAuthError('invalid_request', 'Too long.', { status: 413 })
    expect(webapiSession.refuse(error, asked({ accept: 'text/xml' })).status).toBe(413)
  })

  test('in XML escapes what its sentence holds', () => {
    const error = new OAuthError('invalid_request', 'Write % as %25, & between them, <a> and ]]>.')
    expect(webapiSession.refuse(error, asked({ accept: 'text/xml' })).body).toContain(
      '<error_description>Write % as %25, &amp; between them, &lt;a&gt; and ]]&gt;.</error_description>',
    )
  })
})
