import Fastify, { type FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { webapi } from '../../src/dialects/webapi.ts'
import { createServer, type ServerOptions } from '../../src/server.ts'
import { type TokenServerOptions, tokenServer } from '../../src/token-server.ts'
import { keepSecret, logLines } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords } from '../support/people.ts'
import { basic, bearer } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const origin = await listen(app)
const path = '/.well-known/oauth-authorization-server'
const publicUrl = 'https://tokens.example.com'

const client = await addClient(database)
const publicClient = await addClient(database, { secret: 'public' })
const user = await addUser(database)

/** The document of RFC 8414 §2, as far as this server has something to say. */
interface Metadata {
  readonly issuer: string
  readonly token_endpoint: string
  readonly token_endpoint_auth_methods_supported: string[]
  readonly grant_types_supported: string[]
  readonly response_types_supported: string[]
  readonly introspection_endpoint: string
  readonly introspection_endpoint_auth_methods_supported: string[]
  readonly revocation_endpoint: string
  readonly revocation_endpoint_auth_methods_supported: string[]
  readonly userinfo_endpoint: string
  readonly service_documentation?: string
}

/** The standalone server on the file's database, set as the test says; closed after the file. */
async function serverWith(options: Partial<ServerOptions>): Promise<FastifyInstance> {
  const server = await createServer(database, pino({ level: 'trace' }, logLines), { ...plainOptions, ...options })
  afterAll(() => server.close())
  return server
}

/** A host application with the plugin in it. */
async function hostWith(options: Partial<TokenServerOptions> & { prefix?: string }): Promise<FastifyInstance> {
  const host = Fastify()
  await host.register(tokenServer, { database, dialects: [webapi], passwords: cheapPasswords, ...options })
  afterAll(() => host.close())
  return host
}

async function readMetadata(server: FastifyInstance, prefix = '', said = {}): Promise<Metadata> {
  return (await server.inject({ url: prefix + path, headers: said })).json()
}

type Proof = { headers: Record<string, string>; fields: Record<string, string> }

/** The ways in which a client authenticates, by the names of RFC 7591 §2. */
const proofs: Record<string, Proof> = {
  client_secret_basic: { headers: basic(client.id, client.secret), fields: {} },
  client_secret_post: { headers: {}, fields: { client_id: client.id, client_secret: client.secret } },
  none: { headers: {}, fields: { client_id: publicClient.id } },
}

/** A form sent to an endpoint as the document names it. */
async function post(url: string, fields: Record<string, string>, method: string): Promise<Response> {
  const proof = proofs[method] ?? { headers: {}, fields: {} }
  const body = new URLSearchParams({ ...fields, ...proof.fields })
  return fetch(url, { method: 'POST', headers: proof.headers, body })
}

async function signIn({ token_endpoint: url }: Metadata, method: string): Promise<string> {
  const fields = { grant_type: 'password', username: user.name, password: user.password }
  const response = await post(url, fields, method)
  expect(response.status, method).toBe(200)
  return keepSecret(((await response.json()) as { access_token: string }).access_token)
}

