import { DateTime } from 'luxon'
import pg from 'pg'
import { isOutage } from '../errors.ts'
import type { Database, Query } from './database.ts'
import { readDatabaseUrl } from './database-url.ts'
import { hidePassword } from './hide-password.ts'
import { createListening, type ListeningEvents } from './listening.ts'
import { retryConflicts } from './retry-conflicts.ts'
import { servingTimeouts, type Timeouts } from './timeouts.ts'
import { isConflict, isReadOnly, isSilent, isStale, refuseOverload, toConnectOutage, toOutage } from './to-outage.ts'

/** How a database is reached and who hears about its connections; none of those may throw. */
export interface PostgresOptions extends Partial<ListeningEvents> {
  /** Connections a side: one pool for sign-ins, one for token checks. Four measured fastest on two cores. */
  readonly connections?: number
  /** How long it may let its askers wait. Default: as somebody who waits for an HTTP answer can. */
  readonly timeouts?: Partial<Timeouts>
  /** The connections' `application_name`. Default: a server's. */
  readonly applicationName?: string
  /** Called with the cause when an idle connection is lost; the pool replaces it by itself. */
  readonly onConnectionLost?: (cause: Error) => void
}

/**
 * Opens PostgreSQL at a `postgres://` URL. Connects with the first statement, so a database that is away
 * shows as `temporarily_unavailable` there. Throws TypeError when `url` cannot be one, or names a certificate that cannot be
 * read; the message repeats nothing of it.
 */
export async function openDatabase(url: string, options: PostgresOptions = {}): Promise<Database> {
  return connectPools(readUrl(url), options)
}

function readUrl(url: string): pg.PoolConfig {
  try {
    return readDatabaseUrl(url)
  } catch (error) {
    throw new TypeError(`openDatabase: ${(error as TypeError).message}`) // it throws nothing else
  }
}

