// The same API in Express 5: introspectAt is a plain function, and a middleware gives its answer to the caller.
import express from 'express'
import { introspectAt } from 'fastify-password-grant/bearer'

const { TOKEN_SERVER, CLIENT_ID, CLIENT_SECRET, HOST = '127.0.0.1', PORT = '3001' } = process.env

const findToken = introspectAt({ url: TOKEN_SERVER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET })

/** Lets a live token through, of one of the roles where some are given; refuses as RFC 6750 §3 says. */
function requireToken(...roles) {
  return async (request, response, next) => {
    const { authorization: sent = [] } = request.headersDistinct
    if (!sent.some((header) => /^bearer(\s|$)/i.test(header))) return refuse(response, 401)
    const value = sent.length === 1 ? /^bearer +([\w.~+/-]+=*) *$/i.exec(sent[0])?.[1] : undefined
    if (value === undefined) return refuse(response, 400, 'invalid_request')
    const found = await findToken(value).catch(() => null)
    if (found === null) return response.status(503).set('Retry-After', '1').json({ error: 'temporarily_unavailable' })
    if ('ended' in found) return refuse(response, 401, 'invalid_token')
    if (roles.length > 0 && !roles.includes(found.token.role)) return refuse(response, 403, 'insufficient_scope')
    response.locals.token = found.token
    next()
  }
}

/** Who sent no token at all is told how to, without an error code. */
function refuse(response, status, error) {
  const challenge = 'Bearer realm="orders"'
  response.set('WWW-Authenticate', error === undefined ? challenge : `${challenge}, error="${error}"`)
  response.status(status).json({ error })
}

const app = express()

app.get('/', (_request, response) => response.json({ about: 'orders' }))

app.get('/orders', requireToken(), (_request, response) => {
  response.json({ of: response.locals.token.userName, orders: [] })
})

app.delete('/orders', requireToken('Administrator', 'Editor'), (_request, response) => {
  response.json({ deletedBy: response.locals.token.userName })
})

const server = app.listen(Number(PORT), HOST, (error) => {
  if (error) throw error
  console.log(`ready on http://${HOST}:${server.address().port}`)
})
