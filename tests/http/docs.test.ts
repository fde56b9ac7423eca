import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { webapi } from '../../src/dialects/webapi.ts'
import { docsRoute } from '../../src/http/docs-route.ts'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const document = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8'))
const served = ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/swagger-ui.css']

describe('DOCS=off', async () => {
  const { app } = await testServer()
  const loaded = Object.keys(createRequire(import.meta.url).cache) // by now, before a server with the page is made

  test('there is no page, and nothing of it', async () => {
    for (const url of served) {
      const response = await app.inject(url)
      expect([response.statusCode, response.json().error]).toEqual([404, 'not_found'])
    }
  })

  test('the metadata names no page', async () => {
    const metadata = (await app.inject('/.well-known/oauth-authorization-server')).json()
    expect(metadata.service_documentation).toBeUndefined()
  })

  test('and its packages are not even loaded', () => {
    expect(loaded.some((path) => path.includes('@fastify/formbody'))).toBe(true)
    expect(loaded.filter((path) => /@fastify\/(swagger|static)/.test(path))).toEqual([])
  })
})

describe('DOCS=on', async () => {
  const { app, database } = await testServer({ docs: true })

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

  test('what is kept is asked for again, and sent again only when it changed', async () => {
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

  test('it shows openapi.yaml, but for the forms, which begin empty', async () => {
    const shown = (await app.inject('/docs/json')).json()
    const { TokenRequest, TokenToName } = shown.components.schemas
    const defaults = (schema: typeof TokenRequest) => Object.values<{ default: string }>(schema.properties)
    expect(defaults(TokenRequest).map((field) => field.default)).toEqual(['password', '', '', '', ''])
    for (const field of [...defaults(TokenRequest), ...defaults(TokenToName)])
      delete (field as Partial<typeof field>).default
    expect(shown).toEqual(document)
  })

  test('no operation has parameters: the page leaves out where they would stand', () => {
    const operations = Object.values<Record<string, object>>(document.paths).flatMap((item) => [
      item,
      ...Object.values(item),
    ])
    expect(operations.filter((operation) => 'parameters' in Object(operation))).toEqual([])
  })

  test('no file but its own is served', async () => {
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

  test('the token server’s routes do not notice', async () => {
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
})

test('where the token endpoint is elsewhere, the page says so', async () => {
  const app = Fastify()
  await app.register(docsRoute, { dialects: [{ ...webapi, path: '/oauth/sign-in' }] })
  const shown = (await app.inject('/docs/json')).json()
  expect(Object.keys(shown.paths).slice(0, 2)).toEqual(['/oauth/sign-in', '/userinfo'])
  expect(shown.components.securitySchemes.passwordGrant.flows.password.tokenUrl).toBe('/oauth/sign-in')
  expect(shown.paths['/oauth/sign-in']).toEqual(document.paths['/Token'])
  await app.close()
})

test('a page of a server whose token endpoint is elsewhere signs in there', async () => {
  const moved = await testServer({ docs: true, dialects: [{ ...webapi, path: '/login' }] })
  const document = (await moved.app.inject('/docs/json')).json()
  expect(document.components.securitySchemes.passwordGrant.flows.password.tokenUrl).toBe('/login')
  expect(Object.keys(document.paths)).toContain('/login')
})
