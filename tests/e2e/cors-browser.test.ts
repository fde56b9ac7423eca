// Any PostgreSQL: a browser asks over HTTP
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lacksBrowser, openBrowser } from '../support/browser.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser } from '../support/people.ts'
import { basic, bearer, passwordForm } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

describe.skipIf(lacksBrowser('tests/e2e/cors-browser.test.ts'))('CORS_ORIGINS in a browser', async () => {
  const pages = { listed: await servePage(), other: await servePage() }
  const { app, database } = await testServer({ corsOrigins: [pages.listed.origin] })
  const origin = await listen(app)
  const arrived = notePreflights(app)
  const client = await addClient(database)
  const user = await addUser(database)
  const proof = basic(client.id, client.secret)
  let browser: Browser
  let listed: Page
  let other: Page

  beforeAll(async () => {
    browser = await openBrowser()
    listed = await browser.newPage()
    await listed.goto(pages.listed.origin)
    other = await browser.newPage()
    await other.goto(pages.other.origin)
  })
  afterEach(() => void arrived.splice(0))
  afterAll(async () => {
    await browser?.close()
    for (const { server } of Object.values(pages)) server.close()
  })

  const post = (path: string, fields: Record<string, string>, headers: Record<string, string> = proof): Asked => ({
    url: `${origin}${path}`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  })
  const signIn = Object.fromEntries(new URLSearchParams(passwordForm(user)))

  test('a listed page signs a user in, reads /userinfo and signs the user out, each after a preflight', async () => {
    const given = await callFrom(listed, post('/Token', signIn))
    expect(given).toMatchObject({ status: 200, body: { userName: user.name, token_type: 'bearer' } })
    const token = keepSecret(given.body?.['access_token'] ?? '')
    const whose = { url: `${origin}/userinfo`, headers: bearer(token) }
    expect(await callFrom(listed, whose)).toMatchObject({ status: 200, body: { userName: user.name } })
    expect(await callFrom(listed, post('/revoke', { token }))).toMatchObject({ status: 200, body: null })
    expect(await callFrom(listed, whose)).toMatchObject({ status: 401, body: { error: 'invalid_token' } })
    expect(arrived).toEqual(['/Token', '/userinfo', '/revoke']) // the second /userinfo was allowed already
  })

  test('a listed page can read refusals and their advice', async () => {
    const wrong = await callFrom(listed, post('/token', { ...signIn, password: 'wrong' }))
    expect(wrong).toMatchObject({ status: 400, body: { error: 'invalid_grant' }, challenge: null })
    const nobody = await callFrom(listed, post('/Token', signIn, basic('nobody', 'x')))
    expect(nobody).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
    expect(nobody.challenge).toMatch(/^Basic realm=/)
    const unknown = await callFrom(listed, { url: `${origin}/userinfo`, headers: bearer('x') })
    expect(unknown.challenge).toMatch(/^Bearer realm=.* error="invalid_token"/)
    const foreign = await callFrom(listed, post('/revoke', { token: 'x' }, basic('nobody', 'x')))
    expect(foreign).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
  })

  test('a request with the client in the form works without a preflight', async () => {
    const fields = { ...signIn, client_id: client.id, client_secret: client.secret }
    const given = await callFrom(listed, post('/Token', fields, {}))
    expect(given.status).toBe(200)
    keepSecret(given.body?.['access_token'] ?? '')
    expect(arrived).toEqual([])
  })

  test('an unlisted page learns nothing', async () => {
    for (const asked of [
      post('/Token', signIn),
      post('/Token', { ...signIn, password: 'wrong', client_id: client.id }, {}),
      { url: `${origin}/userinfo`, headers: bearer('x') },
      { url: `${origin}/userinfo` },
      post('/revoke', { token: 'x' }),
    ]) {
      expect(await callFrom(other, asked)).toEqual({ blocked: true })
    }
  })

  test('/introspect answers no page, listed or not', async () => {
    for (const page of [listed, other]) {
      expect(await callFrom(page, post('/introspect', { token: 'x' }))).toEqual({ blocked: true })
      expect(await callFrom(page, post('/introspect', { token: 'x' }, {}))).toEqual({ blocked: true })
    }
  })

  test('a page cannot send its cookies along', async () => {
    expect(await callFrom(listed, { url: `${origin}/userinfo`, credentials: 'include' })).toEqual({ blocked: true })
  })

  test('without CORS_ORIGINS every page is blocked', async () => {
    const closed = await testServer()
    const url = `${await listen(closed.app)}/userinfo`
    const preflights = notePreflights(closed.app)
    expect(await callFrom(listed, { url, headers: bearer('x') })).toEqual({ blocked: true })
    expect(await callFrom(listed, { url })).toEqual({ blocked: true })
    expect(preflights).toEqual(['/userinfo'])
  })
})

interface Asked {
  readonly url: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly credentials?: 'include'
}

/** What a page could read of an answer; `blocked` alone when the browser kept it from the page. */
interface Read {
  readonly blocked?: true
  readonly status?: number
  readonly body?: Record<string, string> | null
  readonly challenge?: string | null
}

/** `fetch`, called by a page. */
async function callFrom(page: Page, { url, ...init }: Asked): Promise<Read> {
  const call = async (asked: { url: string; init: RequestInit }): Promise<Read> => {
    const response = await fetch(asked.url, asked.init).catch(() => null)
    if (response === null) return { blocked: true }
    const text = await response.text()
    const challenge = response.headers.get('www-authenticate')
    return { status: response.status, body: text === '' ? null : JSON.parse(text), challenge }
  }
  return page.evaluate(call, { url, init })
}

/** An empty page of an origin of its own. */
async function servePage(): Promise<{ server: Server; origin: string }> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><link rel="icon" href="data:,">')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  return { server, origin: `http://127.0.0.1:${port}` }
}

/** The paths of the preflights that arrive from now on. */
function notePreflights(app: FastifyInstance): string[] {
  const paths: string[] = []
  app.server.on('request', ({ method, url = '' }) => {
    if (method === 'OPTIONS') paths.push(url)
  })
  return paths
}
