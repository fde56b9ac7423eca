// A refusal costs as much as the most expensive stored hash, so its time does not reveal which users exist.
import { describe, expect, test } from 'vitest'
import { createPasswords } from '../../src/passwords/password.ts'
import { findHashCosts } from '../../src/users/find-hash-costs.ts'
import { countHashes } from '../support/count-hashes.ts'
import { addClient, addUser, cheapPasswords, randomWord } from '../support/people.ts'
import { askForToken } from '../support/requests.ts'
import { serverBeside, testServer } from '../support/test-server.ts'

const { database, url } = await testServer()
const client = await addClient(database)
const dearer = await createPasswords({ ...cheapPasswords, passes: 3 })
const passwordHash = await dearer.hash('password of the dearer user')

describe('the costs of stored hashes', () => {
  test('are found once each, for users and clients', async () => {
    await addUser(database)
    await addUser(database)
    await addUser(database, { passwordHash: null })
    await addUser(database, { passwordHash })
    await database.script(
      `insert into password_grant.clients (id, is_public, secret_hash)
      values ('dear-client', false, '$argon2id$v=19$m=2048,t=7,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA')`,
    )
    const costs = await findHashCosts(database.writes)
    expect(costs.toSorted()).toEqual(['m=1024,t=1,p=1', 'm=1024,t=3,p=1', 'm=2048,t=7,p=1'])
  })
})

describe('a server that starts with a more expensive stored hash', () => {
  test('pads every refusal up to its cost, and no right password', async () => {
    const user = await addUser(database)
    const target = await serverBeside(url, { throttle: false })
    const ask = (name: string, password: string) => askForToken(target, { client, user: { name, password } })
    const cases = [
      ['a wrong password', user.name, randomWord(), 400, 2],
      ['an unknown user, who costs the same calls', `nobody-${randomWord()}`, randomWord(), 400, 2],
      ['the right password', user.name, user.password, 200, 1],
    ] as const
    for (const [what, name, password, status, hashes] of cases) {
      const counted = await countHashes(async () => expect((await ask(name, password)).statusCode).toBe(status))
      expect(counted, what).toBe(hashes)
    }
  })
})
