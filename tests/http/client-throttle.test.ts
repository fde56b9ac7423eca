// Guesses at a client's secret: slowed down for that client from that network. A generated secret is never slowed down.
import { describe, expect, test } from 'vitest'
import {
  behindProxy,
  expectSlowDown,
  guess,
  guessTimes,
  lengthenWaits,
  newNetwork,
  signInFrom,
  tally,
} from '../support/guesses.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { basic, passwordForm } from '../support/requests.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const { app, database, url } = await testServer(behindProxy)
await lengthenWaits(database)
const user = await addUser(database)

interface Credentials {
  readonly id: string
  readonly secret: string | null
}

const endpoints = ['/Token', '/introspect', '/revoke'] as const

/** Asks an endpoint for something that it has for every client, and tells what it said of this one. */
async function ask(
  { id, secret }: Credentials,
  from: string,
  { place = '/introspect' as (typeof endpoints)[number], way = 'header', target = app } = {},
) {
  const what = place === '/Token' ? passwordForm(user) : 'token=none'
  const own = new URLSearchParams({ client_id: id, ...(secret !== null && { client_secret: secret }) })
  const response = await target.inject({
    method: 'POST',
    url: place,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-forwarded-for': from,
      ...(way === 'header' && basic(id, secret ?? '')),
    },
    body: way === 'header' ? what : `${what}&${own}`,
  })
  if (place === '/Token' && response.statusCode === 200) keepSecret(response.json().access_token)
  return response
}

/** A client with a secret of its own choice. */
const addChosen = () => addClient(database, { secret: { chosen: keepSecret(`chosen ${randomWord()}`) } })

const wrong = ({ id }: { id: string }) => ({ id, secret: keepSecret(randomWord()) })
const long = ({ id }: { id: string }) => ({ id, secret: keepSecret(randomWord() + randomWord() + randomWord()) })

async function tryWrong(times: number, client: { id: string }, from: string): Promise<number[]> {
  const statuses: number[] = []
  for (let turn = 0; turn < times; turn += 1) statuses.push((await ask(wrong(client), from)).statusCode)
  return statuses
}

const fiveRefused = [401, 401, 401, 401, 401]

