import { randomBytes } from 'node:crypto'
import formbody from '@fastify/formbody'
import { AuthorizationServer, DateInterval } from '@jmondi/oauth2-server'
import { handleFastifyError, handleFastifyReply, requestFromFastify } from '@jmondi/oauth2-server/fastify'
import Fastify from 'fastify'
import { lifetimeSeconds, openRows } from './rows.mjs'
import { place, serve } from './serve.mjs'

/** `@jmondi/oauth2-server` on Fastify 5. Its access tokens are JWTs, whose id is stored in the row. */
serve(async (databaseUrl) => {
  const server = makeServer(openRows(databaseUrl))
  const app = Fastify({ logger: false })
  await app.register(formbody)
  app.post('/Token', async (request, reply) => {
    try {
      handleFastifyReply(reply, await server.respondToAccessTokenRequest(requestFromFastify(request)))
    } catch (error) {
      handleFastifyError(error, reply)
    }
    return reply
  })
  return app.listen(place)
})

function makeServer(rows) {
  const options = { requiresPKCE: false, issuer: 'peers', logger: undefined }
  const server = new AuthorizationServer(clientsOf(rows), tokensOf(rows), scopes, signingKey, options)
  server.enableGrantType({ grant: 'password', userRepository: usersOf(rows) }, new DateInterval('14d'))
  return server
}

const signingKey = randomBytes(32).toString('base64url')

const scopes = { getAllByIdentifiers: async () => [], finalize: async (found) => found }

function clientsOf(rows) {
  return {
    getByIdentifier: async (id) => ({ id, name: id, redirectUris: [], allowedGrants: ['password'], scopes: [] }),
    isClientValid: async (_grant, { id }, secret) => rows.isClient(id, secret ?? ''),
  }
}

function usersOf(rows) {
  return {
    async getUserByCredentials(name, password) {
      const user = await rows.findUser(name, password)
      return user ? { id: String(user.id), name: user.name } : undefined
    },
  }
}

function tokensOf(rows) {
  return {
    async issueToken(client, scopes, user) {
      const accessTokenExpiresAt = new Date(Date.now() + lifetimeSeconds * 1_000)
      return { accessToken: randomBytes(32).toString('base64url'), accessTokenExpiresAt, client, user, scopes }
    },
    issueRefreshToken: async (token) => token,
    persist: ({ user, accessToken, accessTokenExpiresAt }) =>
      rows.saveToken(Number(user.id), accessToken, accessTokenExpiresAt),
    revoke: async () => undefined,
    isRefreshTokenRevoked: async () => true,
    getByRefreshToken: () => Promise.reject(new Error('there are none')),
    getByAccessToken: () => Promise.reject(new Error('the comparison checks no tokens')),
  }
}
