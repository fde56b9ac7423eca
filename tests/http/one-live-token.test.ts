import { describe, expect, test } from 'vitest'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const client = await addClient(database)
const otherClient = await addClient(database)

async function signIn(user: { name: string; password: string }, by = client): Promise<string> {
  const response = await askForToken(app, { client: by, user })
  expect(response.statusCode).toBe(200)
  return response.json().access_token
}

async function liveOnes(values: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(values.map((value) => askWhose(app, value)))
  return values.filter((_value, index) => answers[index]?.statusCode === 200)
}

describe('a user has at most one live token', () => {
  test('and every sign-in discards the one before', async () => {
    const user = await addUser(database)
    const values: string[] = []
    for (let time = 0; time < 4; time += 1) {
      values.push(await signIn(user))
      expect(await liveOnes(values)).toEqual(values.slice(-1))
    }
  })

  test('for any client', async () => {
    const user = await addUser(database)
    const values = [await signIn(user, client), await signIn(user, otherClient)]
    expect(await liveOnes(values)).toEqual(values.slice(1))
  })

  test('under any spelling of the name', async () => {
    const user = await addUser(database)
    const values = [await signIn(user), await signIn({ ...user, name: user.name.toUpperCase() })]
    expect(await liveOnes(values)).toEqual(values.slice(1))
  })

  test('even after two hundred sign-ins at once, which all succeed', async () => {
    const user = await addUser(database)
    const values = await Promise.all(Array.from({ length: 200 }, () => signIn(user)))
    expect(new Set(values).size).toBe(200)
    expect(await liveOnes(values)).toHaveLength(1)
    const rows = await database.script('select from password_grant.tokens where user_id = $1', [user.id])
    expect(rows).toHaveLength(1)
  })

  test('and a refused sign-in does not end it', async () => {
    const user = await addUser(database)
    const value = await signIn(user)
    expect((await askForToken(app, { client, user: { ...user, password: 'wrong-password' } })).statusCode).toBe(400)
    expect((await askForToken(app, { client: { ...client, secret: 'wrong' }, user })).statusCode).toBe(401)
    expect(await liveOnes([value])).toEqual([value])
  })

  test('and users do not affect each other', async () => {
    const users = await Promise.all(Array.from({ length: 5 }, () => addUser(database)))
    const values = await Promise.all(users.map((user) => signIn(user)))
    expect(await liveOnes(values)).toEqual(values)
  })
})
