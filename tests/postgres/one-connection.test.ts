import { createHmac } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../src/database/postgres.ts'
import { dialects } from '../../src/dialects/index.ts'
import { createServer } from '../../src/server.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret, leakedLines, logLines } from '../support/kept-secrets.ts'
import { addClient, addDevice, addUser } from '../support/people.ts'
import { askForToken, basic, bearer } from '../support/requests.ts'
import { plainOptions } from '../support/test-server.ts'

/** One for sign-ins, one for checks: a request that held one and waited for another would wait forever. */
const connections = 1
const atOnce = 5

describe('a server with one connection per lane', async () => {
  const { database: made, url } = await freshDatabase()
  await made.close()
  const database = await openDatabase(url, { connections })
  const { encryptionKey } = plainOptions
  if (!encryptionKey) throw new Error('devices need a key')
  const app = await createServer(database, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    dialects: Object.values(dialects),
  })
  afterAll(async () => {
    await app.close()
    await database.close()
    expect(leakedLines(), 'log lines with a secret in them').toEqual([])
  })
  const client = await addClient(database)
  const authorized = basic(client.id, client.secret)
  const typed = { 'content-type': 'application/x-www-form-urlencoded' }
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

  const addHolder = async () => {
    const user = await addUser(database)
    return { user, value: (await askForToken(app, { client, user })).json().access_token as string }
  }
  const signedBy = async () => {
    const { deviceKey, customerKey } = await addDevice(database, encryptionKey)
    const timestamp = Math.floor(Date.now() / 1000)
    const signature = createHmac('sha256', customerKey).update(`${timestamp}${deviceKey}`).digest('hex')
    return { device_key: deviceKey, timestamp, device_signature: keepSecret(signature) }
  }

  test.each<[string, () => Promise<InjectOptions>]>([
    [
      'sign-ins at /Token',
      async () => {
        const { user } = await addHolder()
        const body = form({ grant_type: 'password', username: user.name, password: user.password })
        return { method: 'POST', url: '/Token', headers: { ...typed, ...authorized }, body }
      },
    ],
    [
      'sign-ins at /v2/token',
      async () => {
        const { user } = await addHolder()
        const body = form({ grant_type: 'password', username: user.name, password: user.password })
        return { method: 'POST', url: '/v2/token', headers: typed, body }
      },
    ],
    [
      'sign-ins at /v1/oauth/',
      async () => {
        const { user } = await addHolder()
        const body = form({ username: user.name, password: user.password })
        return { method: 'POST', url: '/v1/oauth/', headers: typed, body }
      },
    ],
    [
      'sign-ins of devices',
      async () => ({
        method: 'POST',
        url: '/auth/login',
        headers: { 'content-type': 'application/json' },
        body: await signedBy(),
      }),
    ],
    ['checks', async () => ({ url: '/userinfo', headers: bearer((await addHolder()).value) })],
    [
      'introspections',
      async () => {
        const body = form({ token: (await addHolder()).value })
        return { method: 'POST', url: '/introspect', headers: { ...typed, ...authorized }, body }
      },
    ],
    [
      'revocations',
      async () => {
        const body = form({ token: (await addHolder()).value })
        return { method: 'POST', url: '/revoke', headers: { ...typed, ...authorized }, body }
      },
    ],
    ['lists of seats', async () => ({ url: '/seats', headers: bearer((await addHolder()).value) })],
    ['key sets', async () => ({ url: '/.well-known/jwks.json' })],
    ['health checks', async () => ({ url: '/health/ready' })],
  ])('answers parallel requests: %s', async (_, prepare) => {
    const requests: InjectOptions[] = []
    while (requests.length < atOnce) requests.push(await prepare())
    const answers = await Promise.all(requests.map((request) => app.inject(request)))
    for (const { statusCode, body } of answers) {
      for (const [value] of body.matchAll(/[A-Za-z0-9_.-]{72,}/g)) keepSecret(value)
      expect({ statusCode, body }).toEqual({ statusCode: 200, body })
    }
  })
})
