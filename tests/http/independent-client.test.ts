import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { describe, expect, test } from 'vitest'
import { keepSecret } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { listen } from '../support/sockets.ts'
import { testServer } from '../support/test-server.ts'

const { app, database } = await testServer()
const origin = await listen(app)
const insecure = { [oauth.allowInsecureRequests]: true } // plain HTTP on loopback

const secret = `it's 100% "odd": a+b/c=é😀 ${randomWord()}`
const client = await addClient(database, { secret: { chosen: secret } })
const publicClient = await addClient(database, { secret: 'public' })
const user = await addUser(database, { name: `ünï ${randomWord()}`, password: `p+%&= ä${randomWord()}` })
const backend = await addClient(database)

/** oauth4webapi finds its way from the address alone. */
async function discover(): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(origin)
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
  return oauth.processDiscoveryResponse(issuer, response)
}

const server = await discover()

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

async function introspect(token: string, id: string, authentication: oauth.ClientAuth) {
  const asking: oauth.Client = { client_id: id }
  const response = await oauth.introspectionRequest(server, asking, authentication, token, insecure)
  return oauth.processIntrospectionResponse(server, asking, response)
}

async function revoke(token: string, id: string, authentication: oauth.ClientAuth) {
  const response = await oauth.revocationRequest(server, { client_id: id }, authentication, token, insecure)
  return oauth.processRevocationResponse(response)
}

const ways: [string, string, oauth.ClientAuth][] = [
  ['Basic, form-encoded as RFC 6749 §2.3.1 says', client.id, oauth.ClientSecretBasic(secret)],
  ['the body', client.id, oauth.ClientSecretPost(secret)],
  ['nothing but its id', publicClient.id, oauth.None()],
]

describe('an independent client (oauth4webapi)', () => {
  test('finds every endpoint by itself (RFC 8414 §3)', () => {
    expect(server).toMatchObject({
      issuer: origin,
      token_endpoint: `${origin}/Token`,
      userinfo_endpoint: `${origin}/userinfo`,
      introspection_endpoint: `${origin}/introspect`,
      revocation_endpoint: `${origin}/revoke`,
      grant_types_supported: ['password'],
    })
  })

  test('refuses the document of another issuer (RFC 8414 §3.3)', async () => {
    const response = await oauth.discoveryRequest(new URL(origin), { algorithm: 'oauth2', ...insecure })
    const localhost = new URL(origin.replace('127.0.0.1', 'localhost'))
    await expect(oauth.processDiscoveryResponse(localhost, response)).rejects.toThrow(/issuer/)
  })

  test.each(ways)('signs in with %s and understands the answer', async (_name, id, authentication) => {
    const answer = await signIn(id, authentication)
    expect(answer).toMatchObject({ token_type: 'bearer', expires_in: 1_209_600, userName: user.name, userId: user.id })
  })

  test('uses its token at /userinfo', async () => {
    const { access_token: value } = await signIn(client.id, oauth.ClientSecretBasic(secret))
    const url = new URL(server.userinfo_endpoint ?? '')
    const response = await oauth.protectedResourceRequest(value, 'GET', url, undefined, null, insecure)
    expect(await response.json()).toMatchObject({ userName: user.name, userId: user.id })
  })

  test('understands a wrong password', async () => {
    const refusal = await signIn(client.id, oauth.ClientSecretBasic(secret), 'wrong-password').catch((error) => error)
    expect(refusal).toBeInstanceOf(oauth.ResponseBodyError)
    expect(refusal).toMatchObject({ error: 'invalid_grant', status: 400, error_description: expect.any(String) })
  })

  test('understands from the challenge that it was refused', async () => {
    const refusal = await signIn(client.id, oauth.ClientSecretBasic('wrong-secret')).catch((error) => error)
    expectChallenge(refusal)
  })

  test('understands from the challenge that its token ended', async () => {
    const { access_token: older } = await signIn(client.id, oauth.ClientSecretBasic(secret))
    await signIn(client.id, oauth.ClientSecretBasic(secret))
    const url = new URL(`${origin}/userinfo`)
    const refusal = await oauth
      .protectedResourceRequest(older, 'GET', url, undefined, null, insecure)
      .catch((error) => error)
    expect(refusal).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    expect(refusal.cause).toMatchObject([{ scheme: 'bearer', parameters: { error: 'invalid_token' } }])
  })

  test.each(ways.slice(0, 2))('introspects with %s (RFC 7662)', async (_name, id, authentication) => {
    const { access_token: value } = await signIn(publicClient.id, oauth.None())
    const found = await introspect(value, id, authentication)
    expect(found).toMatchObject({
      active: true,
      client_id: publicClient.id,
      username: user.name,
      sub: user.id,
      token_type: 'bearer',
    })
    expect(Number(found.exp) - Number(found.iat)).toBe(1_209_600)
    expect(await introspect('no-token', id, authentication)).toEqual({ active: false })
  })

  test('is refused at introspection with its id alone (RFC 7662 §2.1)', async () => {
    const { access_token: value } = await signIn(publicClient.id, oauth.None())
    expectChallenge(await introspect(value, publicClient.id, oauth.None()).catch((error) => error))
  })

  test.each(ways)('ends its token with %s (RFC 7009)', async (_name, id, authentication) => {
    const { access_token: value } = await signIn(id, authentication)
    expect(await introspect(value, backend.id, oauth.ClientSecretBasic(backend.secret))).toMatchObject({ active: true })
    await revoke(value, id, authentication)
    expect(await introspect(value, backend.id, oauth.ClientSecretBasic(backend.secret))).toEqual({ active: false })
    await revoke(value, id, authentication)
  })

  test('understands that it cannot end the token of another client (RFC 7009 §2.1)', async () => {
    const { access_token: value } = await signIn(client.id, oauth.ClientSecretBasic(secret))
    const refusal = await revoke(value, publicClient.id, oauth.None()).catch((error) => error)
    expect(refusal).toBeInstanceOf(oauth.ResponseBodyError)
    expect(refusal).toMatchObject({ error: 'unauthorized_client', status: 400 })
  })
})

