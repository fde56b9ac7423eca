import { DateTime } from 'luxon'
import pg from 'pg'
import { isOutage } from '../errors.ts'
import type { Query, Script } from './database.ts'
import { hidePassword } from './hide-password.ts'
import { isConflict, refuseOverload, toConnectOutage, toOutage } from './to-outage.ts'

/** How many may wait for a connection of a lane: more would wait in vain, and hold memory meanwhile. */
const maxWaiting = 1_000

/**
 * Connections that are alike, and who uses them: each statement, script or transaction has one for as long as it runs. What
 * a connection allows is in the packet that opened it.
 */
export class Lane {
  readonly #pool: pg.Pool
  #isProven = false

  /** `onConnectionLost` is told of idle connections; it may not throw. */
  constructor(connection: pg.PoolConfig, onConnectionLost: (cause: Error) => void) {
    const onConnect = (client: pg.ClientBase) => this.#proveSettings(client)
    this.#pool = new pg.Pool({ ...connection, types: { getTypeParser }, onConnect })
    // without a listener Node would end the process
    this.#pool.on('error', (cause) => onConnectionLost(hidePassword(cause, connection.password)))
  }

  /** Runs one statement that the database prepares under its name. */
  query<Row extends object>(...[name, text, values]: Parameters<Query>): Promise<Row[]> {
    return this.#lend((client) => send<Row>(client, { name, text }, values))
  }

  /** Runs a text that the database does not prepare. */
  script<Row extends object>(...[text, values]: Parameters<Script>): Promise<Row[]> {
    return this.#lend((client) => send<Row>(client, { text }, values))
  }

  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. */
  transaction<T>(work: (query: Query, script: Script) => Promise<T>): Promise<T> {
    return this.#lend(async (client) => {
      await send(client, { text: 'begin' })
      const result = await work((name, text, values) => send(client, { name, text }, values), scriptWithin(client))
      await send(client, { text: 'commit' })
      return result
    }, rollBack)
  }

  /** Gives up the connections that nobody uses: the name may lead elsewhere by now. */
  giveUpIdle(): void {
    for (let left = this.#pool.idleCount; left > 0; left -= 1) {
      this.#pool.connect().then(
        (client) => client.release(true),
        () => undefined, // it is away by now
      )
    }
  }

  /** Ends all connections, each when it is no longer used. */
  end(): Promise<void> {
    return this.#pool.end()
  }

  /** Lends a connection; where that ends in an error, `mayKeep` says whether anybody else may have it. */
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

  /** Nothing has been asked yet, so no error here is a verdict on a request. */
  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw toConnectOutage(hidePassword(error, this.#pool.options.password))
    }
  }

  /**
   * Asks a first connection whether its settings arrived. A pooler may drop them, and without the search path the statements
   * would call what another tenant planted.
   */
  async #proveSettings(client: pg.ClientBase): Promise<void> {
    if (this.#isProven) return
    const { rows } = await client.query<{ search_path: string }>('show search_path') // calls no function
    if (rows[0]?.search_path !== 'pg_catalog') {
      throw new Error('the search path is not pg_catalog, since a pooler drops the settings of connections')
    }
    this.#isProven = true
  }
}

const timestamptz = 1184

/** Moments become luxon DateTimes in UTC, here and nowhere else; every other type is read as pg reads it. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  const parse = pg.types.getTypeParser(oid, format as 'text')
  if (oid !== timestamptz) return parse
  return (text: string) => DateTime.fromJSDate(parse(text) as unknown as Date, { zone: 'utc' })
}

/** Of several statements the last one's rows count; `pg` returns a result for each. */
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

/** The next statement tells; without a listener Node would end the process. */
function ignoreLoss(): void {}

/** What a connection that is given up had begun, the database undoes by itself. */
async function rollBack(client: pg.PoolClient, error: unknown): Promise<boolean> {
  if (isOutage(error) && !isConflict(error)) return false
  return client.query('rollback').then(
    () => true,
    () => false,
  )
}

/** Scripts of one transaction, which may take its time from the first one on: a migration does. */
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