describe('five wrong secrets of a client from one network', () => {
  test('are refused as wrong, and then no guess is checked for a while', async () => {
    const [client, from] = [await addChosen(), newNetwork()]
    expect(await tryWrong(5, client, from)).toEqual(fiveRefused)
    for (const place of endpoints) {
      expectSlowDown(await ask(wrong(client), from, { place }))
      expectSlowDown(await ask(client, from, { place }))
    }
  })

  test('never delay the generated secret, which is compared first', async () => {
    const [client, from] = [await addClient(database), newNetwork()]
    expect(await tryWrong(6, client, from)).toEqual([...fiveRefused, 429])
    for (const place of endpoints) {
      expect((await ask(client, from, { place })).statusCode).toBe(200)
      expect((await ask(client, from, { place, way: 'fields' })).statusCode).toBe(200)
      expectSlowDown(await ask(wrong(client), from, { place }))
    }
  })

  test('are counted over all endpoints and both ways together', async () => {
    const [client, from] = [await addChosen(), newNetwork()]
    const tried = [
      ['/Token', 'header'],
      ['/Token', 'fields'],
      ['/introspect', 'fields'],
      ['/revoke', 'header'],
      ['/revoke', 'fields'],
    ] as const
    for (const [place, way] of tried) expect((await ask(wrong(client), from, { place, way })).statusCode).toBe(401)
    for (const place of endpoints) {
      for (const way of ['header', 'fields']) expectSlowDown(await ask(client, from, { place, way }))
    }
  })

  test('delay neither another client there nor the same client elsewhere', async () => {
    const [client, from] = [await addClient(database), newNetwork()]
    await tryWrong(6, client, from)
    for (const place of endpoints) {
      expect((await ask(await addClient(database), from, { place })).statusCode).toBe(200)
      expect((await ask(client, newNetwork(), { place })).statusCode).toBe(200)
    }
    expectSlowDown(await ask(wrong(client), from))
  })

  test('are cleared when the right secret comes before the fifth', async () => {
    const [client, from] = [await addChosen(), newNetwork()]
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await tryWrong(4, client, from)).toEqual([401, 401, 401, 401])
      expect((await ask(client, from)).statusCode).toBe(200)
    }
  })

  test.each(['wrong', 'right'])('make another server wait too, with a %s one', async (which) => {
    const [client, from] = [await addChosen(), newNetwork()]
    const target = await serverBeside(url, behindProxy)
    expect((await ask(client, newNetwork(), { target })).statusCode).toBe(200) // it remembers the right one
    await tryWrong(5, client, from)
    for (const _ of [1, 2]) expectSlowDown(await ask(which === 'right' ? client : wrong(client), from, { target }))
  })

  test('are counted alike for every length and spelling, on all servers', async () => {
    const [client, from] = [await addChosen(), newNetwork()]
    const target = await serverBeside(url, behindProxy)
    const encoded = (word: string) => [...word].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('')
    const guesses = [long(client), wrong(client), { ...client, secret: encoded(wrong(client).secret) }]
    for (const guess of [...guesses, long(client), { ...client, secret: 'x' }]) {
      expect((await ask(guess, from)).statusCode).toBe(401)
    }
    for (const server of [app, target]) {
      for (const guess of [...guesses, client, { ...client, secret: encoded(client.secret) }]) {
        expectSlowDown(await ask(guess, from, { target: server }))
      }
    }
  })

  test('stay five when forty come at once', async () => {
    const [client, from] = [await addClient(database), newNetwork()]
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(wrong(client), from)))
    expect(tally(answers)).toEqual({ 401: 5, 429: 35 })
  })

  test('do not reveal a short right secret sent at the same time', async () => {
    const target = await serverBeside(url, {
      ...behindProxy,
      passwords: { ...cheapPasswords, memoryKib: 16_384, passes: 3, concurrency: 1, queueSeconds: 60 },
    })
    const [client, from] = [await addClient(database, { secret: { chosen: keepSecret(randomWord()) } }), newNetwork()]
    const secrets = [...Array.from({ length: 7 }, () => keepSecret(randomWord())), client.secret]
    const answers = await Promise.all(secrets.map((secret) => ask({ id: client.id, secret }, from, { target })))
    expect(tally(answers)).toEqual({ 401: 5, 429: 3 })
    expectSlowDown(await ask(client, from, { target }))
  })

  test.each([
    ['59 minutes', 6],
    ['61 minutes', 1],
  ])('and the one %s later make %i', async (interval, count) => {
    const [client, from] = [await addClient(database), newNetwork()]
    await tryWrong(5, client, from)
    await database.script(
      `update password_grant.failures
      set failed_at = failed_at - $1::interval, wait_until = wait_until - $1::interval`,
      [interval],
    )
    const target = await serverBeside(url, behindProxy)
    expect((await ask(wrong(client), from, { target })).statusCode).toBe(401)
    const [latest] = await database.script<{ count: number }>(
      'select count from password_grant.failures order by failed_at desc limit 1',
    )
    expect(latest?.count).toBe(count)
  })
})

describe('an unknown client', () => {
  test('is answered like a known one', async () => {
    const probe = async (client: { id: string }) => {
      const from = newNetwork()
      const answers = []
      for (let turn = 0; turn < 7; turn += 1) {
        const { statusCode, body, headers } = await ask(wrong(client), from, { place: '/Token' })
        const { date: _date, ...rest } = headers
        answers.push({ statusCode, body, headers: { ...rest, 'retry-after': typeof rest['retry-after'] } })
      }
      return answers
    }
    const answers = await probe({ id: `nobody-${randomWord()}` })
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([...fiveRefused, 429, 429])
    expect(answers).toEqual(await probe(await addClient(database)))
    expect((await probe({ id: 'x'.repeat(65) })).map(({ statusCode }) => statusCode)).toEqual([
      ...fiveRefused,
      429,
      429,
    ])
  })
})

describe('one attempt', () => {
  test('is a header with two readings', async () => {
    const [client, from] = [await addClient(database), newNetwork()]
    const twofold = () => ({
      id: client.id,
      secret: keepSecret(`a%2Fb+c${randomWord()}${randomWord()}${randomWord()}`),
    })
    const statuses = []
    for (let turn = 0; turn < 6; turn += 1) statuses.push((await ask(twofold(), from)).statusCode)
    expect(statuses).toEqual([...fiveRefused, 429])
  })

  test('is one at the same client, however its id is encoded', async () => {
    const secret = keepSecret(`chosen ${randomWord()}`)
    const [{ id }, from] = [
      await addClient(database, { id: `cl.${randomWord()}`, secret: { chosen: secret } }),
      newNetwork(),
    ]
    const spellings = [
      id,
      id.replace('.', '%2E'),
      id.replace('.', '%2e'),
      id.replace('c', '%63'),
      id.replace('l', '%6C'),
    ]
    for (const spelling of spellings) expect((await ask(wrong({ id: spelling }), from)).statusCode).toBe(401)
    for (const spelling of [...spellings, id.replace('l', '%6c')]) {
      expectSlowDown(await ask({ id: spelling, secret }, from))
    }
  })
})

