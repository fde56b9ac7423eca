import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { availableCores } from '../available-cores.ts'
import { createClientCheck } from '../clients/authenticate-client.ts'
import type { Database } from '../database/database.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { createPasswords, defaultPasswordOptions, type PasswordOptions } from '../passwords/password.ts'
import { tokenRoute } from './token-route.ts'
import { userinfoRoute } from './userinfo-route.ts'

/** What the token server needs to know; the one who opened the database closes it. */
export interface TokenServerOptions {
  readonly database: Database
  readonly dialects: readonly Dialect[]
  /** Seconds a token lives, unless its client says otherwise. Default: 1209600, 14 days. */
  readonly lifetimeSeconds?: number
  /** Cost and queue of password hashes. Default: OWASP's first choice, as many at once as there are cores. */
  readonly passwords?: Partial<PasswordOptions>
}

/**
 * The Fastify plugin: each dialect's endpoint and `/userinfo`, inside a scope of their own, so that the
 * host's parsers, hooks, error handler and routes are untouched. Expects a migrated database.
 */
export const tokenServer = fastifyPlugin(mountTokenServer, {
  name: 'fastify-password-grant',
  fastify: '5.x',
  encapsulate: true,
})

async function mountTokenServer(scope: FastifyInstance, options: TokenServerOptions): Promise<void> {
  const { database, dialects, lifetimeSeconds = 1_209_600 } = options
  const passwords = await createPasswords({
    ...defaultPasswordOptions,
    concurrency: availableCores(),
    ...options.passwords,
  })
  warnOfSmallThreadPool(scope, options.passwords?.concurrency ?? availableCores())
  const background = createBackground(scope)
  const tools = { query: database.query, passwords, lifetimeSeconds, inBackground: background }
  const authenticateClient = createClientCheck(database.query, passwords)
  for (const dialect of dialects) await scope.register(tokenRoute, { dialect, authenticateClient, tools })
  await scope.register(userinfoRoute, { tokenQuery: database.tokenQuery })
  scope.log.debug({ argon2: passwords.binding }, 'token server mounted')
}

/** Work after the answer: a failure is logged and costs nobody their token; closing waits for the rest. */
function createBackground(scope: FastifyInstance): (work: Promise<void>) => void {
  const unfinished = new Set<Promise<void>>()
  scope.addHook('onClose', async () => {
    await Promise.all(unfinished)
  })
  return (work) => {
    const finishing = work
      .catch((error: unknown) => scope.log.warn({ event: 'renewal', err: error }, 'a password hash was not renewed'))
      .finally(() => unfinished.delete(finishing))
    unfinished.add(finishing)
  }
}

/** Hashes run in libuv's thread pool; where they can fill it, everything else that needs it waits. */
function warnOfSmallThreadPool(scope: FastifyInstance, concurrency: number): void {
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  if (threads >= concurrency + 2) return
  scope.log.warn(
    { threads, concurrency },
    `UV_THREADPOOL_SIZE is ${threads}: set it to ${concurrency + 2} before Node starts, or token checks wait behind hashing`,
  )
}
