import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** Who hears what the database announces. */
export interface Listener {
  /** Something was announced: `token <id>` when what is known of that token is over. */
  readonly onNotice: (notice: string) => void
  /** False from the moment announcements may be missed until they are heard again. */
  readonly onListening: (isListening: boolean) => void
}

/** One connection that listens for all listeners. */
export interface Listening {
  /** Adds a listener; the first one opens the connection. */
  add(listener: Listener): void
  close(): Promise<void>
}

const channel = 'password_grant'
const proofMs = 2_000
const shortestPauseMs = 50
const longestPauseMs = 2_000
const steadyMs = 10_000

/**
 * LISTEN on a connection of its own, replaced whenever it breaks; `onLost` hears why. It counts as listening once
 * it has heard an announcement of its own: a pooler may accept LISTEN and deliver nothing.
 */
export function createListening(where: pg.PoolConfig, onLost: (cause: Error) => void): Listening {
  const listeners = new Set<Listener>()
  const closing = new AbortController()
  let isListening = false
  let endConnection = (_cause: Error) => {}
  let running: Promise<void> | null = null

  function tell(isNowListening: boolean): void {
    if (isNowListening === isListening) return
    isListening = isNowListening
    for (const listener of listeners) listener.onListening(isNowListening)
  }

  /** From connecting to the end of the connection; resolves with the cause of the end. */
  async function listenOnce(): Promise<Error> {
    const client = new pg.Client({ ...where, ...settings })
    const over = new Promise<Error>((resolve) => {
      endConnection = resolve
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the listening connection ended')))
    })
    client.on('notification', ({ payload = '' }) => {
      for (const listener of listeners) listener.onNotice(payload)
    })
    try {
      await client.connect()
      await client.query(`listen ${channel}`)
      const problem = await Promise.race([proveHearing(client), over])
      if (problem) return problem
      tell(true)
      return await over
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    } finally {
      tell(false)
      await Promise.race([client.end().catch(() => undefined), sleep(1_000, undefined, { ref: false })])
    }
  }

  async function keepListening(): Promise<void> {
    let pauseMs = shortestPauseMs
    let told = ''
    while (!closing.signal.aborted) {
      const began = performance.now()
      const cause = await listenOnce()
      if (closing.signal.aborted) return
      if (performance.now() - began > steadyMs) {
        pauseMs = shortestPauseMs
        told = ''
      }
      if (cause.message !== told) onLost(cause) // an outage of hours needs one line
      told = cause.message
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined)
    }
  }

  return {
    add: (listener) => {
      listeners.add(listener)
      if (isListening) listener.onListening(true)
      running ??= keepListening()
    },
    close: async () => {
      closing.abort()
      endConnection(new Error('closed'))
      await running
    },
  }
}

const settings = {
  connectionTimeoutMillis: 5_000,
  query_timeout: 5_000,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
}

/** Null once the connection has heard itself; else why it does not count as listening. */
async function proveHearing(client: pg.Client): Promise<Error | null> {
  const proof = `hello ${Math.random()}`
  const heard = new Promise<null>((resolve) => {
    client.on('notification', ({ payload }) => {
      if (payload === proof) resolve(null)
    })
  })
  await client.query('select pg_notify($1, $2)', [channel, proof])
  const silence = new Error('the database delivers no notifications (a pooler between?)')
  return Promise.race([heard, sleep(proofMs, silence, { ref: false })])
}