describe('a guess at a secret', () => {
  test('does not include a request without a secret', async () => {
    const [client, from] = [await addClient(database), newNetwork()]
    for (let turn = 0; turn < 8; turn += 1) {
      expect((await ask({ id: client.id, secret: null }, from)).statusCode).toBe(401)
      expect((await ask({ id: client.id, secret: null }, from, { way: 'fields' })).statusCode).toBe(401)
    }
    expect(await tryWrong(4, client, from)).toEqual([401, 401, 401, 401])
    expect((await ask(client, from)).statusCode).toBe(200)
  })

  test('does not include a request with two ways of authentication or two clients', async () => {
    const [client, from] = [await addClient(database), newNetwork()]
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-forwarded-for': from,
      ...basic(client.id, wrong(client).secret),
    }
    for (const more of ['client_secret=guessed', 'client_id=another']) {
      for (let turn = 0; turn < 6; turn += 1) {
        const response = await app.inject({ method: 'POST', url: '/introspect', headers, body: `token=none&${more}` })
        expect(response.statusCode).toBe(400)
      }
    }
    expect((await ask(client, from)).statusCode).toBe(200)
  })

  test('does not include a request refused by a full hash queue', async () => {
    const target = await serverBeside(url, {
      ...behindProxy,
      passwords: { ...cheapPasswords, memoryKib: 65_536, passes: 6, concurrency: 1, queueLimit: 0 },
    })
    const [client, from] = [await addClient(database), newNetwork()]
    const short = () => ({ id: client.id, secret: keepSecret(randomWord()) })
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(short(), from, { target })))
    const told = tally(answers)
    expect(told[503]).toBeGreaterThan(0)
    expect((told[401] ?? 0) + (told[503] ?? 0)).toBe(6)
    const [latest] = await database.script<{ count: number }>(
      'select count from password_grant.failures order by failed_at desc limit 1',
    )
    expect(latest?.count).toBe(told[401])
  })

  test('does not count as a guess at a user, nor the other way round', async () => {
    const [client, from, person] = [await addClient(database), newNetwork(), await addUser(database)]
    for (let turn = 0; turn < 7; turn += 1) {
      await signInFrom(app, { client, user: person }, from, basic(client.id, wrong(client).secret))
    }
    const another = await addClient(database)
    expect(await guessTimes(6, app, { client: another, user: person }, from)).toEqual([400, 400, 400, 400, 400, 429])
    expect((await ask(another, from)).statusCode).toBe(200)
    expect((await guess(app, { client: another, user }, from)).statusCode).toBe(400)
  })
})

test('a wrong secret gets 503 while it cannot be counted, and a right one needs no count', async () => {
  const own = await testServer(behindProxy)
  const [client, from] = [await addClient(own.database), newNetwork()]
  await own.database.script('alter table password_grant.failures rename to gone')
  for (let turn = 0; turn < 7; turn += 1) {
    const response = await ask(wrong(client), from, { target: own.app })
    expect([response.statusCode, response.json().error]).toEqual([503, 'temporarily_unavailable'])
  }
  expect((await ask(client, from, { target: own.app })).statusCode).toBe(200)
})

describe('a chosen secret', () => {
  test('has at least sixteen characters, unless a migration brings a shorter one', async () => {
    const add = (chosen: string, allowShort?: boolean) => addClient(database, { secret: { chosen, allowShort } })
    await expect(add('x'.repeat(15))).rejects.toMatchObject({ code: 'invalid_request' })
    const short = keepSecret('s'.repeat(15))
    expect((await ask({ id: (await add(short, true)).id, secret: short }, newNetwork())).statusCode).toBe(200)
    await expect(add('😀'.repeat(15))).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('is stored with argon2id at every length', async () => {
    const ids = []
    for (const length of [16, 43, 200]) {
      ids.push((await addClient(database, { secret: { chosen: randomWord().repeat(13).slice(0, length) } })).id)
    }
    const stored = await database.script<{ hash: string }>(
      'select secret_hash as hash from password_grant.clients where id = any ($1)',
      [ids],
    )
    expect(stored.map(({ hash }) => hash.slice(0, 10))).toEqual(['$argon2id$', '$argon2id$', '$argon2id$'])
  })
})

test('a server without a cached wait asks the database before it accepts a chosen secret', async () => {
  const own = await serverBeside(url, behindProxy)
  const [client, from] = [await addChosen(), newNetwork()]
  for (let turn = 0; turn < 5; turn += 1) await ask(wrong(client), from, { target: own })
  const another = await serverBeside(url, behindProxy)
  expectSlowDown(await ask(client, from, { target: another }))
})
