// Deviations from RFC 6749 that this file holds on to, each on purpose:
// - §3.2 says a client MUST use POST; the published example sends GET with a body, so that works too.
// - §3.2, appendix B: the body is read as a form under any Content-Type, as the published example needs.
// - §3.2: parameter names match in any letter case, as they did at the endpoint this one stands in for.
// - §5.1: `userName`, `userId`, `role`, `.issued` and `.expires` stand beside the parameters of the RFC.
// - §5.2: `invalid_client` is always 401 with a Basic challenge, also where the client used the body.
// - §4.1.2.1 lends `temporarily_unavailable` to this endpoint, with status 503.
import { describe, expect, test } from 'vitest'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { expectRefusal, wrongPassword } from '../support/refusals.ts'
import { askForToken, askWhose, basic, documentedFields, passwordForm, sendToken } from '../support/requests.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const client = await addClient(database)
const publicClient = await addClient(database, { secret: 'public' })
const user = await addUser(database)
const headers = basic(client.id, client.secret)

function send(body: string) {
  return sendToken(app, { headers, body })
}

describe('RFC 6749 §3.2: the token endpoint', () => {
  test.each(['grant_type', 'username', 'password', 'scope', 'something_else'])(
    'refuses the parameter %s when it is included more than once',
    async (name) => {
      expectRefusal(
        await send(`${passwordForm(user, { [name]: 'password' })}&${name}=password`),
        400,
        'invalid_request',
      )
      expectRefusal(
        await send(`${passwordForm(user, { [name]: 'a' })}&${name.toUpperCase()}=a`),
        400,
        'invalid_request',
      )
    },
  )

  test.each(['client_id', 'client_secret'])('refuses %s when it is included more than once', async (name) => {
    const body = `${passwordForm(user, { client_id: client.id, client_secret: client.secret })}&${name}=x`
    expectRefusal(await sendToken(app, { body }), 400, 'invalid_request')
  })

  test.each(['grant_type', 'username', 'password'])(
    'treats the parameter %s without a value as if it were omitted',
    async (name) => {
      const fields = new URLSearchParams(passwordForm(user))
      fields.delete(name)
      const omitted = await send(fields.toString())
      const empty = await send(`${fields}&${name}=`)
      const bare = await send(`${fields}&${name}`)
      expectRefusal(omitted, 400, 'invalid_request', `The field ${name} is missing.`)
      expect([empty.body, bare.body]).toEqual([omitted.body, omitted.body])
    },
  )

  test('treats optional parameters without a value as if they were omitted', async () => {
    const body = passwordForm(user, { scope: '', client_id: '', client_secret: '' })
    expect((await send(body)).statusCode).toBe(200)
  })

  test('ignores parameters it does not know', async () => {
    const body = passwordForm(user, {
      scope: 'read write',
      state: 'xyz',
      redirect_uri: 'https://a.example',
      __proto__x: '1',
    })
    expect((await send(body)).statusCode).toBe(200)
  })
})

describe('RFC 6749 §4.3: the password grant', () => {
  test('§4.3.2: gives a token for grant_type, username and password', async () => {
    const response = await askForToken(app, { client, user })
    expect(response.statusCode).toBe(200)
    expect((await askWhose(app, response.json().access_token)).json().userId).toBe(user.id)
  })

  test('§4.3.2: requires client authentication for clients that have credentials, and any client otherwise', async () => {
    expectRefusal(await sendToken(app, { body: passwordForm(user) }), 401, 'invalid_client')
    expectRefusal(await sendToken(app, { body: passwordForm(user, { client_id: client.id }) }), 401, 'invalid_client')
    const open = await sendToken(app, { body: passwordForm(user, { client_id: publicClient.id }) })
    expect(open.statusCode).toBe(200)
  })

  test('finds the user in any case and answers with the stored spelling', async () => {
    const name = `Straße.Ünïcode.${randomWord()}@Example.com`
    const someone = await addUser(database, { name })
    for (const spelling of [name.toLowerCase(), name.toUpperCase(), name.normalize('NFD')]) {
      const response = await askForToken(app, { client, user: { name: spelling, password: someone.password } })
      expect(response.json().userName).toBe(name)
    }
  })

  test('finds no user by a name with a space before or after it', async () => {
    for (const name of [` ${user.name}`, `${user.name} `]) {
      expectRefusal(await askForToken(app, { client, user: { ...user, name } }), 400, 'invalid_grant', wrongPassword)
    }
  })
})

