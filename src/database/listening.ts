import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Listener, Query } from './database.ts'
import { hidePassword } from './hide-password.ts'

/** Receives the beginning and the end of the listening. Neither function may throw. */
export interface ListeningEvents {
  /** The listening ended, for this cause. Called once for each cause until it listens again. */
  readonly onDeaf: (cause: Error) => void
  /** The listening began again. */
  readonly onHearing: () => void
}

const channel = 'password_grant'
const proofMs = 2_000
const heartbeatMs = 2_000
const shortestPauseMs = 50
const longestPauseMs = 2_000

/**
 * Listens (LISTEN) for all listeners on a connection of its own and replaces it when it breaks. It counts as listening once it has received
 * what `announce` sent on another connection. A pooler may accept LISTEN and deliver nothing, and before migration 2 the
 * database announces nothing.
 */
export class Listening {
  readonly #where: pg.PoolConfig
  readonly #announce: Query
  readonly #audience: Audience
  readonly #closing = new AbortController()
  #endConnection = (_cause: Error) => {}
  #running: Promise<void> | null = null

  constructor(where: pg.PoolConfig, announce: Query, events: ListeningEvents) {
    this.#where = where
    this.#announce = announce
    this.#audience = new Audience(events)
  }

  /** Adds a listener; the first one opens the connection. */
  add(listener: Listener): void {
    this.#audience.add(listener)
    this.#running ??= this.#keepListening()
  }

  /** Ends the connection. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#endConnection(new Error('closed'))
    await this.#running
  }

  async #keepListening(): Promise<void> {
    const { signal } = this.#closing
    let pauseMs = shortestPauseMs
    while (!signal.aborted) {
      const began = performance.now()
      const cause = hidePassword(await this.#listenOnce(), this.#where.password)
      if (signal.aborted) return
      this.#audience.tellCause(cause)
      pauseMs = performance.now() - began > 10_000 ? shortestPauseMs : Math.min(pauseMs * 2, longestPauseMs)
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** From connecting to the end of the connection; resolves with the cause of the end. */
  async #listenOnce(): Promise<Error> {
    try {
      return await this.#listenOn(new pg.Client({ ...settings, ...this.#where }))
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  async #listenOn(client: pg.Client): Promise<Error> {
    const over = this.#watchEnd(client)
    client.on('notification', ({ payload = '' }) => this.#audience.pass(payload))
    try {
      const problem = await Promise.race([prepare(client, this.#announce), over])
      if (problem) return problem
      this.#audience.tell(true)
      return await Promise.race([over, keepHeartbeat(client)])
    } finally {
      this.#audience.tell(false)
      await Promise.race([client.end().catch(() => undefined), sleep(1_000, undefined, { ref: false })])
    }
  }

  /** Resolves with the cause when the connection ends, or when `close` is called. */
  #watchEnd(client: pg.Client): Promise<Error> {
    return new Promise((resolve) => {
      this.#endConnection = resolve
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the connection ended')))
    })
  }
}

/** The listeners, and the events that tell the program when listening begins and ends. */
class Audience {
  readonly #events: ListeningEvents
  readonly #listeners = new Set<Listener>()
  #isListening = false
  #toldCause: string | null = null

  constructor(events: ListeningEvents) {
    this.#events = events
  }

  add(listener: Listener): void {
    this.#listeners.add(listener)
    if (this.#isListening) listener.onListening(true)
  }

  /** Passes a notice to every listener. */
  pass(payload: string): void {
    for (const listener of this.#listeners) listener.onNotice(payload)
  }

  /** Tells whether the connection listens, where that has changed. */
  tell(isListening: boolean): void {
    if (isListening === this.#isListening) return
    this.#isListening = isListening
    for (const listener of this.#listeners) listener.onListening(isListening)
    if (!isListening || this.#toldCause === null) return
    this.#toldCause = null
    this.#events.onHearing()
  }

  /** Tells why the connection does not listen. A cause that repeats is told once: an outage of hours needs one line. */
  tellCause(cause: Error): void {
    if (cause.message !== this.#toldCause) this.#events.onDeaf(cause)
    this.#toldCause = cause.message
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

/** Proves that notifications arrive. Returns null, or the reason why the connection does not count as listening. */
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
