import * as oauth from 'oauth4webapi'
import { describe, expect, test } from 'vitest'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { listen } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const origin = await listen(app)
const server: oauth.AuthorizationServer = {
  issuer: origin,
  token_endpoint: `${origin}/Token`,
  userinfo_endpoint: `${origin}/userinfo`,
}
const insecure = { [oauth.allowInsecureRequests]: true } // plain HTTP on loopback

const secret = `it's 100% "odd": a+b/c=é😀 ${randomWord()}`
const client = await addClient(database, { secret: { chosen: secret } })
const publicClient = await addClient(database, { secret: 'public' })
const user = await addUser(database, { name: `ünï ${randomWord()}`, password: `p+%&= ä${randomWord()}` })

/** oauth4webapi has no function for the password grant alone: its generic one takes any grant. */
async function signIn(id: string, authentication: oauth.ClientAuth, password = user.password) {
  const parameters = { username: user.name, password }
  const asking: oauth.Client = { client_id: id }
  const response = await oauth.genericTokenEndpointRequest(
    server,
    asking,
    authentication,
    'password',
    parameters,
    insecure,
  )
  const answer = await oauth.processGenericTokenEndpointResponse(server, asking, response)
  keepSecret(answer.access_token)
  return answer
}

describe('a client that was not written here (oauth4webapi)', () => {
  test.each<[string, string, oauth.ClientAuth]>([
    ['Basic, form-encoded as RFC 6749 §2.3.1 says', client.id, oauth.ClientSecretBasic(secret)],
    ['the body', client.id, oauth.ClientSecretPost(secret)],
    ['nothing but its id', publicClient.id, oauth.None()],
  ])('signs in with %s and understands the answer', async (_name, id, authentication) => {
    const answer = await signIn(id, authentication)
    expect(answer).toMatchObject({ token_type: 'bearer', expires_in: 1_209_600, userName: user.name, userId: user.id })
  })

  test('uses its token at /userinfo', async () => {
    const { access_token: value } = await signIn(client.id, oauth.ClientSecretBasic(secret))
    const url = new URL(`${origin}/userinfo`)
    const response = await oauth.protectedResourceRequest(value, 'GET', url, undefined, null, insecure)
    expect(await response.json()).toMatchObject({ userName: user.name, userId: user.id })
  })

  test('understands a wrong password', async () => {
    const refusal = await signIn(client.id, oauth.ClientSecretBasic(secret), 'wrong-password').catch((error) => error)
    expect(refusal).toBeInstanceOf(oauth.ResponseBodyError)
    expect(refusal).toMatchObject({ error: 'invalid_grant', status: 400, error_description: expect.any(String) })
  })

  test('understands that it was not let in, by the challenge', async () => {
    const refusal = await signIn(client.id, oauth.ClientSecretBasic('wrong-secret')).catch((error) => error)
    expect(refusal).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    expect(refusal.cause).toMatchObject([{ scheme: 'basic', parameters: { realm: 'password-grant' } }])
  })

  test('understands that its token ended, by the challenge', async () => {
    const { access_token: older } = await signIn(client.id, oauth.ClientSecretBasic(secret))
    await signIn(client.id, oauth.ClientSecretBasic(secret))
    const url = new URL(`${origin}/userinfo`)
    const refusal = await oauth
      .protectedResourceRequest(older, 'GET', url, undefined, null, insecure)
      .catch((error) => error)
    expect(refusal).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    expect(refusal.cause).toMatchObject([{ scheme: 'bearer', parameters: { error: 'invalid_token' } }])
  })
})
