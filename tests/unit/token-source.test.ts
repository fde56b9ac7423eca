import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { authorizedFetch, type TokenSourceOptions, tokenSource } from '../../src/client/index.ts'
import { readRetryAfter } from '../../src/client/read-retry-after.ts'

const right: TokenSourceOptions = {
  url: 'http://127.0.0.1:3000',
  clientId: 'web-shop',
  clientSecret: 'a-client-secret',
  username: 'ada@example.com',
  password: 'a-password',
}

/** Sends nothing: notes what would be sent and answers with a token. */
function recorder() {
  const sent: { url: string; init: RequestInit }[] = []
  const fetch = async (url: unknown, init: RequestInit = {}) => {
    sent.push({ url: String(url), init })
    return Response.json({ access_token: 'a-token', token_type: 'bearer', expires_in: 60 })
  }
  return { sent, fetch: fetch as typeof globalThis.fetch }
}

async function sentWith(options: Partial<TokenSourceOptions>): Promise<{ url: string; init: RequestInit }> {
  const { sent, fetch } = recorder()
  await tokenSource({ ...right, ...options, fetch })()
  expect(sent).toHaveLength(1)
  return sent[0] as { url: string; init: RequestInit }
}

describe('the endpoint', () => {
  test.each<[string, string, string | undefined]>([
    ['http://127.0.0.1:3000/Token', 'http://127.0.0.1:3000', undefined],
    ['http://127.0.0.1:3000/Token', 'http://127.0.0.1:3000/', undefined],
    ['https://example.com/auth/Token', 'https://example.com/auth', undefined],
    ['https://example.com/auth/Token', 'https://example.com/auth/', undefined],
    ['https://example.com/auth/v1/Token', 'https://example.com/auth/v1//', undefined],
    ['https://example.com/oauth/token', 'https://example.com', '/oauth/token'],
    ['https://example.com/auth/oauth/token', 'https://example.com/auth/', '/oauth/token'],
    ["https://example.com/$&$'/$1", 'https://example.com', "/$&$'/$1"],
    ['https://example.com//elsewhere.example/Token', 'https://example.com', '//elsewhere.example/Token'],
    ['https://example.com/Token', 'https://example.com/?#', undefined],
    ['https://example.com/Token', ' https://example.com/\r\n', undefined],
    ['https://example.com/auth/Token', 'https://example.com/auth\n', '/Token\n'],
  ])('is %s for %s and the path %s', async (endpoint, url, path) => {
    expect((await sentWith({ url, path })).url).toBe(endpoint)
    expect((await sentWith({ url: new URL(url), path })).url).toBe(endpoint)
  })
})

describe('the request (RFC 6749 §4.3.2)', () => {
  test('is a form with the grant, the user name and the password, and follows no redirect', async () => {
    const { init } = await sentWith({ username: 'ädá &=+%', password: '100% a+b&c=d 😀' })
    expect(init).toMatchObject({ method: 'POST', redirect: 'error' })
    expect(new Headers(init.headers).get('content-type')).toBe('application/x-www-form-urlencoded')
    expect([...new URLSearchParams(String(init.body))]).toEqual([
      ['grant_type', 'password'],
      ['username', 'ädá &=+%'],
      ['password', '100% a+b&c=d 😀'],
    ])
  })

  test('carries id and secret of the client form-encoded in Basic (§2.3.1)', async () => {
    const { init } = await sentWith({ clientId: 'web:shop ä', clientSecret: "a+b:c%/=&~*'()😀" })
    const [scheme, halves = ''] = (new Headers(init.headers).get('authorization') ?? '').split(' ')
    expect(scheme).toBe('Basic')
    expect(Buffer.from(halves, 'base64').toString()).toBe(
      'web%3Ashop+%C3%A4:a%2Bb%3Ac%25%2F%3D%26%7E*%27%28%29%F0%9F%98%80',
    )
    expect(String(init.body)).not.toContain('client')
  })

  test('of a public client has its id in the form and no Authorization header (§2.3)', async () => {
    const { init } = await sentWith({ clientSecret: undefined })
    expect(new Headers(init.headers).has('authorization')).toBe(false)
    expect(new URLSearchParams(String(init.body)).get('client_id')).toBe('web-shop')
    expect(new URLSearchParams(String(init.body)).has('client_secret')).toBe(false)
  })

  test('uses the options as they were when the source was created', async () => {
    const { sent, fetch } = recorder()
    const options = { ...right, fetch }
    const token = tokenSource(options)
    options.username = 'somebody else'
    await token()
    expect(String(sent[0]?.init.body)).toContain('username=ada%40example.com')
  })
})

