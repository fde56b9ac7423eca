import type { BackendQuestion, BackendReply } from './processes/guarded-backend.ts'
import { inRounds, type Measurement } from './support/bench.ts'
import { startHelper, startServer } from './support/children.ts'
import { type Figure, figure } from './support/figure.ts'
import { collectToken, measureRate } from './support/load.ts'
import { addPeople } from './support/people.ts'
import { costVariables, trivialCost } from './support/place.ts'
import { cpuMs } from './support/proc.ts'

/**
 * Measures the requests per second of a guarded route, compared with the same route unguarded. Tokens are found in process,
 * or by asking a token server. Also compares a guard without a cache with a handler that only does a look-up.
 */
export const guardRate: Measurement = async ({ rounds, seconds, cluster }, room) => {
  const where = { url: await cluster.createDatabase(room) }
  const server = await startServer(room, where, costVariables(trivialCost))
  const people = await addPeople(where, where.url, 200, trivialCost)
  const tokens = await inRounds(people.count, (round) => collectToken(server.url, people, round + 1))
  const start = (name: string) => startHelper<BackendQuestion, BackendReply>(room, name)
  const introspection = { url: server.url, clientId: people.client.id, clientSecret: people.client.secret }
  const backend = await start('guarded-backend')({ databaseUrl: where.url, introspection })
  const lookUp = await start('one-look-up')({ databaseUrl: where.url })
  await requireGuards(backend.url)

  const measureSide = async ({ url, pid }: BackendReply, path: (token: string) => string, duration: number) => {
    const requests = tokens.map((token) => writeRequest(path(token), token))
    const cpuBefore = cpuMs(pid)
    const perSecond = await measureRate(url, requests, duration)
    return { perSecond, cpuUs: ((cpuMs(pid) - cpuBefore) * 1_000) / (perSecond * duration) } // less noisy than a rate
  }
  const measureSides = async (duration: number) => ({
    unguarded: await measureSide(backend, () => '/unguarded', duration),
    guarded: await measureSide(backend, () => '/guarded', duration),
    introspecting: await measureSide(backend, () => '/guarded-by-introspection', duration),
    lookUp: await measureSide(lookUp, (token) => `/tokens/${readId(token)}`, duration),
    uncached: await measureSide(backend, () => '/guarded-without-cache', duration),
  })
  await measureSides(1)
  const results = await inRounds(rounds, () => measureSides(seconds))
  const compare = (what: string, target: string, one: Side, other: Side): Figure =>
    figure(
      { measurement: 'guard-rate', what, unit: '', target },
      results.map(({ [one]: mine, [other]: theirs }) => ({
        value: mine.perSecond / theirs.perSecond,
        madeOf: {
          [`${one}PerSecond`]: mine.perSecond,
          [`${other}PerSecond`]: theirs.perSecond,
          [`${one}CpuUs`]: mine.cpuUs,
          [`${other}CpuUs`]: theirs.cpuUs,
        },
      })),
    )
  return [
    compare('in-process cache / unguarded', '>= 0.55', 'guarded', 'unguarded'),
    compare('no cache / the look-up alone', '>= 0.9', 'uncached', 'lookUp'),
    compare('introspectAt / unguarded', '>= 0.5', 'introspecting', 'unguarded'),
  ]
}

type Side = 'unguarded' | 'guarded' | 'introspecting' | 'lookUp' | 'uncached'

/** Checks that each route is guarded: it must refuse a request without a token. */
async function requireGuards(url: string): Promise<void> {
  for (const path of ['/guarded', '/guarded-by-introspection', '/guarded-without-cache']) {
    const { status } = await fetch(url + path)
    if (status !== 401) throw new Error(`${path} without a token: ${status}`)
  }
}

/** Sends the same headers to every route, whether it reads them or not. */
function writeRequest(path: string, token: string) {
  return { method: 'GET' as const, path, headers: { authorization: `Bearer ${token}` } }
}

/** Reads the id of the row, which a token's value begins with. */
function readId(token: string): string {
  return Buffer.from(token, 'base64url').toString('hex', 0, 16)
}
