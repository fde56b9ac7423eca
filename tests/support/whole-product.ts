import { createHmac } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { expect } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { dialects } from '../../src/dialects/index.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { createServer } from '../../src/server.ts'
import { logLines } from './kept-secrets.ts'
import { addClient, addDevice, addUser, cheapPasswords, randomWord } from './people.ts'
import { askForToken, askWhose, basic, bearer, sendToken } from './requests.ts'
import { plainOptions } from './test-server.ts'
import { eventually } from './wire.ts'

/**
 * Runs every statement of a server once: all dialects, refusals and waits, a bound on seats, a renewed hash, guards,
 * revocation, listening and purging. `owner` adds the people, `serving` is the server's own connection.
 */
export async function useWholeServer(owner: Database, serving: Database): Promise<void> {
  const encryptionKey = plainOptions.encryptionKey as Buffer
  const app = await createServer(serving, pino({ level: 'trace' }, logLines), {
    ...plainOptions,
    dialects: Object.values(dialects),
    encryptionKey,
    maxSeatsPerUser: 2,
    tokenCacheSeconds: 5,
  })
  try {
    await app.ready()
    await expectListening(serving)
    expect((await app.inject('/health/ready')).json()).toEqual({ status: 'ready' })
    await signInByPassword(app, owner)
    await signInDevice(app, owner, encryptionKey)
    await guessAndWait(app, owner)
  } finally {
    await app.close()
  }
}

async function expectListening(database: Database): Promise<void> {
  let isListening = false
  database.listen({
    onNotice: () => {},
    onListening: (now) => {
      isListening = now
    },
  })
  await eventually(async () => isListening, Boolean)
}

async function signInByPassword(app: FastifyInstance, owner: Database): Promise<void> {
  const client = await addClient(owner)
  const user = await addUser(owner, { passwordHash: await hashDearly('an old password') })
  const asking = { client, user: { name: user.name, password: 'an old password' } }
  const token = (await askForToken(app, asking)).json().access_token
  expect((await askWhose(app, token)).statusCode).toBe(200)
  const credentials = { username: user.name, password: 'an old password' }
  for (const label of ['till-1', 'till-2', 'till-3']) {
    const body = new URLSearchParams({ grant_type: 'password', clientKey: label, ...credentials }).toString()
    expect((await sendToken(app, { url: '/v2/token', body })).statusCode).toBe(200)
  }
  const enveloped = new URLSearchParams({ 'device-info': 'phone', ...credentials }).toString()
  const inEnvelope = await app.inject({
    method: 'POST',
    url: '/v1/oauth/',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: enveloped,
  })
  expect(inEnvelope.json()).toMatchObject({ success: true })
  const latest = (await askForToken(app, asking)).json().access_token
  const seats = (await app.inject({ url: '/seats', headers: bearer(latest) })).json()
  const ended = seats.seats?.find((seat: { current?: boolean }) => !seat.current) ?? seats.seats?.[0]
  await app.inject({ method: 'DELETE', url: `/seats/${ended?.id}`, headers: bearer(latest) })
  const form = { 'content-type': 'application/x-www-form-urlencoded', ...basic(client.id, client.secret) }
  const body = new URLSearchParams({ token: latest }).toString()
  const active = await app.inject({ method: 'POST', url: '/introspect', headers: form, body })
  expect(active.json()).toMatchObject({ active: true, username: user.name })
  expect((await app.inject({ method: 'POST', url: '/revoke', headers: form, body })).statusCode).toBe(200)
  expect((await askWhose(app, latest)).statusCode).toBe(401)
}

/** Dearer than today's, so that a sign-in renews it. */
async function hashDearly(password: string): Promise<string> {
  return (await createPasswords({ ...cheapPasswords, memoryKib: 2048 })).hash(password)
}

async function signInDevice(app: FastifyInstance, owner: Database, encryptionKey: Buffer): Promise<void> {
  const { deviceKey, customerKey } = await addDevice(owner, encryptionKey)
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const signature = createHmac('sha256', customerKey)
    .update(timestamp + deviceKey)
    .digest('hex')
  const answer = await app.inject({
    method: 'POST',
    url: '/auth/login',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ device_key: deviceKey, timestamp, device_signature: signature }),
  })
  expect(answer.statusCode).toBe(200)
  expect((await askWhose(app, answer.json().token)).statusCode).toBe(200)
  expect((await app.inject('/.well-known/jwks.json')).json().keys).not.toEqual([])
}

async function guessAndWait(app: FastifyInstance, owner: Database): Promise<void> {
  const client = await addClient(owner, { secret: { chosen: `short-secret-${randomWord()}`.slice(0, 24) } })
  const user = await addUser(owner)
  const wrong = { client, user: { ...user, password: 'not the password' } }
  expect((await askForToken(app, wrong)).statusCode).toBe(400)
  expect((await askForToken(app, { client, user })).statusCode).toBe(200)
  const statuses = []
  for (let guess = 0; guess < 7; guess += 1) statuses.push((await askForToken(app, wrong)).statusCode)
  expect(statuses).toContain(429)
  const guessing = { client: { ...client, secret: 'another-short-secret' }, user }
  expect((await askForToken(app, guessing)).statusCode).toBe(401)
}