describe('an invalid option', () => {
  const marker = 'sesame-0123456789'
  test.each<[string, object]>([
    ['url', { url: marker }],
    ['url', { url: '' }],
    ['url', { url: undefined }],
    ['url', { url: `ftp://example.com/${marker}` }],
    ['url', { url: `https://user:${marker}@example.com` }],
    ['url', { url: `https://example.com?key=${marker}` }],
    ['url', { url: `https://example.com/#${marker}` }],
    ['clientId', { clientId: '' }],
    ['clientId', { clientId: undefined }],
    ['clientSecret', { clientSecret: '' }],
    ['clientSecret', { clientSecret: [marker] }],
    ['clientSecret', { clientSecret: null }],
    ['clientSecret', { clientSecret: `${marker}\n` }],
    ['clientSecret', { clientSecret: `${marker}\uD83D` }],
    ['clientId', { clientId: `${marker}\r\n` }],
    ['username', { username: `${marker}\n` }],
    ['password', { password: `${marker}\n` }],
    ['password', { password: `${marker}\r` }],
    ['username', { username: '' }],
    ['username', { username: undefined }],
    ['password', { password: '' }],
    ['password', { password: { marker } }],
    ['password', { password: undefined }],
    ['path', { path: marker }],
    ['path', { path: `/Token?key=${marker}` }],
    ['path', { path: '' }],
    ['takeOver', { takeOver: marker }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['timeoutMs', { timeoutMs: Number.NaN }],
    ['timeoutMs', { timeoutMs: 2 ** 31 }],
    ['timeoutMs', { timeoutMs: marker }],
    ['fetch', { fetch: marker }],
  ])('is a TypeError at once that names %s and does not repeat the value: %j', (name, wrong) => {
    const attempt = () => tokenSource({ ...right, ...wrong } as TokenSourceOptions)
    expect(attempt).toThrow(TypeError)
    expect(attempt).toThrow(new RegExp(`^${name} must`))
    expect(attempt).not.toThrow(marker)
  })
})

describe('Retry-After (RFC 9110 §10.2.3)', () => {
  const date = 'Mon, 02 Nov 2026 08:00:00 GMT'
  test.each<[string, string, number | null]>([
    ['whole seconds', '7', 7],
    ['nothing to wait, which still is a second', '0', 1],
    ['a date', 'Mon, 02 Nov 2026 08:01:30 GMT', 90],
    ['a date of the second form', 'Monday, 02-Nov-26 08:01:30 GMT', 90],
    ['a date of the third form', 'Mon Nov  2 08:01:30 2026', 90],
    ['a date that has passed', 'Mon, 02 Nov 2026 07:00:00 GMT', 1],
    ['no header', '', null],
    ['a fraction', '1.5', null],
    ['less than nothing', '-5', null],
    ['words', 'soon', null],
    ['words and a number', 'soon 5', null],
    ['two of them', '5, 7', null],
  ])('in %s: %j', (_name, text, seconds) => {
    expect(readRetryAfter(new Headers(text === '' ? { date } : { date, 'retry-after': text }))).toBe(seconds)
  })

  test('as a date counts from now when the answer has no Date header', () => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString()
    const seconds = readRetryAfter(new Headers({ 'retry-after': inAMinute }))
    expect(seconds).toBeGreaterThan(50)
    expect(seconds).toBeLessThanOrEqual(60)
  })
})

describe('a challenge (RFC 9110 §11.6.1, RFC 6750 §3)', () => {
  const invalid = [
    'Bearer error="invalid_token"',
    'bearer ERROR = invalid_token',
    'Bearer realm="a, b", error="invalid_token", error_description="It has expired."',
    'Bearer realm="a \\" b, Basic", error="invalid_token"',
    'Basic realm="a", Bearer realm="b", error="invalid_token"',
    'Negotiate YWJj==, Bearer error="invalid_token", Basic realm="a"',
    'Bearer  error="invalid_token"',
  ]
  const others = [
    'Bearer',
    'Bearer realm="a"',
    'Bearer error="insufficient_scope"',
    'Bearer error="invalid_token_or_so"',
    'Bearer error="Invalid_Token"',
    'Bearer error_description="invalid_token"',
    'Bearer realm="error=\\"invalid_token\\""',
    'Bearer realm="a, error=invalid_token"',
    'Basic realm="a", error="invalid_token"',
    'Bearer realm="a", DPoP error="invalid_token"',
    'Basic realm="Bearer error=invalid_token"',
    'BearerX error="invalid_token"',
    'error="invalid_token"',
    '"Bearer error="invalid_token"',
    '',
  ]

  /** How many requests one answer with this challenge leads to. */
  async function requestsAfter(challenge: string, status = 401): Promise<number> {
    let value = 0
    let requests = 0
    const token = Object.assign(async () => `token-${value}`, { noteRefusal: () => void value++ })
    const fetch = async () => {
      requests += 1
      return requests > 1 ? new Response() : new Response(null, { status, headers: { 'www-authenticate': challenge } })
    }
    await authorizedFetch(token, { fetch })('http://127.0.0.1/')
    return requests
  }

  test.each(invalid)('that reports an invalid token: %s', async (challenge) => {
    expect(await requestsAfter(challenge)).toBe(2)
  })

  test.each(others)('that reports another error: %s', async (challenge) => {
    expect(await requestsAfter(challenge)).toBe(1)
  })

  test('is ignored under another status than 401', async () => {
    for (const status of [200, 400, 403, 500]) expect(await requestsAfter(invalid[0] ?? '', status)).toBe(1)
  })
})

describe('the client', () => {
  test('imports nothing but its own files, so that it runs wherever there is a fetch', () => {
    const folder = new URL('../../src/client/', import.meta.url)
    for (const name of readdirSync(folder)) {
      const text = readFileSync(new URL(name, folder), 'utf8')
      const imported = [...text.matchAll(/(?:from|import\(?|require\()\s*['"]([^'"]+)['"]/g)].map(([, from]) => from)
      expect(imported.filter((from) => !from?.startsWith('./'))).toEqual([])
      expect(text, name).not.toMatch(/\bprocess\.|\bBuffer\b|\bglobal\./)
    }
  })
})
