import { DateTime } from 'luxon'
import pg from 'pg'
import { OAuthError } from '../errors.ts'
import { type Database, isPostgresUrl, type Query } from './database.ts'
import { createListening, type ListeningEvents } from './listening.ts'

/** How a database is reached and who hears about its connections; none of those may throw. */
export interface PostgresOptions extends Partial<ListeningEvents> {
  /** Connections a side: one pool for sign-ins, one for token checks. Four measured fastest on two cores. */
  readonly connections?: number
  /** Called with the cause when an idle connection is lost; the pool replaces it by itself. */
  readonly onConnectionLost?: (cause: Error) => void
}

/**
 * Opens PostgreSQL at a `postgres://` URL. Connects with the first statement, so a database that is away
 * shows as `temporarily_unavailable` there. Throws TypeError when `url` is no `postgres://` URL.
 */
export async function openDatabase(url: string, options: PostgresOptions = {}): Promise<Database> {
  if (!isPostgresUrl(url)) throw new TypeError('openDatabase: expected a postgres:// URL')
  return connectPools({ connectionString: url }, options)
}

/** The two pools behind the door; also how an embedded PostgreSQL is reached. */
export function connectPools(where: pg.PoolConfig, options: PostgresOptions = {}): Database {
  const writing = connectPool(where, options)
  const checking = connectPool(where, options)
  const listening = createListening({ ...where, application_name: applicationName }, queryOn(checking), {
    onDeaf: (cause) => options.onDeaf?.(cause),
    onHearing: () => options.onHearing?.(),
  })
  return {
    query: queryOn(writing),
    tokenQuery: queryOn(checking),
    transaction: (work) => runTransaction(writing, work),
    listen: listening.add,
    close: async () => {
      await Promise.all([writing.end(), checking.end(), listening.close()])
    },
  }
}

const applicationName = 'password-grant'

function connectPool(where: pg.PoolConfig, options: PostgresOptions): pg.Pool {
  const pool = new pg.Pool({
    ...where,
    max: options.connections ?? 4,
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
    keepAlive: true,
    application_name: applicationName,
    types: { getTypeParser },
    onConnect: settleSession,
  })
  pool.on('error', (cause) => options.onConnectionLost?.(cause)) // without a listener Node would end the process
  return pool
}

/** What the statements here rest on, whatever the server's or the database's own defaults are. */
async function settleSession(client: pg.ClientBase): Promise<void> {
  await client.query(
    `set datestyle = iso; set default_transaction_isolation = 'read committed'; set standard_conforming_strings = on`,
  )
}

const timestamptz = 1184

/** Moments become luxon DateTimes in UTC, here and nowhere else; every other type is read as pg reads it. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  const parse = pg.types.getTypeParser(oid, format as 'text')
  if (oid !== timestamptz) return parse
  return (text: string) => DateTime.fromJSDate(parse(text) as unknown as Date, { zone: 'utc' })
}

const longestTimeoutMs = 2 ** 31 - 1

function queryOn(queryable: pg.Pool | pg.PoolClient): Query {
  return async <Row extends object>(name: string, text: string, values?: readonly unknown[]) => {
    try {
      // a migration may take its time
      const statement = name === '' ? { text, query_timeout: longestTimeoutMs } : { name, text }
      const result = await queryable.query<Row>(values ? { ...statement, values: [...values] } : statement)
      return result.rows
    } catch (error) {
      throw toOutage(error)
    }
  }
}

async function runTransaction<T>(pool: pg.Pool, work: (query: Query) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw toOutage(error)
  })
  const query = queryOn(client)
  try {
    await control(client, 'begin')
    const result = await work(query)
    await control(client, 'commit')
    client.release()
    return result
  } catch (error) {
    const rolledBack = await client.query('rollback').then(
      () => true,
      () => false,
    )
    client.release(!rolledBack)
    throw error
  }
}

async function control(client: pg.PoolClient, text: 'begin' | 'commit'): Promise<void> {
  await client.query(text).catch((error: unknown) => {
    throw toOutage(error)
  })
}

// 08 connection, 28 authorization, 3D no such database, 40 serialization, 53 resources, 57 operator, 58 system,
// 25006 read-only, 26 a pooler forgot our statements, 3F and 42P01 not migrated, 55P03 lock not available
const outageState = /^(08|26|28|3D|3F|40|42P01|53|55P03|57|58|25006)/

/** Tells an outage, which is never a verdict, from a mistake of ours or a constraint that said no. */
function toOutage(error: unknown): unknown {
  const isAnswer = error instanceof pg.DatabaseError && !outageState.test(error.code ?? '')
  if (isAnswer || error instanceof OAuthError) return error
  return new OAuthError('temporarily_unavailable', 'The service cannot answer right now. Try again shortly.', {
    reason: `database away: ${describe(error)}`,
    cause: error,
    retryAfterSeconds: 1,
  })
}

/** What a driver says of an outage; where it tried several addresses there is only a code. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