/** The two pools behind the door; also how an embedded PostgreSQL is reached. */
export function connectPools(where: pg.PoolConfig, options: PostgresOptions = {}): Database {
  const timeouts = { ...servingTimeouts, ...options.timeouts }
  const connection = {
    ...where,
    application_name: where.application_name ?? options.applicationName ?? serverName,
    connectionTimeoutMillis: timeouts.connectionMs,
    query_timeout: timeouts.answerMs,
    keepAlive: true,
  }
  const writing = connectPool(connection, timeouts, options)
  const checking = connectPool(connection, timeouts, options)
  const giveUpWhereOld = (error: unknown): never => {
    if (isReadOnly(error) || isSilent(error) || isStale(error)) for (const pool of [writing, checking]) giveUpIdle(pool)
    throw error
  }
  const persevere = <T>(attempt: () => Promise<T>): Promise<T> => {
    return retryConflicts(() => attempt().catch(giveUpWhereOld))
  }
  const queryOn = (pool: pg.Pool, query = queryOnPool(pool, timeouts)): Query => {
    return (name, text, values) => persevere(() => query(name, text, values))
  }
  const tokenQuery = queryOn(checking)
  const listening = createListening(connection, tokenQuery, {
    onDeaf: (cause) => options.onDeaf?.(cause),
    onHearing: () => options.onHearing?.(),
  })
  const close = async () => {
    await Promise.all([writing.end(), checking.end(), listening.close()])
  }
  let closed: Promise<void> | null = null
  return {
    query: queryOn(writing),
    tokenQuery,
    transaction: (work) => persevere(() => runTransaction(writing, work)),
    listen: listening.add,
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

/** The name of a server's connections, which a migration may end while they are idle; servers replace them. */
const serverName = 'password-grant'

function connectPool(connection: pg.PoolConfig, timeouts: Timeouts, options: PostgresOptions): pg.Pool {
  const pool = new pg.Pool({
    ...connection,
    max: options.connections ?? 4,
    types: { getTypeParser },
    onConnect: (client) => settleSession(client, timeouts),
  })
  // without a listener Node would end the process
  pool.on('error', (cause) => options.onConnectionLost?.(hidePassword(cause, connection.password)))
  return pool
}

/**
 * Sets what the statements rely on, over the server's and the database's defaults. Names without a schema
 * are PostgreSQL's own: a function or an operator that another tenant planted in `public` would run with our rights.
 */
async function settleSession(client: pg.ClientBase, timeouts: Timeouts): Promise<void> {
  await control(
    client,
    `set search_path = pg_catalog; set datestyle = iso; set default_transaction_isolation = 'read committed'; set standard_conforming_strings = on;
    set statement_timeout = ${timeouts.statementMs}; set lock_timeout = ${timeouts.lockMs};
    set idle_in_transaction_session_timeout = ${timeouts.idleInTransactionMs}`,
  )
}

/** After a failover the name may lead elsewhere, while connections that are kept lead to a standby by now, or nowhere. */
function giveUpIdle(pool: pg.Pool): void {
  for (let left = pool.idleCount; left > 0; left -= 1) {
    pool.connect().then(
      (client) => client.release(true),
      () => undefined, // it is away by now
    )
  }
}

const timestamptz = 1184

/** Moments become luxon DateTimes in UTC, here and nowhere else; every other type is read as pg reads it. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  const parse = pg.types.getTypeParser(oid, format as 'text')
  if (oid !== timestamptz) return parse
  return (text: string) => DateTime.fromJSDate(parse(text) as unknown as Date, { zone: 'utc' })
}

const longestTimeoutMs = 2 ** 31 - 1

async function send<Row extends object>(
  client: pg.PoolClient,
  ...[name, text, values]: Parameters<Query>
): Promise<Row[]> {
  try {
    const statement = name === '' ? { text, query_timeout: longestTimeoutMs } : { name, text }
    const result = await client.query<Row>(values ? { ...statement, values: [...values] } : statement)
    return result.rows
  } catch (error) {
    throw toOutage(error)
  }
}

/** How many may wait for a connection of a pool: more would wait in vain, and hold memory meanwhile. */
const maxWaiting = 1_000

/** Throws OAuthError `temporarily_unavailable` where too many wait for a connection already. */
function requireRoom({ waitingCount }: pg.Pool): void {
  if (waitingCount < maxWaiting) return
  throw refuseOverload('database: too many waiting for a connection')
}

/** Each statement on whichever connection is free, for as long as it runs. */
function queryOnPool(pool: pg.Pool, timeouts: Timeouts): Query {
  return (name, text, values) => {
    if (name !== '') return lend(pool, (client) => send(client, name, text, values))
    return lend(pool, async (client) => {
      await control(client, 'set statement_timeout = 0; set lock_timeout = 0')
      const rows = await send<never>(client, name, text, values)
      await settleSession(client, timeouts)
      return rows
    })
  }
}

/** Lends a connection; where that ends in an error, `mayKeep` says whether anybody else may have it. */
async function lend<T>(
  pool: pg.Pool,
  use: (client: pg.PoolClient) => Promise<T>,
  mayKeep: (client: pg.PoolClient, error: unknown) => Promise<boolean> = async () => false,
): Promise<T> {
  requireRoom(pool)
  const client = await connect(pool)
  client.on('error', ignoreLoss)
  const giveBack = (isSound: boolean) => {
    client.off('error', ignoreLoss)
    client.release(!isSound)
  }
  try {
    const result = await use(client)
    giveBack(true)
    return result
  } catch (error) {
    giveBack(await mayKeep(client, error))
    throw error
  }
}

/** Nothing has been asked yet, so no error here is a verdict on a request. */
async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    throw toConnectOutage(hidePassword(error, pool.options.password))
  }
}

/** The next statement tells; without a listener Node would end the process. */
function ignoreLoss(): void {}

async function runTransaction<T>(pool: pg.Pool, work: (query: Query) => Promise<T>): Promise<T> {
  const run = async (client: pg.PoolClient) => {
    await control(client, 'begin')
    const result = await work(queryWithin(client))
    await control(client, 'commit')
    return result
  }
  return lend(pool, run, rollBack)
}

/** What a connection that is given up had begun, the database undoes by itself. */
async function rollBack(client: pg.PoolClient, error: unknown): Promise<boolean> {
  if (isOutage(error) && !isConflict(error)) return false
  return client.query('rollback').then(
    () => true,
    () => false,
  )
}

/** Statements of one transaction, which may take its time from the first one without a name on: a migration does. */
function queryWithin(client: pg.PoolClient): Query {
  let isLimited = true
  return async (name, text, values) => {
    if (name === '' && isLimited) {
      isLimited = false
      await control(client, withoutLimits)
    }
    return send(client, name, text, values)
  }
}

const withoutLimits = `
set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0`

async function control(client: pg.ClientBase, text: string): Promise<void> {
  await client.query(text).catch((error: unknown) => {
    throw toOutage(error)
  })
}
