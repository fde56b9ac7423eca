// What comes before the hash queue, seen while nothing gets through it.
import { createHook } from 'node:async_hooks'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { setClientEnabled } from '../../src/clients/register-client.ts'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { countHashes } from '../support/count-hashes.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { basic, bearer, passwordForm, sendToken } from '../support/requests.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const { app, database, url } = await testServer({ dialects: [webapi, envelope] })
// as slow as a hash must be for everything else here to be answered while it is under way
const passwords = { ...cheapPasswords, memoryKib: 65_536, passes: 12, concurrency: 1, queueLimit: 0 }
const busy = await serverBeside(url, { dialects: [webapi, envelope], passwords })

const short = keepSecret(`short-${randomWord()}`)
const long = () => keepSecret(randomWord().repeat(3))
const client = await addClient(database)
const chosen = await addClient(database, { secret: { chosen: short } })
const user = await addUser(database)
const strange = { id: '', name: `nobody-${randomWord()}`, password: keepSecret(randomWord()) }

const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('while the hash queue is blocked', () => {
  test('a request refused without a hash gets its refusal, and one that needs a hash gets 503', async () => {
    const [slowed, slowedElsewhere] = [await addUser(database), await addUser(database)]
    const headers = basic(client.id, client.secret)
    for (const { name } of [slowed, slowedElsewhere]) {
      await sendToken(app, { headers, body: passwordForm({ name, password: keepSecret(randomWord()) }) })
    }
    const counted = await database.script(
      `update password_grant.failures set count = 9, wait_until = clock_timestamp() + interval '15 minutes' returning key`,
    )
    expect(counted).toHaveLength(2)
    expect((await sendToken(busy, { headers, body: passwordForm(slowed) })).statusCode).toBe(429) // heard of from here on
    await whileHashing(async () => {
      const asked: readonly (readonly [sent: object, status: number, error: string])[] = [
        [{ headers: basic(client.id, long()), body: passwordForm(user) }, 503, 'temporarily_unavailable'],
        [{ headers: basic('nobody', long()), body: passwordForm(user) }, 503, 'temporarily_unavailable'],
        [{ body: passwordForm(user) }, 401, 'invalid_client'],
        [{ headers, body: 'grant_type=password&username=x' }, 400, 'invalid_request'],
        [{ headers, body: 'grant_type=client_credentials' }, 400, 'unsupported_grant_type'],
        [{ headers, body: passwordForm(slowed) }, 429, 'slow_down'],
        [{ headers, body: passwordForm(slowedElsewhere) }, 503, 'temporarily_unavailable'],
        [{ headers, body: passwordForm(user) }, 503, 'temporarily_unavailable'],
        [{ headers, body: passwordForm(strange) }, 503, 'temporarily_unavailable'],
      ]
      const answers = await Promise.all(asked.map(([sent]) => sendToken(busy, sent)))
      expect(answers.map((answer) => [answer.statusCode, answer.json().error])).toEqual(
        asked.map(([, status, error]) => [status, error]),
      )
      for (const { statusCode, headers: told } of answers) {
        const isLater = statusCode === 503 || statusCode === 429
        expect(told['retry-after']).toEqual(isLater ? expect.stringMatching(/^[1-9]\d*$/) : undefined)
      }
    })
  })

  test('a request refused with 503 costs no query for earlier failures', async () => {
    const other = new pg.Client(url)
    await other.connect()
    onTestFinished(() => other.end())
    await whileHashing(async () => {
      await other.query(
        'begin; lock table password_grant.failures, password_grant.guesses, password_grant.known_networks',
      )
      const headers = basic(client.id, client.secret)
      const { statusCode, body } = await sendToken(busy, { headers, body: passwordForm(user) })
      await other.query('rollback')
      expect(statusCode).toBe(503)
      expect(JSON.parse(body).error_description).toBe('Too many sign-ins are waiting. Try again shortly.')
    })
  })

  test('tokens, generated secrets and recently verified chosen secrets are checked as usual', async () => {
    const given = await sendToken(app, { headers: basic(client.id, client.secret), body: passwordForm(user) })
    const token = given.json().access_token
    expect((await introspect(busy, chosen.id, chosen.secret)).statusCode).toBe(200) // from here on it is known
    await whileHashing(async () => {
      const asked = await Promise.all([
        busy.inject({ method: 'GET', url: '/userinfo', headers: bearer(token) }),
        introspect(busy, client.id, client.secret),
        introspect(busy, chosen.id, chosen.secret),
        introspect(busy, client.id, long()),
        introspect(busy, chosen.id, long()),
        introspect(busy, 'nobody', long()),
        introspect(busy, chosen.id, keepSecret(randomWord())),
        introspect(busy, client.id, keepSecret(randomWord())),
        introspect(busy, 'nobody', keepSecret(randomWord())),
        introspect(busy, 'no/body', keepSecret(randomWord())),
      ])
      expect(asked.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 503, 503, 503, 503, 503, 503, 503])
    })
  })
})

