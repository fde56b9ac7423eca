import { describe, expect, test } from 'vitest'
import { addClient, addUser } from '../support/people.ts'
import { askWhose, basic, documentedFields, passwordForm, sendToken } from '../support/requests.ts'
import { listen, sendBytes } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const client = await addClient(database)
const publicClient = await addClient(database, { secret: 'public' })
const user = await addUser(database, { role: 'Administrator' })

/** curl --request GET --header 'Content-Type: application/json' --data-urlencode …, with its own other headers. */
const asPublished = { 'content-type': 'application/json', accept: '*/*', 'user-agent': 'curl/8.5.0' }

describe('the published example: GET with a form under a JSON header', () => {
  test('gets a token with a client added to it, and the answer it shows', async () => {
    const response = await sendToken(app, {
      method: 'GET',
      headers: { ...asPublished, ...basic(client.id, client.secret) },
      body: passwordForm(user),
    })
    expect(response.statusCode).toBe(200)
    const body = response.json()
    expect(Object.keys(body)).toEqual(documentedFields)
    expect(body).toMatchObject({ token_type: 'bearer', userName: user.name, userId: user.id, role: 'Administrator' })
    expect((await askWhose(app, body.access_token)).json().userName).toBe(user.name)
  })

  test('works the same with POST, and with a public client in the form', async () => {
    for (const method of ['GET', 'POST'] as const) {
      const body = passwordForm(user, { client_id: publicClient.id })
      expect((await sendToken(app, { method, headers: asPublished, body })).statusCode).toBe(200)
    }
  })

  test('works over a socket, where GET has a body that Node does not expect', async () => {
    const body = passwordForm(user)
    const { authorization } = basic(client.id, client.secret)
    const request = [
      'GET /Token HTTP/1.1',
      'Host: sandbox.sample',
      'User-Agent: curl/8.5.0',
      'Accept: */*',
      `Authorization: ${authorization}`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n')
    const answer = await sendBytes(await listen(app), request)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('"token_type":"bearer"')
  })

  test('gets no token without a client, exactly as published', async () => {
    const response = await sendToken(app, { method: 'GET', headers: asPublished, body: passwordForm(user) })
    expect(response.statusCode).toBe(401)
  })
})
