import { setTimeout as sleep } from 'node:timers/promises'
import { onDatabase } from '../../bench/support/cluster.ts'
import { isLive, type Person, type Row, type Seat, type Token } from './ledger.ts'
import { check, type Stage } from './load.ts'
import type { Postgres } from './postmaster.ts'
import type { Server } from './server.ts'

const patienceMs = 60_000
const atOnce = 8

/**
 * Waits until everything is up and no request is under way. Then compares every seat with the records, and asks every server
 * about every token. Only tokens of live rows must be accepted, and an ended one for at most `cacheMs`.
 */
export async function prove(stage: Stage, postgres: Postgres, cacheMs: number): Promise<void> {
  const { ledger, servers } = stage
  const { signal } = stage.aborted
  await Promise.all(servers.map((server) => becomeReady(server, signal)))
  await becomeQuiet(postgres, signal)
  const rows = await readRows(postgres)
  const people = everybody(stage)
  const tokens = people.flatMap(({ seats }) => seats.flatMap((seat) => seat.tokens))
  const findRow = (seat: Seat) => rows.get(nameSeat(seat.person.name, seat.device))
  ledger.settle(people, findRow)
  const questions = [...tokens, ...stage.ended.slice(-200)].flatMap((token) =>
    servers.map((server) => ({ token, server, row: findRow(token.seat) })),
  )
  await inTurns(questions, ({ token, server, row }) =>
    row && isLive(token, row) ? verdict(stage, token, server) : proveEnd(stage, token, server, cacheMs),
  )
  for (const token of tokens) if (token.deadMs < Number.POSITIVE_INFINITY) stage.ended.push(token)
}

function everybody({ busy, steady, devices }: Stage): Person[] {
  return [...busy, ...steady, ...devices.map(({ person }) => person)]
}

/** Allows for a server that missed the end of a token and still has it in its cache. The ledger knows for how long. */
async function proveEnd(stage: Stage, token: Token, server: Server, cacheMs: number): Promise<void> {
  for (let isLast = false; !isLast; await sleep(50)) {
    isLast = performance.now() > token.deadMs + cacheMs
    if ((await verdict(stage, token, server)) === false) return
  }
}

/** Asks until there is a verdict. There must be one, since everything is up. */
async function verdict(stage: Stage, token: Token, server: Server): Promise<boolean | null> {
  for (const began = performance.now(); performance.now() - began < patienceMs; await sleep(100)) {
    stage.aborted.signal.throwIfAborted()
    const said = await check(stage, token, server)
    if (said !== null) return said
  }
  stage.ledger.report(`${server.name} gave no verdict for ${patienceMs / 1_000} s though everything was up`)
  return null
}

async function inTurns<T>(things: readonly T[], work: (thing: T) => Promise<unknown>): Promise<void> {
  const left = things.values()
  const worker = async () => {
    for (const thing of left) await work(thing)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

async function becomeReady(server: Server, signal: AbortSignal): Promise<void> {
  for (const began = performance.now(); ; await sleep(50)) {
    signal.throwIfAborted()
    const ready = server.url && (await fetch(`${server.url}/health/ready`).catch(() => null))
    if (ready && ready.status === 200) return
    if (performance.now() - began > patienceMs) throw new Error(`${server.name} did not become ready again`)
  }
}

/** Waits until abandoned statements have ended. Checks repeatedly, since one may have been about to start. */
async function becomeQuiet(postgres: Postgres, signal: AbortSignal): Promise<void> {
  const text = `
    select 1 from pg_stat_activity
    where application_name = 'password-grant' and state <> 'idle' and pid <> pg_backend_pid()`
  const began = performance.now()
  for (let quiet = 0; quiet < 3; await sleep(50)) {
    signal.throwIfAborted()
    if (performance.now() - began > patienceMs) throw new Error('statements are still running')
    const found = await onDatabase(postgres.url, (client) => client.query(text)).catch(() => null)
    quiet = found?.rowCount === 0 ? quiet + 1 : 0
  }
}

/** Reads every seat, by name. Reads without an index, so that two rows of one seat show. Throws in that case. */
async function readRows({ url }: Postgres): Promise<ReadonlyMap<string, Row>> {
  const text = `
    select u.name, t.device, encode(t.secret_hash, 'hex') as hash, t.revoked_at is not null as "isRevoked",
      (extract(epoch from t.signed_in_at) * 1000)::float8 as "takenAt"
    from password_grant.tokens t
    join password_grant.users u on u.id = t.user_id`
  const { rows } = await onDatabase(url, async (client) => {
    await client.query('set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off')
    return client.query<Row & { name: string; device: string }>(text)
  })
  const found = new Map(rows.map((row) => [nameSeat(row.name, row.device), row]))
  if (found.size < rows.length) throw new Error('a seat is in the table twice')
  return found
}

function nameSeat(name: string, device: string): string {
  return `${name}\n${device}`
}
