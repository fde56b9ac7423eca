import type pg from 'pg'
import type { Database, Query } from './database.ts'
import { readDatabaseUrl } from './database-url.ts'
import { Lane } from './lane.ts'
import { Listening, type ListeningEvents } from './listening.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { setAtStartUp } from './start-up-settings.ts'
import { servingTimeouts, type Timeouts } from './timeouts.ts'
import { isReadOnly, isSilent, isStale } from './to-outage.ts'

/** The options of a connection to PostgreSQL. The callbacks must not throw. */
export interface PostgresOptions extends Partial<ListeningEvents> {
  /** Connections of each lane (one lane for look-ups, one for writes). Default: 4, which measured fastest on two cores. */
  readonly connections?: number
  /** How long the database may take. The default suits callers that wait for an HTTP answer. */
  readonly timeouts?: Partial<Timeouts>
  /** The `application_name` of the connections. Default: `password-grant`, the name of a server's. */
  readonly applicationName?: string
  /** Called with the cause when an idle connection is lost. The lane replaces it. */
  readonly onConnectionLost?: (cause: Error) => void
}

/**
 * Opens a PostgreSQL database at a `postgres://` URL. It connects with the first statement, so a database that is away first
 * shows there, as `temporarily_unavailable`. Throws TypeError if `url` is invalid or names an unreadable certificate. The
 * message repeats nothing from the URL.
 */
export async function openDatabase(url: string, options: PostgresOptions = {}): Promise<Database> {
  return connectLanes(readUrl(url), options)
}

function readUrl(url: string): pg.PoolConfig {
  try {
    return readDatabaseUrl(url)
  } catch (error) {
    throw new TypeError(`openDatabase: ${(error as TypeError).message}`) // it throws only TypeError
  }
}

/** Opens the lanes on a PostgreSQL server, external or embedded. */
export function connectLanes(where: pg.PoolConfig, options: PostgresOptions = {}): Database {
  const lanes = openLanes(where, options)
  const { lookups, writes, scripts } = lanes
  const persevere = <T>(attempt: () => Promise<T>): Promise<T> => {
    return retryConflicts(() => attempt().catch((error) => giveUpWhereOld(lanes, error)))
  }
  const write: Query = (...statement) => persevere(() => writes.query(...statement))
  const listening = new Listening(lanes.writing, write, {
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
  /** Opens connections on demand. A server uses it only at start-up. */
  readonly scripts: Lane
  /** The configuration of a connection that may write. */
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

/** The name of a server's connections. A migration may end idle ones, and servers replace them. */
const serverName = 'password-grant'

const withoutLimits = { statementMs: 0, lockMs: 0, idleInTransactionMs: 0 }

/** Closes idle connections that may be out of date. After a failover they may lead to a standby, or to a dead server. */
function giveUpWhereOld({ lookups, writes, scripts }: Lanes, error: unknown): never {
  if (isReadOnly(error) || isSilent(error) || isStale(error)) {
    for (const lane of [lookups, writes, scripts]) lane.giveUpIdle()
  }
  throw error
}

/** Turns a refused write into Error: on the look-up lane it is a fault of this program, not an outage. */
function blameWriter(error: unknown): never {
  if (!isReadOnly(error)) throw error
  throw new Error('a look-up writes; it belongs on another lane', { cause: error })
}
