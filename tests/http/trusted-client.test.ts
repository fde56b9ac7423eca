// A trusted client forwards the addresses of its callers, and no other client can.
import { describe, expect, test } from 'vitest'
import { registerClient } from '../../src/clients/register-client.ts'
import { createPasswords, defaultPasswordOptions } from '../../src/passwords/password.ts'
import {
  behindProxy,
  expectSlowDown,
  guess,
  guessTimes,
  lengthenWaits,
  newNetwork,
  signInFrom,
} from '../support/guesses.ts'
import { keepSecret, readLog } from '../support/kept-secrets.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { basic, passwordForm } from '../support/requests.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const { app, database, url } = await testServer(behindProxy)
await lengthenWaits(database)
const trusted = await addClient(database, { isTrusted: true })
const untrusted = await addClient(database)

/** Where the trusted client's own server is, as the proxy writes it behind what the client sent. */
const backend = newNetwork()

const fiveTold = [400, 400, 400, 400, 400]

const addAsking = async (client = trusted) => ({ client, user: await addUser(database) })
const through = (named: string) => `${named}, ${backend}`

describe('the address that a trusted client puts before its own', () => {
  test('is charged with the guesses', async () => {
    const [asking, home] = [await addAsking(), newNetwork()]
    expect(await guessTimes(6, app, asking, through(home))).toEqual([...fiveTold, 429])
    expectSlowDown(await signInFrom(app, asking, through(home)))
    expect((await signInFrom(app, asking, through(newNetwork()))).statusCode).toBe(200)
  })

  test('is the same source as a direct caller from there', async () => {
    const [asking, home] = [await addAsking(), newNetwork()]
    await guessTimes(5, app, asking, through(home))
    expectSlowDown(await signInFrom(app, { ...asking, client: untrusted }, home))
    expect((await signInFrom(app, { ...asking, client: untrusted }, newNetwork())).statusCode).toBe(200)
  })

  test.each<[string, (home: string) => string]>([
    ['the last before its own, whatever its callers wrote before that', (home) => `203.0.113.5, ${home}, ${backend}`],
    ['read with or without spaces', (home) => `203.0.113.5,${home},${backend}`],
    ['read without a port', (home) => `${home}:41234, ${backend}`],
  ])('is %s', async (_what, header) => {
    const [asking, home] = [await addAsking(), newNetwork()]
    await guessTimes(5, app, asking, header(home))
    expectSlowDown(await signInFrom(app, asking, through(home)))
    expect((await signInFrom(app, asking, through('203.0.113.5'))).statusCode).toBe(200)
  })

  test('is one of 64 bits where it is IPv6', async () => {
    const asking = await addAsking()
    await guessTimes(5, app, asking, through('2001:db8:5:5::1'))
    expectSlowDown(await signInFrom(app, asking, through('2001:db8:5:5:6::2')))
    expect((await signInFrom(app, asking, through('2001:db8:5:6::1'))).statusCode).toBe(200)
  })

  test('is found behind two proxies', async () => {
    const target = await serverBeside(url, { trustProxy: ['127.0.0.1', '10.0.0.0/8'] })
    const [asking, home] = [await addAsking(), newNetwork()]
    const header = `203.0.113.5, ${home}, ${backend}, 10.0.0.1`
    await guessTimes(5, target, asking, header)
    expectSlowDown(await signInFrom(app, asking, through(home)))
    expect((await signInFrom(app, asking, through('203.0.113.5'))).statusCode).toBe(200)
  })

  test('is a separate source for each text that is not an address', async () => {
    const asking = await addAsking()
    expect(await guessTimes(6, app, asking, through('unknown'))).toEqual([...fiveTold, 429])
    for (let stranger = 0; stranger < 11; stranger += 1) {
      expect((await guess(app, asking, through(`_stranger${stranger}`))).statusCode).toBe(400)
    }
    expect((await signInFrom(app, asking, through('_owner'))).statusCode).toBe(200)
  })

  test('that is not an address escapes the limit on names', async () => {
    const target = await serverBeside(url, { ...behindProxy, throttle: { networkNames: 2 } })
    for (let name = 0; name < 4; name += 1) {
      expect((await guess(target, await addAsking(), through('unknown'))).statusCode).toBe(400)
    }
    expect((await signInFrom(target, await addAsking(), through('unknown'))).statusCode).toBe(200)
  })

  test('that is not an address never becomes a known network', async () => {
    const asking = await addAsking()
    expect((await signInFrom(app, asking, through('unknown'))).statusCode).toBe(200)
    const known = 'select from password_grant.known_networks where user_id = $1'
    expect(await database.script(known, [asking.user.id])).toEqual([])
  })
})

