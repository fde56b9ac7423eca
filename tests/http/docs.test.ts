import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { dialects } from '../../src/dialects/index.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const document: Shown = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'))
const served = ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/swagger-ui.css']

describe('DOCS=off', async () => {
  const { app } = await testServer()

  test('serves no page and none of its files', async () => {
    for (const url of served) {
      const response = await app.inject(url)
      expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
    }
  })

  test('the metadata names no page', async () => {
    const metadata = (await app.inject('/.well-known/oauth-authorization-server')).json()
    expect(metadata.service_documentation).toBeUndefined()
  })
})

describe('DOCS=on', async () => {
  const { app, database } = await testServer({ docs: true, dialects: Object.values(dialects) })

  test.each(served)('%s has every protective header', async (url) => {
    const { statusCode, headers } = await app.inject(url)
    expect(statusCode).toBe(200)
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
  })

  test('cached files are revalidated and sent again only after a change', async () => {
    const url = '/docs/static/swagger-ui-bundle.js'
    const { headers } = await app.inject(url)
    const again = await app.inject({ url, headers: { 'if-none-match': String(headers.etag) } })
    expect([again.statusCode, again.body]).toEqual([304, ''])
  })

  test('the page names itself, has its own icon, and nothing inline', async () => {
    const { body, headers } = await app.inject('/docs')
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(body).toContain('<title>fastify-password-grant</title>')
    expect(body).toMatch(/<link rel="icon" type="image\/svg\+xml" href="\/docs\/static\/theme\/icon.svg"/)
    expect(body).not.toMatch(/<script(?![^>]* src=)|<style| style=| on[a-z]+=/)
    expect((await app.inject('/docs/static/theme/icon.svg')).headers['content-type']).toBe('image/svg+xml')
  })

  test('the page shows openapi.yaml with empty forms', async () => {
    const shown: Shown = (await app.inject('/docs/json')).json()
    const forms = ['TokenRequest', 'SessionRequest', 'EnvelopeRequest', 'TokenToName']
    const fields = forms.flatMap((name) => Object.entries(shown.components.schemas[name]?.properties ?? {}))
    for (const [name, field] of fields) {
      expect([name, field.default]).toEqual([name, name === 'grant_type' ? 'password' : ''])
      delete field.default
    }
    expect(fields.length).toBeGreaterThan(14)
    expect(shown).toEqual(document)
  })

  test('each value left out of a query has a field in the form', () => {
    for (const { parameters = [], requestBody } of operations(document)) {
      const { schema } = requestBody?.content['application/x-www-form-urlencoded'] ?? {}
      const fields = Object.keys(document.components.schemas[schema?.$ref.split('/').at(-1) ?? '']?.properties ?? {})
      const left = parameters.filter((parameter) => parameter.in !== 'path').map(({ name }) => name)
      expect(fields).toEqual(expect.arrayContaining(left))
    }
  })

  test('no other file is served', async () => {
    for (const path of [
      'package.json',
      'openapi.yaml',
      'static/../../package.json',
      'static/%2e%2e/package.json',
      'x',
    ]) {
      const response = await app.inject(`/docs/${path}`)
      expect([path, response.statusCode]).toEqual([
        path,
        expect.toSatisfy((status) => status === 404 || status === 403),
      ])
      expect(response.json().error, path).toBeDefined()
    }
  })

  test('the token server’s routes stay unchanged', async () => {
    const asked = { client: await addClient(database), user: await addUser(database) }
    const token = await askForToken(app, asked)
    const whose = await askWhose(app, token.json().access_token)
    for (const response of [token, whose, await app.inject('/health/live'), await app.inject('/openapi.yaml')]) {
      expect(response.statusCode).toBe(200)
      expect(response.headers).not.toHaveProperty('content-security-policy')
      expect(response.headers).not.toHaveProperty('referrer-policy')
    }
    expect([app.hasDecorator('swagger'), app.hasDecorator('swaggerCSP')]).toEqual([false, false])
    expect(app.hasReplyDecorator('sendFile')).toBe(false)
  })

  test('the metadata names the page', async () => {
    const metadata = (await app.inject('/.well-known/oauth-authorization-server')).json()
    expect(new URL(metadata.service_documentation).pathname).toBe('/docs')
  })

  test('redirects only within the page, the only redirect of the server', async () => {
    const { statusCode, headers } = await app.inject('/docs/static/index.html')
    expect([statusCode, headers.location]).toEqual([302, '/docs/'])
    const other = await app.inject('/docs/static/index.html?next=https://evil.example.com')
    expect(String(other.headers.location ?? '')).not.toMatch(/^(https?:)?\/\//)
  })
})

describe('with a dialect at another path', async () => {
  const moved = Object.values(dialects).map((dialect) => ({ ...dialect, path: `/old-system/${dialect.name}` }))
  const { app } = await testServer({ docs: true, dialects: moved })
  const shown: Shown = (await app.inject('/docs/json')).json()

  test.each(moved)('$name is shown at that path', ({ name, path }) => {
    const written = dialects[name as keyof typeof dialects].path
    expect(shown.paths[path]).toEqual(document.paths[written])
    expect(shown.paths).not.toHaveProperty(written)
  })

  test('everything else stays in order', () => {
    const places = new Map(moved.map(({ name, path }) => [dialects[name as keyof typeof dialects].path, path]))
    expect(Object.keys(shown.paths)).toEqual(Object.keys(document.paths).map((path) => places.get(path) ?? path))
  })

  test('the page signs in at that path', () => {
    expect(shown.components.securitySchemes['passwordGrant']?.flows?.password.tokenUrl).toBe('/old-system/webapi')
  })
})

describe.each(Object.values(dialects))('where only $name is switched on', async (dialect) => {
  const { app } = await testServer({ docs: true, dialects: [dialect] })
  const shown: Shown = (await app.inject('/docs/json')).json()

  test('an operation of another dialect is marked and cannot be tried', () => {
    for (const [path, item] of Object.entries(shown.paths)) {
      const isOff = item['x-dialect'] !== undefined && item['x-dialect'] !== dialect.name
      for (const operation of operations({ paths: { [path]: item } })) {
        expect([path, operation.summary.startsWith('(not switched on here) ')]).toEqual([path, isOff])
        if (isOff) expect(operation['x-try-it-out']).toBe(false)
      }
    }
    expect(Object.keys(shown.paths)).toEqual(Object.keys(document.paths))
  })

  test('no unused authentication scheme is offered', () => {
    const own = Object.entries(document.components.securitySchemes)
      .filter(([, scheme]) => [undefined, dialect.name].includes(scheme['x-dialect']))
      .map(([name]) => name)
    expect(Object.keys(shown.components.securitySchemes)).toEqual(own)
    const named = operations(shown).flatMap(({ security }) => security.flatMap((accepted) => Object.keys(accepted)))
    expect([...new Set(named)].sort()).toEqual(own.sort())
  })
})

test('a path taken by another dialect is shown as that dialect’s', async () => {
  const { app } = await testServer({ docs: true, dialects: [{ ...dialects.webapi, path: '/V1/OAuth' }] })
  const shown: Shown = (await app.inject('/docs/json')).json()
  expect(shown.paths['/V1/OAuth']).toEqual(document.paths['/Token'])
  expect(shown.paths).not.toHaveProperty('/v1/oauth/')
})

interface Shown {
  readonly paths: Record<string, PathItem>
  readonly components: {
    readonly schemas: Record<string, { readonly properties?: Record<string, { default?: string }> }>
    readonly securitySchemes: Record<
      string,
      { readonly 'x-dialect'?: string; readonly flows?: { readonly password: { readonly tokenUrl: string } } }
    >
  }
}
type PathItem = { readonly 'x-dialect'?: string } & Partial<Record<'get' | 'post' | 'delete', Operation>>
interface Operation {
  readonly summary: string
  readonly 'x-try-it-out'?: boolean
  readonly security: readonly object[]
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: { readonly $ref: string } }> }
}

function operations({ paths }: Pick<Shown, 'paths'>): Operation[] {
  const all = Object.values(paths).flatMap(({ get, post, delete: remove }) => [get, post, remove])
  return all.filter((operation) => operation !== undefined)
}
