import { randomBytes } from 'node:crypto'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import { lifetimeSeconds, openRows } from './rows.mjs'
import { place, serve } from './serve.mjs'

/** The minimal sign-in: the client, the user, the hash and the token, and nothing else. */
serve(async (databaseUrl) => {
  const rows = openRows(databaseUrl)
  const app = Fastify({ logger: false })
  await app.register(formbody)
  app.post('/Token', { schema: { response: { 200: tokenSchema } } }, (request, reply) => {
    reply.header('cache-control', 'no-store')
    return answer(rows, request, reply)
  })
  return app.listen(place)
})

const text = { type: 'string' }
const tokenSchema = {
  type: 'object',
  properties: {
    access_token: text,
    token_type: text,
    expires_in: { type: 'integer' },
    userName: text,
    '.issued': text,
    '.expires': text,
  },
}

async function answer(rows, { headers, body }, reply) {
  if (body?.grant_type !== 'password') return reply.code(400).send({ error: 'unsupported_grant_type' })
  const [id, secret] = readBasic(headers.authorization)
  if (!(await rows.isClient(id, secret))) return reply.code(401).send({ error: 'invalid_client' })
  const user = await rows.findUser(body.username, body.password)
  if (!user) return reply.code(400).send({ error: 'invalid_grant' })
  const access_token = randomBytes(32).toString('base64url')
  const expiresAt = new Date(Date.now() + lifetimeSeconds * 1_000)
  const issuedAt = await rows.saveToken(user.id, access_token, expiresAt)
  const moments = { '.issued': issuedAt.toUTCString(), '.expires': expiresAt.toUTCString() }
  return { access_token, token_type: 'bearer', expires_in: lifetimeSeconds - 1, userName: user.name, ...moments }
}

function readBasic(header = '') {
  const [id, ...secret] = Buffer.from(header.replace(/^Basic /, ''), 'base64')
    .toString()
    .split(':')
  return [id, secret.join(':')]
}
