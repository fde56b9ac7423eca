import cors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import type { Dialect } from '../dialects/dialect.ts'
import { revocationPath } from './routes/revocation-route.ts'
import { seatsPath } from './routes/seats-route.ts'
import { spellings } from './routes/token-route.ts'
import { userinfoPath } from './routes/userinfo-route.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The options of @fastify/cors for this route alone. */
    cors?: FastifyCorsOptions
  }
}

const allowanceHeaders = ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset']
const holderPaths = [userinfoPath, seatsPath, `${seatsPath}/:id`]

/**
 * Allows pages of the given origins to call the token endpoints, `/userinfo`, `/seats` and `/revoke`, and to read their
 * refusals. Call it before adding those routes. Changes no other path; an answer to another origin gets only `Vary`.
 */
export async function allowOrigins(
  app: FastifyInstance,
  origins: readonly string[],
  dialects: readonly Dialect[],
): Promise<void> {
  const paths = [...dialects.flatMap((dialect) => spellings(dialect, dialects)), ...holderPaths, revocationPath]
  const allowed: FastifyCorsOptions = {
    origin: (origin, decide) => decide(null, origin !== undefined && origins.includes(origin)),
    methods: ['GET', 'POST', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', ...dialects.flatMap(({ tokenPlace }) => ownHeader(tokenPlace))],
    exposedHeaders: [
      'WWW-Authenticate',
      'Retry-After',
      ...(dialects.some(({ limit }) => limit) ? allowanceHeaders : []),
    ],
    maxAge: 600,
    strictPreflight: false, // it would answer in plain text; so an OPTIONS without Origin gets 405, as other methods do
  }
  app.addHook('onRoute', (route) => {
    if (paths.includes(route.url)) route.config = { ...route.config, cors: allowed }
  })
  await app.register(cors, { origin: false })
}

function ownHeader(place: Dialect['tokenPlace']): string[] {
  return place === 'x-access-token' ? [place] : []
}
