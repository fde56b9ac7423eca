import Fastify from 'fastify'
import pg from 'pg'
import { answerQuestions } from '../support/answer-questions.ts'

/** The product's statement, without batching. */
const text = `
select t.id, t.client_id as "clientId", t.user_id as "userId", u.name as "userName", u.role, t.device,
  t.issued_at as "issuedAt", t.expires_at as "expiresAt",
  case
    when t.revoked_at is not null then 'revoked'
    when t.expires_at <= now() then 'expired'
    else 'live'
  end as state,
  t.secret_hash as "secretHash", t.replaced_secret_hash as "replacedSecretHash",
  extract(epoch from t.expires_at - now())::float8 as "secondsLeft"
from password_grant.tokens t
join password_grant.users u on u.id = t.user_id
where t.id = $1`

/** Does one look-up for each request and nothing else: the upper bound for a guard without a cache. */
answerQuestions<{ databaseUrl: string }, { url: string; pid: number }>(async ({ databaseUrl }) => {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 })
  const app = Fastify({ logger: false })
  app.get<{ Params: { id: string } }>('/tokens/:id', async (request, reply) => {
    const { rows } = await pool.query({ name: 'find_token', text, values: [request.params.id] })
    return rows.length === 1 ? { orders: [] } : reply.code(404).send()
  })
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), pid: process.pid }
})