test('invented clients with short secrets share the turns of one client', async () => {
  const dear = { ...cheapPasswords, memoryKib: 32_768, passes: 2, concurrency: 1 }
  const slow = await serverBeside(url, { passwords: dear })
  const answered: string[] = []
  const madeUp = Array.from({ length: 8 }, async (_, number) => {
    const { statusCode } = await introspect(slow, `made-up-${number}`, keepSecret(randomWord()))
    answered.push(`made up: ${statusCode}`)
  })
  const { statusCode } = await sendToken(slow, { headers: basic(client.id, client.secret), body: passwordForm(user) })
  expect(statusCode).toBe(200)
  expect(answered.length).toBeLessThanOrEqual(4) // it came last, and half of them came later
  await Promise.all(madeUp)
  expect(answered).toEqual(madeUp.map(() => 'made up: 401'))
})

describe('a client’s secret', async () => {
  const newChosen = async () => addClient(database, { secret: { chosen: keepSecret(`short-${randomWord()}`) } })
  const disabled = await newChosen()
  await setClientEnabled(database.writes, disabled.id, false)
  const publicOne = await addClient(database, { secret: 'public' })

  test('that is short and right costs one hash until it changes', async () => {
    const { id, secret } = await newChosen()
    const asks = async () => expect((await introspect(app, id, secret)).statusCode).toBe(200)
    expect(await countHashes(asks)).toBe(1)
    expect(await countHashes(asks)).toBe(0)
    expect(await countHashes(() => Promise.all([asks(), asks()]))).toBe(0)
    await database.script('update password_grant.clients set secret_hash = $2 where id = $1', [
      id,
      await anotherHash(secret),
    ])
    expect(await countHashes(asks)).toBe(1)
  })

  test.each([
    ['a client with a short secret', chosen.id],
    ['a client with a long secret', client.id],
    ['a disabled client', disabled.id],
    ['a public client', publicOne.id],
    ['a client that is built in', 'envelope'],
    ['nobody', 'nobody'],
    ['an id that no client can have', 'no/body'],
  ])('that is short and wrong costs one hash each time, for %s', async (_whose, id) => {
    const secret = keepSecret(randomWord())
    for (const _ of [1, 2]) {
      const asks = async () => expect((await introspect(app, id, secret)).statusCode).toBe(401)
      expect(await countHashes(asks)).toBe(1)
    }
  })

  test.each([
    ['a client with a short secret', chosen.id],
    ['a client with a long secret', client.id],
    ['nobody', 'nobody'],
  ])('that is long and wrong costs one hash, for %s', async (_whose, id) => {
    const asks = async () => expect((await introspect(app, id, long())).statusCode).toBe(401)
    expect(await countHashes(asks)).toBe(1)
  })

  test('that is generated and right costs no hash', async () => {
    const asks = async () => expect((await introspect(app, client.id, client.secret)).statusCode).toBe(200)
    expect(await countHashes(asks)).toBe(0)
  })
})

function introspect(on: FastifyInstance, id: string, secret: string) {
  const body = new URLSearchParams({ token: 'none' }).toString()
  return on.inject({ method: 'POST', url: '/introspect', headers: { ...form, ...basic(id, secret) }, body })
}

/** The same secret's hash, with another salt. */
async function anotherHash(secret: string): Promise<string> {
  return (await createPasswords(cheapPasswords)).hash(secret)
}

/** Runs `meanwhile` while a hash is under way, and tells whether it was under way all the time. */
async function whileHashing(meanwhile: () => Promise<void>): Promise<void> {
  let isOver = false
  const began = hashBegins()
  const underWay = sendToken(busy, { headers: basic(client.id, client.secret), body: passwordForm(strange) })
  const over = underWay.then(() => {
    isOver = true
  })
  await began
  await meanwhile()
  const wasOver = isOver
  await over
  expect(wasOver, 'the hash was over too soon for this test').toBe(false)
  expect((await underWay).json().error).toBe('invalid_grant')
}

/** Resolves as soon as argon2 is called. */
function hashBegins(): Promise<void> {
  return new Promise((resolve) => {
    const hook = createHook({
      init: (_id, name) => {
        if (name !== 'undefined' && name !== 'argon2:HashWorker') return
        hook.disable()
        setImmediate(resolve)
      },
    }).enable()
  })
}
