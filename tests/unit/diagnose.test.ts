import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { diagnose } from '../../src/http/diagnose.ts'
import type { WireRequest } from '../../src/wire/wire-request.ts'
import { descriptionCharacters, wrongPassword } from '../support/refusals.ts'

const example = 'grant_type=password&username=...&password=...'
const nothing: WireRequest = { text: '', query: '', headers: {}, fields: new Map() }

const missing = new OAuthError('invalid_request', 'The field username is missing.', {
  reason: 'missing field username',
  missingField: 'username',
})
const refusedClient = new OAuthError('invalid_client', 'Client authentication failed.', { reason: 'unknown client' })
const noClient = new OAuthError('invalid_client', 'Client authentication failed.', { reason: 'no client credentials' })
const refusedUser = new OAuthError('invalid_grant', wrongPassword, { reason: 'wrong password', userId: 'u' })

function explain(error: OAuthError, received: Partial<WireRequest>): string {
  return diagnose(error, { ...nothing, ...received }, example).description
}

const query = `The fields are in the query string, which the server ignores. Send them as a form in the body: ${example}`
const asHeaders = `The fields are in headers, which the server ignores. Send them as a form in the body: ${example}`
const empty = `The body is empty. Send a form: ${example}`
const whole = `The whole body is percent-encoded. Encode each value, but not the = and & between them: ${example}`
const partly = `${wrongPassword} The form is partly unencoded, but + and % have a meaning in it: write + as %2B and % as %25.`
const twice = `${wrongPassword} A value looks percent-encoded twice: encode it once.`

describe('a missing field', () => {
  test.each<[string, Partial<WireRequest>, string]>([
    ['in the query', { query: 'x=1&password=1' }, query],
    ['in the query in another letter case', { query: 'UserName=1', text: 'a=b' }, query],
    ['in the query and as a header', { query: 'token=1', headers: { token: 'x' } }, query],
    ['as a header', { headers: { host: 'x', username: 'ada' } }, asHeaders],
    ['as a header beside a body', { headers: { client_secret: 'x' }, text: 'grant_type=password' }, asHeaders],
    ['in no body at all', { headers: { host: 'x' }, query: 'lang=1' }, empty],
    ['in a body encoded as a whole', { text: 'grant_type%3Dpassword%26username%3Dada' }, whole],
    ['in a body encoded as a whole, in small letters', { text: 'grant_type%3dpassword' }, whole],
  ])('is found %s', (_where, received, sentence) => {
    expect(explain(missing, received)).toBe(sentence)
  })

  test.each<Partial<WireRequest>>([
    { text: 'grant_type=password' },
    { text: 'grant_type=password&username=', query: 'user=1&name=1' },
    { text: 'nothing of a form', headers: { 'x-username': 'ada', authorization: 'Basic YTpi' } },
    { text: 'a%3Db=c' },
  ])('is only named where it is nowhere else: %o', (received) => {
    expect(diagnose(missing, { ...nothing, ...received }, example)).toBe(missing)
  })

  test('is explained with the form of the endpoint', () => {
    expect(diagnose(missing, nothing, 'token=...').description).toBe('The body is empty. Send a form: token=...')
  })

  test('is not explained where refusals have a fixed text', () => {
    expect(diagnose(missing, nothing, null)).toBe(missing)
  })
})

describe('a client that was refused', () => {
  test.each<[string, Partial<WireRequest>, string]>([
    ['and sent a form', { text: 'grant_type=password&username=a' }, 'The request has no client credentials.'],
    ['and named an empty id', { text: 'client_id=&username=a' }, 'The request has no client credentials.'],
    ['and sent nothing', {}, empty],
    ['and sent everything in the query', { query: 'client_id=1&client_secret=1' }, query],
  ])('%s, is told how a client authenticates', (_what, received, sentence) => {
    expect(explain(noClient, received).startsWith(sentence)).toBe(true)
  })

  test.each<[string, Partial<WireRequest>]>([
    ['a header', { headers: { authorization: 'Basic YTpi' } }],
    ['a header that cannot be read', { headers: { authorization: 'x' }, query: 'password=1' }],
    ['an empty header', { headers: { authorization: '' } }],
    ['an id', { text: 'client_id=a' }],
    ['an id in another letter case', { text: 'username=a&Client_ID=a', query: 'client_secret=1' }],
  ])('by %s gets the same answer as every other', (_what, received) => {
    expect(diagnose(refusedClient, { ...nothing, ...received }, example)).toBe(refusedClient)
  })
})

