import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Listener, Query } from './database.ts'
import { hidePassword } from './hide-password.ts'

/** One connection that listens for all listeners. */
export interface Listening {
  /** Adds a listener; the first one opens the connection. */
  add(listener: Listener): void
  close(): Promise<void>
}

/** Who is told when the listening begins and ends; neither may throw. */
export interface ListeningEvents {
  /** It does not listen, and why; told once until it listens again or there is another cause. */
  readonly onDeaf: (cause: Error) => void
  /** It listens again after it did not. */
  readonly onHearing: () => void
}

const channel = 'password_grant'
const proofMs = 2_000
const heartbeatMs = 2_000
const shortestPauseMs = 50
const longestPauseMs = 2_000

/**
 * LISTEN on a connection of its own, replaced whenever it breaks. It counts as listening once it has heard what
 * `announce` announced on another connection: a pooler may accept LISTEN and deliver nothing, and before migration 2
 * nobody announces.
 */
export function createListening(where: pg.PoolConfig, announce: Query, events: ListeningEvents): Listening {
  const listeners = new Set<Listener>()
  const closing = new AbortController()
  let isListening = false
  let endConnection = (_cause: Error) => {}
  let running: Promise<void> | null = null
  let told: string | null = null

  function tell(isNowListening: boolean): void {
    if (isNowListening === isListening) return
    isListening = isNowListening
    for (const listener of listeners) listener.onListening(isNowListening)
    if (!isListening || told === null) return
    told = null
    events.onHearing()
  }

  /** From connecting to the end of the connection; resolves with the cause of the end. */
  async function listenOnce(): Promise<Error> {
    try {
      return await listenOn(new pg.Client({ ...settings, ...where }))
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  async function listenOn(client: pg.Client): Promise<Error> {
    const over = new Promise<Error>((resolve) => {
      endConnection = resolve
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the connection ended')))
    })
    client.on('notification', ({ payload = '' }) => {
      for (const listener of listeners) listener.onNotice(payload)
    })
    try {
      const problem = await Promise.race([prepare(client, announce), over])
      if (problem) return problem
      tell(true)
      return await Promise.race([over, keepHeartbeat(client)])
    } finally {
      tell(false)
      await Promise.race([client.end().catch(() => undefined), sleep(1_000, undefined, { ref: false })])
    }
  }

  async function keepListening(): Promise<void> {
    let pauseMs = shortestPauseMs
    while (!closing.signal.aborted) {
      const began = performance.now()
      const cause = hidePassword(await listenOnce(), where.password)
      if (closing.signal.aborted) return
      if (cause.message !== told) events.onDeaf(cause) // an outage of hours needs one line
      told = cause.message
      pauseMs = performance.now() - began > 10_000 ? shortestPauseMs : Math.min(pauseMs * 2, longestPauseMs)
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

const settings = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 }

/** Rejects when the database no longer answers: a connection may be dead for many minutes before its socket says so. */
async function keepHeartbeat(client: pg.Client): Promise<never> {
  for (;;) {
    await sleep(heartbeatMs, undefined, { ref: false })
    await client.query('select')
  }
}

/** Null once the connection has heard something; else why it does not count as listening. */
async function prepare(client: pg.Client, announce: Query): Promise<Error | null> {
  await client.connect()
  await client.query(`listen ${channel}`)
  const proof = `hello ${Math.random()}`
  const heard = new Promise<null>((resolve) => {
    client.on('notification', ({ payload }) => {
      if (payload === proof) resolve(null)
    })
  })
  const announced = await announce('prove_listening', provingText, [channel, proof])
  if (announced.length === 0) return new Error('migration 2, which announces ended tokens, has not been applied')
  const silence = new Error('notifications are not delivered (a pooler between?)')
  return Promise.race([heard, sleep(proofMs, silence, { ref: false })])
}

const provingText = `
select pg_notify($1, $2)
from pg_trigger
where tgrelid = to_regclass('password_grant.tokens') and tgname = 'tokens_ended'`