describe('the address of the client itself counts', () => {
  test('where it is not trusted, with any forwarded address', async () => {
    const asking = await addAsking(untrusted)
    const told = []
    for (let turn = 0; turn < 5; turn += 1) told.push((await guess(app, asking, through(newNetwork()))).statusCode)
    expect(told).toEqual(fiveTold)
    expectSlowDown(await signInFrom(app, asking, through(newNetwork())))
    expectSlowDown(await signInFrom(app, asking, backend))
  })

  test.each<[string, () => string]>([
    ['puts nothing before it', () => backend],
    ['puts an empty text before it', () => `, ${backend}`],
  ])('where it is trusted and %s', async (_what, header) => {
    const asking = await addAsking()
    await guessTimes(5, app, asking, header())
    expectSlowDown(await signInFrom(app, { ...asking, client: untrusted }, backend))
    expect((await signInFrom(app, asking, through(newNetwork()))).statusCode).toBe(200)
  })

  test('for its secret, which its users do not guess', async () => {
    const client = await addClient(database, { isTrusted: true })
    const asking = await addAsking(client)
    const told = []
    for (let turn = 0; turn < 6; turn += 1) {
      const wrong = basic(client.id, keepSecret(randomWord().repeat(3)))
      told.push((await signInFrom(app, asking, through(newNetwork()), wrong)).statusCode)
    }
    expect(told).toEqual([401, 401, 401, 401, 401, 429])
    expect((await signInFrom(app, { ...asking, client: trusted }, through(newNetwork()))).statusCode).toBe(200)
  })
})

describe('a header that did not come through the proxy is ignored', () => {
  test.each([
    ['of a trusted client that comes by itself', ['127.0.0.1'], '203.0.113.50'],
    ['where no proxy is trusted', [], '127.0.0.1'],
  ])('%s', async (_what, trustProxy, remoteAddress) => {
    const target = await serverBeside(url, { trustProxy })
    const asking = await addAsking()
    const send = (password: string, named: string) =>
      target.inject({
        method: 'POST',
        url: '/Token',
        remoteAddress,
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-forwarded-for': named,
          ...basic(trusted.id, trusted.secret),
        },
        body: passwordForm({ name: asking.user.name, password }),
      })
    for (let turn = 0; turn < 5; turn += 1) {
      expect((await send(keepSecret(randomWord()), `${newNetwork()}, ${newNetwork()}`)).statusCode).toBe(400)
    }
    expectSlowDown(await send(asking.user.password, `${newNetwork()}, ${newNetwork()}`))
    expect((await signInFrom(app, asking, newNetwork())).statusCode).toBe(200)
  })
})

describe('the log names', () => {
  test.each([
    ['whom a trusted client asks for', trusted, (home: string) => home],
    ['any other client itself', untrusted, () => backend],
  ])('%s, of a sign-in and of a refusal', async (_what, client, addressOf) => {
    const [asking, home] = [await addAsking(client), newNetwork()]
    const target = await serverBeside(url, behindProxy) // has summarised no line of its log yet
    const before = readLog().length
    await signInFrom(target, asking, through(home))
    await guess(target, asking, through(home))
    const lines = readLog()
      .slice(before)
      .filter(({ event }) => event === 'sign-in' || event === 'refusal')
      .filter((line) => !('count' in line)) // the summary of an earlier test's refusals may come meanwhile
    expect(lines.map(({ event, address }) => [event, address])).toEqual([
      ['sign-in', addressOf(home)],
      ['refusal', addressOf(home)],
    ])
  })
})

test('a public client cannot become a trusted one', async () => {
  const passwords = await createPasswords({ ...defaultPasswordOptions, ...cheapPasswords })
  const id = `client-${randomWord()}`
  await expect(
    registerClient(database.writes, passwords, { id, secret: 'public', isTrusted: true }),
  ).rejects.toMatchObject({ code: 'invalid_request' })
  expect(await database.script('select from password_grant.clients where id = $1', [id])).toEqual([])
  const { client } = await registerClient(database.writes, passwords, { id, secret: 'public', isTrusted: false })
  expect(client.isTrusted).toBe(false)
})
