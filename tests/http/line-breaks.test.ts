// Any PostgreSQL: the server refuses these requests before it asks its database
import { describe, expect, test } from 'vitest'
import { envelope } from '../../src/dialects/envelope.ts'
import { webapi } from '../../src/dialects/webapi.ts'
import { webapiSession } from '../../src/dialects/webapi-session.ts'
import { addClient, addUser } from '../support/people.ts'
import { expectRefusal } from '../support/refusals.ts'
import { askForToken, basic, passwordForm, sendToken } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer({ dialects: [webapi, webapiSession, envelope] })
const client = await addClient(database)
const user = await addUser(database)
const headers = basic(client.id, client.secret)
const form = passwordForm(user)
const onLines = `${form.replaceAll('&', '\r\n')}`

const atItsEnd = 'The form ends with a line break. Send it without'
const within = 'The form has a line break in it. Put & between fields, and write a line break of a value as %0D%0A'
const bodies: [string, string, string][] = [
  ['a form that ends in CRLF', `${form}\r\n`, atItsEnd],
  ['a form that ends in LF', `${form}\n`, atItsEnd],
  ['fields on lines of their own', onLines, within],
  ['fields on lines of their own, with &', form.replaceAll('&', '&\n'), within],
]

describe.each(bodies)('%s', (_name, body, sentence) => {
  test.each(['POST', 'GET'] as const)('is named at /Token: %s', async (method) => {
    for (const type of ['application/x-www-form-urlencoded', 'application/json']) {
      const response = await sendToken(app, { method, headers: { ...headers, 'content-type': type }, body })
      expectRefusal(response, 400, 'invalid_request', `${sentence}: ${webapi.example}`)
    }
  })

  test.each(['/v2/token', '/introspect', '/revoke'])('is named at %s', async (url) => {
    const response = await sendToken(app, { url, headers, body })
    expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request'])
    expect(response.json().error_description).toContain(sentence)
  })

  test('has the code of unreadable data in the envelope', async () => {
    const response = await sendToken(app, { url: '/v1/oauth/', body })
    expect([response.statusCode, response.json().errors.code]).toEqual([400, '2400'])
  })
})

test('a line break never counts as a guess: the right password is accepted after any number of them', async () => {
  for (const [, body] of [...bodies, ...bodies, ...bodies]) await sendToken(app, { headers, body })
  for (let count = 0; count < 10; count += 1) await sendToken(app, { url: '/v2/token', body: `${form}\n` })
  expect((await askForToken(app, { client, user })).statusCode).toBe(200)
})