function expectChallenge(refusal: { cause?: unknown }): void {
  expect(refusal).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
  expect(refusal.cause).toMatchObject([{ scheme: 'basic', parameters: { realm: 'password-grant' } }])
}

describe('a second independent client (openid-client)', () => {
  const { ClientSecretBasic, ClientSecretPost, None } = openid

  /** Nothing but the address, an id and a proof. */
  async function discoverAs(id: string, authentication: openid.ClientAuth): Promise<openid.Configuration> {
    return openid.discovery(new URL(origin), id, undefined, authentication, {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests], // plain HTTP on loopback
    })
  }

  async function signInBy(configuration: openid.Configuration, password = user.password): Promise<string> {
    const parameters = { username: user.name, password }
    return keepSecret((await openid.genericGrantRequest(configuration, 'password', parameters)).access_token)
  }

  const itsWays: [string, string, () => openid.ClientAuth][] = [
    ['client_secret_basic', client.id, () => ClientSecretBasic(secret)],
    ['client_secret_post', client.id, () => ClientSecretPost(secret)],
    ['none', publicClient.id, () => None()],
  ]

  test.each(itsWays)(
    'discovers, signs in, reads /userinfo and ends its token with %s',
    async (method, id, authentication) => {
      const configuration = await discoverAs(id, authentication())
      expect(configuration.serverMetadata().token_endpoint_auth_methods_supported).toContain(method)
      const value = await signInBy(configuration)
      const url = new URL(configuration.serverMetadata().userinfo_endpoint ?? '')
      const whose = await openid.fetchProtectedResource(configuration, value, url, 'GET')
      expect(await whose.json()).toMatchObject({ userName: user.name, userId: user.id })
      const asBackend = await discoverAs(backend.id, ClientSecretBasic(backend.secret))
      expect(await openid.tokenIntrospection(asBackend, value)).toMatchObject({ active: true, client_id: id })
      await openid.tokenRevocation(configuration, value)
      expect(await openid.tokenIntrospection(asBackend, value)).toEqual({ active: false })
    },
  )

  test.each(itsWays.slice(0, 2))('introspects with %s', async (_method, id, authentication) => {
    const value = await signInBy(await discoverAs(publicClient.id, None()))
    const found = await openid.tokenIntrospection(await discoverAs(id, authentication()), value)
    expect(found).toMatchObject({ active: true, client_id: publicClient.id, username: user.name, sub: user.id })
  })

  test('is refused at introspection without credentials', async () => {
    const configuration = await discoverAs(publicClient.id, None())
    const value = await signInBy(configuration)
    const refusal = await openid.tokenIntrospection(configuration, value).catch((error) => error)
    expect(refusal).toBeInstanceOf(openid.WWWAuthenticateChallengeError)
    expect(refusal).toMatchObject({ status: 401 })
  })

  test('understands a wrong password and a wrong secret', async () => {
    const right = await discoverAs(client.id, ClientSecretBasic(secret))
    const refusal = await signInBy(right, 'wrong-password').catch((error) => error)
    expect(refusal).toBeInstanceOf(openid.ResponseBodyError)
    expect(refusal).toMatchObject({ error: 'invalid_grant', status: 400 })
    const wrong = await discoverAs(client.id, ClientSecretBasic('wrong-secret'))
    const challenge = await signInBy(wrong).catch((error) => error)
    expect(challenge).toBeInstanceOf(openid.WWWAuthenticateChallengeError)
    expect(challenge).toMatchObject({ status: 401 })
  })
})
