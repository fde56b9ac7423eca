// A page of another origin, open in its visitor's browser, must not spend the visitor's attempts.
import { createHmac } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { describe, expect, test } from 'vitest'
import { dialects } from '../../src/dialects/index.ts'
import { generateBytes } from '../../src/secrets.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addDevice, addUser, randomWord } from '../support/people.ts'
import { basic, passwordForm } from '../support/requests.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const listed = 'https://app.example.com'
const encryptionKey = generateBytes(32)
const options = { dialects: Object.values(dialects), encryptionKey, corsOrigins: [listed] }
const { app, database, url } = await testServer(options)
const client = await addClient(database)

const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** One request to each endpoint that counts attempts, with wrong credentials for its user, device or client. */
async function addTargets() {
  const user = await addUser(database)
  const chosen = await addClient(database, { secret: { chosen: keepSecret(`chosen ${randomWord()}`) } })
  const device = await addDevice(database, encryptionKey)
  const wrong = { name: user.name, password: keepSecret(randomWord()) }
  const envelope = (password: string) => new URLSearchParams({ username: user.name, password }).toString()
  const sign = (key: string) => {
    const timestamp = Math.floor(Date.now() / 1_000)
    const signature = createHmac('sha256', key).update(`${timestamp}${device.deviceKey}`).digest('hex')
    return JSON.stringify({ device_key: device.deviceKey, timestamp, device_signature: signature })
  }
  const json = { 'content-type': 'application/json' }
  const own = { ...form, ...basic(client.id, client.secret) }
  const asChosen = (secret: string) => ({ ...form, ...basic(chosen.id, secret) })
  return [
    ['/Token', { ...own }, passwordForm(wrong), { ...own }, passwordForm(user)],
    ['/v2/token', form, passwordForm(wrong), form, passwordForm(user)],
    ['/v1/oauth/', form, envelope(wrong.password), form, envelope(user.password)],
    ['/auth/login', json, sign('wrong'), json, sign(device.customerKey)],
    ['/introspect', asChosen(randomWord()), 'token=x', asChosen(chosen.secret), 'token=x'],
    ['/revoke', asChosen(randomWord()), 'token=x', asChosen(chosen.secret), 'token=x'],
  ] as const
}

const paths = ['/Token', '/v2/token', '/v1/oauth/', '/auth/login', '/introspect', '/revoke']

async function send(path: string, headers: Record<string, string>, body: string, target: FastifyInstance = app) {
  const response = await target.inject({ method: 'POST', url: path, headers, body })
  if (response.statusCode === 200 && response.body !== '') {
    const told = response.json()
    keepSecret(told.access_token ?? told.data?.access_token ?? told.token ?? '')
  }
  return response
}

const crossSite: [string, Record<string, string>][] = [
  ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
  ['Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site', origin: 'https://other.localhost' }],
  ['an Origin that is not listed', { origin: 'https://evil.example.com' }],
  ['an Origin that begins like a listed one', { origin: `${listed}.evil.example.com` }],
  ['the Origin null of a sandboxed page', { origin: 'null' }],
  ['the Origin of another port', { origin: 'http://localhost:81' }],
]

describe.each(crossSite)('a request with %s', (_what, marks) => {
  test.each(paths)('is refused with 403 at %s and uses up no attempt', async (path) => {
    const target = (await addTargets()).find(([one]) => one === path)
    if (!target) throw new Error(`no target at ${path}`)
    const [, headers, wrong, rightHeaders, right] = target
    for (let turn = 0; turn < 11; turn += 1) {
      const response = await send(path, { ...headers, ...marks }, wrong)
      expect(response.statusCode).toBe(403)
      expect(response.headers['cache-control']).toBe('no-store')
      expect(response.headers).not.toHaveProperty('access-control-allow-origin')
      if (path === '/v1/oauth/') expect(response.json().errors.code).toBe('2400')
      else expect(response.json().error).toBe('invalid_request')
    }
    expect((await send(path, { ...rightHeaders }, right)).statusCode).toBe(200)
  })
})

describe('a request is let through', () => {
  const own: [string, Record<string, string>][] = [
    ['of a program, which sends neither header', {}],
    ['of a listed origin', { origin: listed }],
    ['of a listed origin, marked as cross-site', { origin: listed, 'sec-fetch-site': 'cross-site' }],
    ['of the server’s own page', { origin: 'http://localhost:80', 'sec-fetch-site': 'same-origin' }],
    ['of the server’s own page, in a browser without Sec-Fetch-Site', { origin: 'http://localhost:80' }],
    ['of the address bar', { 'sec-fetch-site': 'none' }],
  ]
  test.each(own)('%s', async (_what, marks) => {
    for (const [path, , , headers, right] of await addTargets()) {
      expect((await send(path, { ...headers, ...marks }, right)).statusCode, path).toBe(200)
    }
  })

  test('from PUBLIC_URL, under any Host header of the proxy', async () => {
    const publicUrl = 'https://tokens.example.com'
    const target = await serverBeside(url, { ...options, publicUrl })
    for (const [path, , , headers, right] of await addTargets()) {
      const marks = { origin: publicUrl, host: 'internal:3000' }
      expect((await send(path, { ...headers, ...marks }, right, target)).statusCode, path).toBe(200)
    }
  })
})

test('another method gets 405 from every origin', async () => {
  for (const path of paths) {
    const response = await app.inject({ method: 'PUT', url: path, headers: { origin: 'https://evil.example.com' } })
    expect(response.statusCode, path).toBe(405)
  }
})
