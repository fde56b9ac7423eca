import { describe, expect, test } from 'vitest'
import { addClient, addUser } from '../support/people.ts'
import { askForToken, askWhose } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

describe('RFC 6749 §4.3: resource owner password credentials', async () => {
  const { app, database } = await testServer()
  const client = await addClient(database)
  const user = await addUser(database)

  test('§4.3.3: the answer has exactly the documented fields, in order', async () => {
    const response = await askForToken(app, { client, user })
    expect(response.statusCode).toBe(200)
    expect(Object.keys(response.json())).toEqual([
      'access_token',
      'token_type',
      'expires_in',
      'userName',
      'userId',
      'role',
      '.issued',
      '.expires',
    ])
  })

  test('a newer sign-in ends the older token', async () => {
    const older = (await askForToken(app, { client, user })).json().access_token
    const newer = (await askForToken(app, { client, user })).json().access_token
    expect((await askWhose(app, older)).statusCode).toBe(401)
    expect((await askWhose(app, newer)).json().userName).toBe(user.name)
  })
})
