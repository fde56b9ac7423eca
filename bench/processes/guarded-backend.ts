import Fastify, { type FastifyPluginAsync, type onRequestAsyncHookHandler } from 'fastify'
import { answerQuestions } from '../support/answer-questions.ts'
import { hashConcurrency, importBuilt, patience } from '../support/place.ts'

/** How a backend finds tokens: in the database, or by asking a token server. */
export interface BackendQuestion {
  readonly databaseUrl: string
  /** Adds the route `/guarded-by-introspection` if present. */
  readonly introspection?: { readonly url: string; readonly clientId: string; readonly clientSecret: string }
  /** Whether the token server runs in the same process. */
  readonly isTokenServer?: boolean
}

/** The address of a backend, and the process whose processor time counts. */
export interface BackendReply {
  readonly url: string
  readonly pid: number
}

/** The part of the product that a backend uses. */
interface Product {
  openDatabase(url: string): Promise<object>
  createTokenCache(database: object, options?: { seconds: number }): { findToken: unknown }
  readonly tokenServer: FastifyPluginAsync<Record<string, unknown>>
  readonly webapi: object
}
interface Guards {
  readonly bearer: FastifyPluginAsync<{ findToken: unknown }>
  introspectAt(options: object): unknown
}
type Guarded = { requireToken(): onRequestAsyncHookHandler }

const { openDatabase, createTokenCache, tokenServer, webapi } = await importBuilt<Product>('index.js')
const { bearer, introspectAt } = await importBuilt<Guards>('bearer/index.js')
const app = Fastify({ logger: false })
const answer = async () => ({ orders: [] })

/** Adds a route guarded by `findToken`, in a scope of its own, since a scope has only one `requireToken`. */
async function guard(path: string, findToken: unknown): Promise<void> {
  await app.register(async (scope) => {
    await scope.register(bearer, { findToken })
    const { requireToken } = scope as unknown as Guarded // the types of the product are possibly not built yet
    scope.get(path, { onRequest: requireToken() }, answer)
  })
}

answerQuestions<BackendQuestion, BackendReply>(async ({ databaseUrl, introspection, isTokenServer }) => {
  const database = await openDatabase(databaseUrl)
  app.get('/unguarded', answer)
  await guard('/guarded', createTokenCache(database).findToken)
  await guard('/guarded-without-cache', createTokenCache(database, { seconds: 0 }).findToken)
  if (introspection) await guard('/guarded-by-introspection', introspectAt(introspection))
  if (isTokenServer) {
    await app.register(tokenServer, {
      database,
      dialects: [webapi],
      passwords: { concurrency: hashConcurrency, queueSeconds: Number(patience.HASH_QUEUE_SECONDS) },
    })
  }
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), pid: process.pid }
})