describe('a user that was refused', () => {
  test.each([
    ['username=ada+test@example.com&password=x', partly],
    ['username=ada@example.com&password=a+b', partly],
    ['username=ada@example.com&password=50%41', partly],
    ['USERNAME=ada@example.com&PASSWORD=a+b', partly],
    ['client_secret=a/b&username=ada&password=a+b', partly],
    ['username=ada%2540example.com&password=x', twice],
    ['username=ada&password=p%2526q', twice],
    ['username=ada@example.com&password=p%252Bq', twice],
    ['username=ada&password=a+b', wrongPassword],
    ['username=ada&password=a%2Bb', wrongPassword],
    ['username=ada%40example.com&password=a+b', wrongPassword],
    ['username=ada@example.com&password=x', wrongPassword],
    ['username=ada&password=100%25', wrongPassword],
    ['username=ada&password=50%25off', wrongPassword],
    ['scope=a+b@c&username=ada&password=x', wrongPassword],
    ['xpassword=a+b&username=ada@example.com&password=x', wrongPassword],
    ['', wrongPassword],
  ])('by %j', (text, sentence) => {
    expect(explain(refusedUser, { text })).toBe(sentence)
  })

  const encoders = fc.constantFrom<(text: string) => string>(encodeURIComponent, (text) =>
    new URLSearchParams({ '': text }).toString().slice(1),
  )

  test('by a correctly encoded form gets no advice for any content', () => {
    const texts = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((text) => !/%[0-9A-F]{2}/i.test(text))
    fc.assert(
      fc.property(encoders, texts, texts, (encode, name, password) => {
        const text = `grant_type=password&username=${encode(name)}&password=${encode(password)}`
        expect(diagnose(refusedUser, { ...nothing, text }, example)).toBe(refusedUser)
      }),
    )
  })

  test('by a name encoded twice is told so for any content', () => {
    fc.assert(
      fc.property(encoders, fc.string({ unit: 'grapheme' }), (encode, name) => {
        const text = `username=${encodeURIComponent(encodeURIComponent(`${name}@`))}&password=${encode(name)}`
        expect(explain(refusedUser, { text })).toBe(twice)
      }),
    )
  })
})

describe('for random requests', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.webQueryParameters())
  const names = fc.array(fc.oneof(fc.string(), fc.constantFrom('username', 'password', 'token', 'client_id')))
  const received = fc.record({
    text,
    query: names.map((list) => new URLSearchParams(Object.fromEntries(list.map((name) => [name, 'x']))).toString()),
    headers: names.map((list) => Object.fromEntries(list.map((name) => [name, 'x']))),
    fields: fc.constant(new Map()),
  })
  const errors = fc.constantFrom(missing, noClient, refusedClient, refusedUser)

  test('the sentence keeps to the characters of RFC 6749 §5.2', () => {
    fc.assert(
      fc.property(errors, received, (error, asked) => {
        expect(diagnose(error, asked, example).description).toMatch(descriptionCharacters)
      }),
    )
  })

  test('the sentence holds no value', () => {
    const marker = 'mArKeR'
    const values = fc.tuple(fc.string({ unit: 'binary' }), fc.string()).map(([a, b]) => a + marker + b)
    fc.assert(
      fc.property(errors, values, values, fc.boolean(), (error, one, other, isForm) => {
        const text = isForm ? `username=${one}&password=${other}` : one + other
        const asked = { ...nothing, text, query: 'one=1&token=1', headers: { password: other } }
        expect(diagnose(error, asked, example).description).not.toContain(marker)
      }),
    )
  })

  test('the sentence is the same for known and unknown clients and users', () => {
    const reasons = ['unknown client', 'disabled client', 'wrong client secret', 'unknown user', 'wrong password', 'x']
    const known = fc.record({
      reason: fc.constantFrom(...reasons),
      userId: fc.string(),
      clientId: fc.string(),
      cause: fc.anything(),
    })
    fc.assert(
      fc.property(fc.constantFrom(refusedClient, refusedUser), known, received, (error, facts, asked) => {
        const other = new OAuthError(error.code, error.description, facts)
        expect(diagnose(other, asked, example).description).toBe(diagnose(error, asked, example).description)
      }),
    )
  })

  test('only the sentence changes, not code, status, log reason and headers', () => {
    const cause = new Error('underneath')
    const facts = { reason: 'missing field x', missingField: 'x', userId: 'u', clientId: 'c', retryAfterSeconds: 7 }
    const details = { status: 418, cause, ...facts }
    const error = new OAuthError('invalid_request', 'The field x is missing.', {
      ...details,
      headers: { allow: 'POST' },
    })
    const explained = diagnose(error, nothing, example)
    expect(explained).not.toBe(error)
    expect(explained).toBeInstanceOf(OAuthError)
    expect(explained).toMatchObject({ ...details, code: 'invalid_request', headers: { allow: 'POST' } })
    expect(explained.cause).toBe(cause)
    expect([explained.description, explained.message]).toEqual([empty, empty])
  })

  test.each([
    new OAuthError('unsupported_grant_type', 'The only supported grant_type is password.'),
    new OAuthError('invalid_request', 'The body has the same field twice.'),
    new OAuthError('temporarily_unavailable', 'Try again shortly.', { retryAfterSeconds: 1 }),
    new OAuthError('server_error', 'Something went wrong here.', { reason: 'unforeseen' }),
    new OAuthError('unauthorized_client', 'The token was issued to another client.'),
    new OAuthError('invalid_request', 'Use POST.', { status: 405 }),
  ])('another kind of refusal is unchanged: $description', (error) => {
    fc.assert(
      fc.property(received, (asked) => {
        expect(diagnose(error, asked, example)).toBe(error)
      }),
    )
  })
})
