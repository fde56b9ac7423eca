import cors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import type { Dialect } from '../dialects/dialect.ts'
import { revocationPath } from './routes/revocation-route.ts'
import { seatsPath } from './routes/seats-route.ts'
import { spellings } from './routes/token-route.ts'
import { userinfoPath } from './routes/userinfo-route.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What @fastify/cors does on this route instead of on all. */
    cors?: FastifyCorsOptions
  }
}

const allowanceHeaders = ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset']
const holderPaths = [userinfoPath, seatsPath, `${seatsPath}/:id`]

/**
 * Lets pages of the given origins call the token endpoints, `/userinfo`, `/seats` and `/revoke`, and read refusals too, where these
 * are added afterwards. Every other path stays as it was, and what another origin is answered gets no more than `Vary`.
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
    strictPreflight: false, // it would answer in plain text; an OPTIONS without Origin is refused as any other method is
  }
  app.addHook('onRoute', (route) => {
    if (paths.includes(route.url)) route.config = { ...route.config, cors: allowed }
  })
  await app.register(cors, { origin: false })
}

function ownHeader(place: Dialect['tokenPlace']): string[] {
  return place === 'x-access-token' ? [place] : []
}
