import { DateTime } from 'luxon'
import pg from 'pg'
import { isOutage } from '../errors.ts'
import type { Query, Script } from './database.ts'
import { hidePassword } from './hide-password.ts'
import { isConflict, refuseOverload, toConnectOutage, toOutage } from './to-outage.ts'

/** How many statements may wait for a connection of a lane. More would only time out, and use memory meanwhile. */
const maxWaiting = 1_000

/**
 * A pool of connections with the same settings, which are sent in the packet that opens each connection. Every statement,
 * script or transaction has a connection to itself while it runs.
 */
export class Lane {
  readonly #pool: pg.Pool
  #isProven = false

  /** `onConnectionLost` is called when an idle connection is lost. It must not throw. */
  constructor(connection: pg.PoolConfig, onConnectionLost: (cause: Error) => void) {
    const onConnect = (client: pg.ClientBase) => this.#proveSettings(client)
    this.#pool = new pg.Pool({ ...connection, types: { getTypeParser }, onConnect })
    // without a listener for errors, Node would end the process
    this.#pool.on('error', (cause) => onConnectionLost(hidePassword(cause, connection.password)))
  }

  /** Runs one statement, prepared under its name. */
  query<Row extends object>(...[name, text, values]: Parameters<Query>): Promise<Row[]> {
    return this.#lend((client) => send<Row>(client, { name, text }, values))
  }

  /** Runs a text unprepared. */
  script<Row extends object>(...[text, values]: Parameters<Script>): Promise<Row[]> {
    return this.#lend((client) => send<Row>(client, { text }, values))
  }

  /** Runs `work` in one transaction. Commits when it resolves and rolls back when it rejects. */
  transaction<T>(work: (query: Query, script: Script) => Promise<T>): Promise<T> {
    return this.#lend(async (client) => {
      await send(client, { text: 'begin' })
      const result = await work((name, text, values) => send(client, { name, text }, values), scriptWithin(client))
      await send(client, { text: 'commit' })
      return result
    }, rollBack)
  }

  /** Closes the idle connections, since the host name may lead to another server by now. */
  giveUpIdle(): void {
    for (let left = this.#pool.idleCount; left > 0; left -= 1) {
      this.#pool.connect().then(
        (client) => client.release(true),
        () => undefined, // the database is away
      )
    }
  }

  /** Closes all connections, each when it is no longer in use. */
  end(): Promise<void> {
    return this.#pool.end()
  }

  /** Runs `use` with a connection. After an error, `mayKeep` decides whether the connection goes back to the pool. */
  async #lend<T>(
    use: (client: pg.PoolClient) => Promise<T>,
    mayKeep: (client: pg.PoolClient, error: unknown) => Promise<boolean> = async () => false,
  ): Promise<T> {
    if (this.#pool.waitingCount >= maxWaiting) throw refuseOverload('database: too many waiting for a connection')
    const client = await this.#connect()
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

  /** Connects. Every error here is an outage, since no statement has been sent yet. */
  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw toConnectOutage(hidePassword(error, this.#pool.options.password))
    }
  }

  /**
   * Checks on the first connection that its settings arrived. A pooler may drop them, and without the search path a statement
   * could call a function that another tenant planted.
   */
  async #proveSettings(client: pg.ClientBase): Promise<void> {
    if (this.#isProven) return
    const { rows } = await client.query<{ search_path: string }>('show search_path') // this statement calls no function
    if (rows[0]?.search_path !== 'pg_catalog') {
      throw new Error('the search path is not pg_catalog: a pooler drops the settings of connections')
    }
    this.#isProven = true
  }
}

const timestamptz = 1184

/** Parses timestamps to luxon DateTimes in UTC, and every other type as pg does. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  const parse = pg.types.getTypeParser(oid, format as 'text')
  if (oid !== timestamptz) return parse
  return (text: string) => DateTime.fromJSDate(parse(text) as unknown as Date, { zone: 'utc' })
}

/** Sends a text and returns the rows of its last statement; `pg` returns a result for each statement. */
async function send<Row extends object>(
  client: pg.PoolClient,
  statement: { name?: string; text: string; query_timeout?: number },
  values?: readonly unknown[],
): Promise<Row[]> {
  try {
    const answer = await client.query<Row>(values ? { ...statement, values: [...values] } : statement)
    return [answer].flat().at(-1)?.rows ?? []
  } catch (error) {
    throw toOutage(error)
  }
}

/** Ignores a lost connection, since the next statement reports it. Without a listener Node would end the process. */
function ignoreLoss(): void {}

/** Rolls back. Returns false if the connection must be closed instead: then the database rolls back by itself. */
async function rollBack(client: pg.PoolClient, error: unknown): Promise<boolean> {
  if (isOutage(error) && !isConflict(error)) return false
  return client.query('rollback').then(
    () => true,
    () => false,
  )
}

/** Creates the `script` of a transaction. Its first call lifts the time limits, since a migration may take long. */
function scriptWithin(client: pg.PoolClient): Script {
  let isLimited = true
  return async (text, values) => {
    if (isLimited) await send(client, { text: withoutLimits })
    isLimited = false
    return send(client, { text, query_timeout: longestTimeoutMs }, values)
  }
}

const withoutLimits = `
set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0`

const longestTimeoutMs = 2 ** 31 - 1