describe('RFC 8414 §3: the document', () => {
  test('is public JSON at its well-known address', async () => {
    const response = await fetch(origin + path)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/)
    expect(await response.json()).toEqual(expect.objectContaining({ issuer: origin }))
  })

  test('answers HEAD like GET, and no POST', async () => {
    expect((await app.inject({ method: 'HEAD', url: path })).statusCode).toBe(200)
    expect((await app.inject({ method: 'POST', url: path })).statusCode).toBe(404)
  })

  test('describes this server without an extra field', async () => {
    const document = await readMetadata(await serverWith({ publicUrl }))
    expect(document).toEqual({
      issuer: publicUrl,
      token_endpoint: `${publicUrl}/Token`,
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      grant_types_supported: ['password'],
      response_types_supported: [],
      introspection_endpoint: `${publicUrl}/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      revocation_endpoint: `${publicUrl}/revoke`,
      revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'none'],
      userinfo_endpoint: `${publicUrl}/userinfo`,
    })
  })
})

describe('RFC 8414 §2: the issuer', () => {
  test.each(['https://tokens.example.com', 'https://tokens.example.com:8443', 'http://127.0.0.1:3000'])(
    'is exactly publicUrl, and every endpoint begins with it: %s',
    async (url) => {
      const document = await readMetadata(await serverWith({ publicUrl: url, docs: true }))
      expect(document.issuer).toBe(url)
      for (const endpoint of endpointsOf(document)) expect(endpoint.startsWith(`${url}/`), endpoint).toBe(true)
    },
  )

  test('is the listening address by default', async () => {
    const document = (await (await fetch(origin + path)).json()) as Metadata
    expect(document.issuer).toBe(origin)
    for (const endpoint of endpointsOf(document)) expect(endpoint.startsWith(`${origin}/`), endpoint).toBe(true)
  })

  test('has neither query nor fragment, nor a slash at its end', async () => {
    const { issuer } = await readMetadata(app)
    expect(issuer).toBe(new URL(issuer).origin)
  })

  const foreign = {
    Host: 'evil.example.com',
    'X-Forwarded-Host': 'evil.example.com',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Port': '444',
    'X-Forwarded-Prefix': '/evil',
    Forwarded: 'host=evil.example.com;proto=https',
    'X-Original-Host': 'evil.example.com',
  }

  test('ignores the Host header, even through a trusted proxy', async () => {
    const believing = { trustProxy: ['127.0.0.1'] }
    for (const server of [app, await serverWith(believing), await serverWith({ ...believing, publicUrl })]) {
      const plain = await readMetadata(server)
      expect(await readMetadata(server, '', foreign)).toEqual(plain)
    }
  })

  test('ignores the Host header over a socket', async () => {
    const lines = Object.entries({ ...foreign, Connection: 'close' }).map(([name, value]) => `${name}: ${value}`)
    for (const target of [path, `http://evil.example.com${path}`]) {
      const answer = await sendBytes(origin, `GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      expect(answer).not.toContain('evil')
      if (answer.startsWith('HTTP/1.1 200')) expect(answer).toContain(`"issuer":"${origin}"`)
      else expect(target, 'only the absolute form may be refused').not.toBe(path)
    }
  })
})

function endpointsOf(document: Metadata): string[] {
  const named = Object.entries(document).filter(([name]) => /_endpoint$|^service_documentation$/.test(name))
  return named.map(([, url]) => String(url))
}

describe('RFC 8414 §2: the description of the endpoints', async () => {
  const document = await readMetadata(app)

  test.each(document.token_endpoint_auth_methods_supported)(
    'token_endpoint takes %s, with the grant of grant_types_supported',
    async (method) => {
      expect(document.grant_types_supported).toEqual(['password'])
      expect(await signIn(document, method)).toMatch(/^[\w-]{72}$/)
    },
  )

  test.each(document.introspection_endpoint_auth_methods_supported)(
    'introspection_endpoint takes %s',
    async (method) => {
      const token = await signIn(document, 'none')
      const response = await post(document.introspection_endpoint, { token }, method)
      expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ active: true })])
    },
  )

  test('introspection_endpoint neither takes nor lists none', async () => {
    expect(document.introspection_endpoint_auth_methods_supported).not.toContain('none')
    const token = await signIn(document, 'none')
    const response = await post(document.introspection_endpoint, { token }, 'none')
    expect([response.status, await response.json()]).toEqual([
      401,
      expect.objectContaining({ error: 'invalid_client' }),
    ])
  })

  test.each(document.revocation_endpoint_auth_methods_supported)('revocation_endpoint takes %s', async (method) => {
    const token = await signIn(document, method)
    const response = await post(document.revocation_endpoint, { token }, method)
    expect([response.status, await response.text()]).toEqual([200, ''])
    const whose = await fetch(document.userinfo_endpoint, { headers: bearer(token) })
    expect(whose.status).toBe(401)
  })

  test('userinfo_endpoint returns the user of a token', async () => {
    const token = await signIn(document, 'client_secret_basic')
    const whose = await fetch(document.userinfo_endpoint, { headers: bearer(token) })
    expect([whose.status, await whose.json()]).toEqual([200, expect.objectContaining({ userId: user.id })])
  })

  test('no other grant and no response type is listed', async () => {
    expect(document.response_types_supported).toEqual([])
    for (const grant of ['authorization_code', 'client_credentials', 'refresh_token', 'implicit']) {
      const response = await post(document.token_endpoint, { grant_type: grant }, 'client_secret_basic')
      expect(await response.json()).toMatchObject({ error: 'unsupported_grant_type' })
    }
    expect((await fetch(`${origin}/authorize`)).status).toBe(404)
  })
})

describe('RFC 8414 §2: the document follows what is mounted', () => {
  test('token_endpoint has the configured path of the dialect, and works', async () => {
    const server = await serverWith({ dialects: [{ ...webapi, path: '/oauth2/Sign-In' }] })
    const at = await listen(server)
    const document = await readMetadata(server)
    expect(document.token_endpoint).toBe(`${at}/oauth2/Sign-In`)
    expect(await signIn(document, 'client_secret_post')).toBeTruthy()
    expect((await fetch(`${at}/Token`, { method: 'POST' })).status).toBe(404)
  })

  test('service_documentation leads to the page where it is served', async () => {
    const server = await serverWith({ docs: true })
    const at = await listen(server)
    const { service_documentation: page = '' } = await readMetadata(server)
    expect(page).toBe(`${at}/docs`)
    const response = await fetch(page)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')])
  })

  test('service_documentation is absent without the page', async () => {
    expect(await readMetadata(await serverWith({ docs: false }))).not.toHaveProperty('service_documentation')
    expect((await app.inject('/docs')).statusCode).toBe(404)
  })

  test('every endpoint has the prefix of the host, and works', async () => {
    const host = await hostWith({ prefix: '/auth' })
    const at = await listen(host)
    const document = await readMetadata(host, '/auth')
    expect(document.issuer).toBe(at)
    expect(endpointsOf(document)).toEqual(
      ['Token', 'introspect', 'revoke', 'userinfo'].map((end) => `${at}/auth/${end}`),
    )
    const token = await signIn(document, 'client_secret_basic')
    expect((await fetch(document.userinfo_endpoint, { headers: bearer(token) })).status).toBe(200)
    const found = await post(document.introspection_endpoint, { token }, 'client_secret_basic')
    expect(await found.json()).toMatchObject({ active: true })
    expect((await post(document.revocation_endpoint, { token }, 'client_secret_basic')).status).toBe(200)
    expect((await fetch(document.userinfo_endpoint, { headers: bearer(token) })).status).toBe(401)
  })

  test.each(['/auth/', 'auth'])('the prefix %j is written like the paths it makes', async (prefix) => {
    const document = await readMetadata(await hostWith({ prefix, publicUrl }), '/auth')
    expect(document.token_endpoint).toBe(`${publicUrl}/auth/Token`)
  })

  test('a prefix follows publicUrl, too', async () => {
    const document = await readMetadata(await hostWith({ prefix: '/auth', publicUrl }), '/auth')
    expect(document.issuer).toBe(publicUrl)
    expect(document.token_endpoint).toBe(`${publicUrl}/auth/Token`)
  })

  test('a page of the host is named where the host configures it', async () => {
    const document = await readMetadata(await hostWith({ publicUrl, documentationPath: '/help' }))
    expect(document.service_documentation).toBe(`${publicUrl}/help`)
    expect(await readMetadata(await hostWith({ publicUrl }))).not.toHaveProperty('service_documentation')
  })

  test('without a dialect there is no token endpoint and no grant', async () => {
    const document = await readMetadata(await hostWith({ publicUrl, dialects: [] }))
    expect(document).not.toHaveProperty('token_endpoint')
    expect(document).not.toHaveProperty('token_endpoint_auth_methods_supported')
    expect(document.grant_types_supported).toEqual([])
  })
})
