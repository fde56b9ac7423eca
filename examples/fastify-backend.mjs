// A Fastify API behind tokens: a route for everyone, one for every user, one for a role.
import Fastify from 'fastify'
import { bearer, introspectAt } from 'fastify-password-grant/bearer'

const { TOKEN_SERVER, CLIENT_ID, CLIENT_SECRET, HOST = '127.0.0.1', PORT = '3001' } = process.env

const app = Fastify()

// the client is the backend's own: any confidential one may ask about any token
await app.register(bearer, {
  findToken: introspectAt({ url: TOKEN_SERVER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }),
  realm: 'orders',
})

app.get('/', async () => ({ about: 'orders' }))

app.get('/orders', { onRequest: app.requireToken() }, async ({ token }) => ({
  of: token.userName,
  orders: [],
}))

app.delete('/orders', { onRequest: app.requireToken({ role: ['Administrator', 'Editor'] }) }, async ({ token }) => ({
  deletedBy: token.userName,
}))

console.log(`ready on ${await app.listen({ host: HOST, port: Number(PORT) })}`)
