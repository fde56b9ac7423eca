import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import { answerQuestions } from '../support/answer-questions.ts'

const text = { type: 'string' } as const
const names = ['userName', 'userId', 'role', '.issued', '.expires'] as const
const properties = Object.fromEntries(names.map((name) => [name, text]))

/** Answers like `/userinfo` without a check: the upper bound for its rate. */
const app = Fastify({ logger: false })
app.get('/userinfo', { schema: { response: { 200: { type: 'object', properties } } } }, async () => ({
  userName: 'user-1@example.com',
  userId: '0b7e0a52-3f6c-4d0e-9c53-6a1f2f5f8d11',
  role: 'Editor',
  '.issued': 'Mon, 02 Nov 2026 08:00:00 GMT',
  '.expires': 'Mon, 16 Nov 2026 08:00:00 GMT',
}))

/** Answers like `/introspect` and reads the form: the upper bound for its rate. */
await app.register(formbody)
app.post<{ Body: { token?: string } }>('/introspect', async (request) => ({
  active: request.body.token !== undefined,
  client_id: 'bench',
  username: 'user-1@example.com',
  sub: '0b7e0a52-3f6c-4d0e-9c53-6a1f2f5f8d11',
  role: 'Editor',
  token_type: 'bearer',
  iat: 1_793_606_400,
  exp: 1_794_816_000,
}))
const url = await app.listen({ host: '127.0.0.1', port: 0 })

answerQuestions<object, { url: string }>(async () => ({ url }))
