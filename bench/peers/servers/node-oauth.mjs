import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import OAuth2Server from '@node-oauth/oauth2-server'
import express from 'express'
import { lifetimeSeconds, openRows } from './rows.mjs'
import { place, serve } from './serve.mjs'

const { Request, Response } = OAuth2Server

/** `@node-oauth/oauth2-server` on Express 5. */
serve(async (databaseUrl) => {
  const server = new OAuth2Server({ model: makeModel(openRows(databaseUrl)), accessTokenLifetime: lifetimeSeconds })
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.use(express.urlencoded({ extended: false }))
  app.post('/Token', async (request, reply) => {
    const answer = new Response(reply)
    try {
      await server.token(new Request(request), answer)
      reply
        .set(answer.headers ?? {})
        .status(answer.status)
        .json(answer.body)
    } catch (error) {
      reply.status(error.code ?? 500).json({ error: error.name })
    }
  })
  const listening = app.listen(place)
  await once(listening, 'listening')
  return `http://${place.host}:${listening.address().port}`
})

function makeModel(rows) {
  // the library's own generator waits in the thread pool for random bytes, behind the hashes
  const generateToken = () => randomBytes(32).toString('hex')
  return {
    generateAccessToken: generateToken,
    generateRefreshToken: generateToken,
    async getClient(id, secret) {
      return (await rows.isClient(id, secret)) ? { id, grants: ['password'] } : false
    },
    async getUser(name, password) {
      return (await rows.findUser(name, password)) ?? false
    },
    async saveToken({ accessToken, accessTokenExpiresAt }, client, user) {
      await rows.saveToken(user.id, accessToken, accessTokenExpiresAt)
      return { accessToken, accessTokenExpiresAt, client, user }
    },
  }
}