describe('RFC 6749 §5.1: the answer', () => {
  test('is JSON with exactly the documented fields, in order and of the documented types', async () => {
    const response = await askForToken(app, { client, user })
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    const body = response.json()
    expect(Object.keys(body)).toEqual(documentedFields)
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[A-Za-z0-9_-]{72}$/),
      token_type: 'bearer',
      expires_in: 1_209_600,
      userName: user.name,
      userId: user.id,
      role: 'Editor',
      '.issued': new Date(body['.issued']).toUTCString(),
      '.expires': new Date(body['.expires']).toUTCString(),
    })
    expect((Date.parse(body['.expires']) - Date.parse(body['.issued'])) / 1000).toBe(body.expires_in)
  })

  test('has an empty role for a user without a role', async () => {
    const someone = await addUser(database, { role: '' })
    expect((await askForToken(app, { client, user: someone })).json().role).toBe('')
  })

  test('states and applies the client’s own lifetime', async () => {
    const brief = await addClient(database, { lifetimeSeconds: 90 })
    const body = (await askForToken(app, { client: brief, user })).json()
    expect(body.expires_in).toBe(90)
    expect(Date.parse(body['.expires']) - Date.parse(body['.issued'])).toBe(90_000)
  })

  test('is never cached, and neither is any refusal', async () => {
    const responses = [
      await askForToken(app, { client, user }),
      await send(''),
      await send('{}'),
      await sendToken(app, { body: passwordForm(user) }),
      await askForToken(app, { client, user: { ...user, password: 'wrong-password' } }),
      await sendToken(app, { method: 'GET', headers, body: passwordForm(user) }),
      await send('a'.repeat(20_000)),
      await app.inject({ method: 'DELETE', url: '/Token' }),
      await app.inject({ method: 'HEAD', url: '/Token' }),
    ]
    expect(responses.map(({ statusCode }) => statusCode)).toEqual([200, 400, 400, 401, 400, 200, 413, 405, 405])
    for (const { headers } of responses) {
      expect([headers['cache-control'], headers.pragma]).toEqual(['no-store', 'no-cache'])
    }
  })

  test('is a different token each time', async () => {
    const values = new Set<string>()
    for (let time = 0; time < 5; time += 1) values.add((await askForToken(app, { client, user })).json().access_token)
    expect(values.size).toBe(5)
  })
})

describe('RFC 6749 §5.2: the refusal', () => {
  test('invalid_request: a required parameter is missing', async () => {
    expectRefusal(await send('username=a&password=b'), 400, 'invalid_request', 'The field grant_type is missing.')
    expectRefusal(await send('grant_type=password&password=b'), 400, 'invalid_request')
    expectRefusal(await send('grant_type=password&username=a'), 400, 'invalid_request')
  })

  test('invalid_request: more than one mechanism for authenticating the client', async () => {
    expectRefusal(await send(passwordForm(user, { client_secret: client.secret })), 400, 'invalid_request')
  })

  test('invalid_client: with 401 and the scheme the client used', async () => {
    const response = await sendToken(app, { headers: basic(client.id, 'wrong'), body: passwordForm(user) })
    expectRefusal(response, 401, 'invalid_client')
    expect(response.headers['www-authenticate']).toMatch(/^Basic /)
  })

  test('invalid_grant: the resource owner credentials are invalid', async () => {
    const response = await askForToken(app, { client, user: { ...user, password: 'wrong-password' } })
    expectRefusal(response, 400, 'invalid_grant', wrongPassword)
  })

  test.each(['refresh_token', 'authorization_code', 'client_credentials', 'PASSWORD', 'password,password', 'passwort'])(
    'unsupported_grant_type: %s',
    async (grantType) => {
      const response = await send(passwordForm(user, { grant_type: grantType }))
      expectRefusal(response, 400, 'unsupported_grant_type')
    },
  )

  test('repeats nothing of the request', async () => {
    const marker = randomWord()
    const responses = [
      await send(passwordForm({ name: marker, password: marker })),
      await send(passwordForm(user, { grant_type: marker })),
      await send(`${marker}=1&${marker}=2`),
      await send(`{"${marker}":"${marker}"}`),
      await sendToken(app, { headers: basic(marker, marker), body: passwordForm(user) }),
    ]
    for (const response of responses) {
      expect(response.statusCode).toBeGreaterThanOrEqual(400)
      expect(JSON.stringify([response.headers, response.body])).not.toContain(marker)
    }
  })
})
