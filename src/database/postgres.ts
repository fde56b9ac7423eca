import type pg from 'pg'
import type { Database, Query } from './database.ts'
import { readDatabaseUrl } from './database-url.ts'
import { Lane } from './lane.ts'
import { createListening, type ListeningEvents } from './listening.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { setAtStartUp } from './start-up-settings.ts'
import { servingTimeouts, type Timeouts } from './timeouts.ts'
import { isReadOnly, isSilent, isStale } from './to-outage.ts'

/** How a database is reached and who hears about its connections; none of those may throw. */
export interface PostgresOptions extends Partial<ListeningEvents> {
  /** Connections of each lane: one lane looks up, one writes. Four measured fastest on two cores. */
  readonly connections?: number
  /** How long it may let its askers wait. Default: as somebody who waits for an HTTP answer can. */
  readonly timeouts?: Partial<Timeouts>
  /** The connections' `application_name`. Default: a server's. */
  readonly applicationName?: string
  /** Called with the cause when an idle connection is lost; the lane replaces it by itself. */
  readonly onConnectionLost?: (cause: Error) => void
}

/**
 * Opens PostgreSQL at a `postgres://` URL. Connects with the first statement, so a database that is away
 * shows as `temporarily_unavailable` there. Throws TypeError when `url` cannot be one, or names a certificate that cannot be
 * read; the message repeats nothing of it.
 */
export async function openDatabase(url: string, options: PostgresOptions = {}): Promise<Database> {
  return connectLanes(readUrl(url), options)
}

function readUrl(url: string): pg.PoolConfig {
  try {
    return readDatabaseUrl(url)
  } catch (error) {
    throw new TypeError(`openDatabase: ${(error as TypeError).message}`) // it throws nothing else
  }
}

/** The lanes behind the door; also how an embedded PostgreSQL is reached. */
export function connectLanes(where: pg.PoolConfig, options: PostgresOptions = {}): Database {
  const lanes = openLanes(where, options)
  const { lookups, writes, scripts } = lanes
  const persevere = <T>(attempt: () => Promise<T>): Promise<T> => {
    return retryConflicts(() => attempt().catch((error) => giveUpWhereOld(lanes, error)))
  }
  const write: Query = (...statement) => persevere(() => writes.query(...statement))
  const listening = createListening(lanes.writing, write, {
    onDeaf: (cause) => options.onDeaf?.(cause),
    onHearing: () => options.onHearing?.(),
  })
  const close = async () => {
    await Promise.all([lookups.end(), writes.end(), scripts.end(), listening.close()])
  }
  let closed: Promise<void> | null = null
  return {
    lookups: (...statement) => persevere(() => lookups.query<never>(...statement).catch(blameWriter)),
    writes: write,
    script: (...script) => persevere(() => scripts.script(...script)),
    transaction: (work) => persevere(() => writes.transaction(work)),
    listen: (listener) => listening.add(listener),
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

interface Lanes {
  readonly lookups: Lane
  readonly writes: Lane
  /** Connections are opened as scripts ask for them, which a server does at its start at most. */
  readonly scripts: Lane
  /** How a connection is made that may write. */
  readonly writing: pg.PoolConfig
}

function openLanes(where: pg.PoolConfig, options: PostgresOptions): Lanes {
  const timeouts = { ...servingTimeouts, ...options.timeouts }
  const connection = {
    ...where,
    max: options.connections ?? 4,
    application_name: where.application_name ?? options.applicationName ?? serverName,
    connectionTimeoutMillis: timeouts.connectionMs,
    query_timeout: timeouts.answerMs,
    keepAlive: true,
  }
  const onConnectionLost = (cause: Error) => options.onConnectionLost?.(cause)
  const writing = setAtStartUp(connection, { timeouts })
  const reading = setAtStartUp(connection, { timeouts, isReadOnly: true })
  const unlimited = { ...setAtStartUp(connection, { timeouts: withoutLimits }), query_timeout: 0 }
  return {
    lookups: new Lane(reading, onConnectionLost),
    writes: new Lane(writing, onConnectionLost),
    scripts: new Lane(unlimited, onConnectionLost),
    writing,
  }
}

/** The name of a server's connections, which a migration may end while they are idle; servers replace them. */
const serverName = 'password-grant'

const withoutLimits = { statementMs: 0, lockMs: 0, idleInTransactionMs: 0 }

/** After a failover the name may lead elsewhere, while connections that are kept lead to a standby by now, or nowhere. */
function giveUpWhereOld({ lookups, writes, scripts }: Lanes, error: unknown): never {
  if (isReadOnly(error) || isSilent(error) || isStale(error)) {
    for (const lane of [lookups, writes, scripts]) lane.giveUpIdle()
  }
  throw error
}

/** A standby answers every look-up, so that a refusal to write is a fault of this program here, and no outage. */
function blameWriter(error: unknown): never {
  if (!isReadOnly(error)) throw error
  throw new Error('a look-up writes; it belongs on another lane', { cause: error })
}
