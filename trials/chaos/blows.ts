import { setTimeout as sleep } from 'node:timers/promises'
import { type Postgres, type PostgresKill, postgresKills } from './postmaster.ts'
import type { Random } from './random.ts'
import type { Recoveries } from './recoveries.ts'
import type { Server } from './server.ts'

/** The ways to hit a server. */
export const serverKills = ['server SIGKILL', 'server SIGTERM'] as const
type ServerKill = (typeof serverKills)[number]

/** Every kind of kill. */
export const kinds = [...serverKills, ...postgresKills] as const

/** The targets of the hits, and the chances that decide. */
export interface Blows {
  readonly servers: readonly Server[]
  readonly postgres: Postgres
  readonly recoveries: Recoveries
  readonly random: Random
}

/** Hits at least once, and then until `isOver`. */
export type StrikeBlows = (isOver: () => boolean) => Promise<void>

/**
 * Hits servers and PostgreSQL independently at random moments, and restarts what is down. Every kind of hit occurs once before
 * any repeats. Resolves when everything is up again.
 */
export function createBlows({ servers, postgres, recoveries, random }: Blows): StrikeBlows {
  const names = servers.map(({ name }) => name)
  const isDown = new Set<Server | Postgres>()
  let deck: (ServerKill | PostgresKill)[] = []

  async function hitServer(server: Server, kind: ServerKill): Promise<void> {
    const comesBack = recoveries.begin(kind, [server.name])
    await server.end(kind === 'server SIGKILL' ? 'SIGKILL' : 'SIGTERM')
    await sleep(random.between(0, 500))
    comesBack()
    await server.start()
  }

  async function hitPostgres(kind: PostgresKill): Promise<void> {
    if (!(await postgres.isThere())) return // between two postmasters of an embedded one
    const comesBack = recoveries.begin(kind, names)
    await postgres.hit(kind, random)
    await sleep(kind.includes('backend') ? 0 : random.between(0, 800))
    comesBack()
    if (!(await postgres.isThere())) await postgres.start()
  }

  /** Starts the next blow, or returns null if its target is already down. */
  function strikeNext(): Promise<void> | null {
    if (deck.length === 0) deck = random.shuffle([...kinds, ...serverKills])
    const kind = deck.pop()
    if (kind === undefined) return null
    const isForServer = (serverKills as readonly string[]).includes(kind)
    const target = isForServer
      ? servers.filter((server) => !isDown.has(server)).at(random.chance(0.5) ? 0 : -1)
      : postgres
    if (!target || isDown.has(target)) {
      deck.unshift(kind) // try this kind again later
      return null
    }
    isDown.add(target)
    const blow = isForServer ? hitServer(target as Server, kind as ServerKill) : hitPostgres(kind as PostgresKill)
    return blow.finally(() => isDown.delete(target))
  }

  return async (isOver) => {
    const blows: Promise<void>[] = []
    await sleep(random.between(200, 1_000))
    do {
      const blow = strikeNext()
      blow?.catch(() => undefined) // the failure is reported below
      if (blow) blows.push(blow)
      // hit sometimes while something is still down, and sometimes after everything was up for a moment
      if (random.chance(0.6)) await Promise.allSettled(blows)
      await sleep(random.between(100, 2_000))
    } while (!isOver())
    await Promise.allSettled(blows)
    await Promise.all(blows)
  }
}
