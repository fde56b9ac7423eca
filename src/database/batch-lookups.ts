import { findPause } from './batch-pause.ts'
import { isAway, refuseOverload } from './to-outage.ts'

/** How look-ups are batched. */
export interface Batching {
  /** Statements under way. */
  readonly maxUnderWay: number
  /** Returns how long sign-ins wait for their hash. Without it no statement waits for more keys. */
  readonly findBacklogMs?: (() => number) | undefined
}

/** For sign-ins: more statements would only take the processor from hashing. */
export const forSignIns = { maxUnderWay: 2, findBacklogMs: () => 0 } satisfies Batching

/** As many statements as a lane has connections, so that none waits behind its own kind. */
const usual: Batching = { maxUnderWay: 4 }

/** One statement at a time, for an answer that all callers share. */
export const oneAtATime: Batching = { maxUnderWay: 1 }

/** A longer statement would hold its connection for longer than a look-up may wait. */
const maxKeys = 1_000
const maxWaiting = 10_000
const maxWaitMs = 2_000

/**
 * Batches look-ups of single rows: one statement asks for the keys of one turn of the event loop, since a round trip
 * costs more than a row. With `maxUnderWay` statements under way further keys wait for the next one, so that a flood
 * makes statements longer and not more. A statement that was sent takes no more keys: an answer is never older than its
 * question. Rejects with `temporarily_unavailable` where too many keys wait, or one too long. A connection that failed also
 * fails the keys that wait.
 */
export function batchLookups<Row>(
  findRows: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
  { maxUnderWay, findBacklogMs }: Batching = usual,
): (key: string) => Promise<Row | undefined> {
  let waiting: Question<Row>[] = []
  let underWay = 0
  let endedAt = Number.NEGATIVE_INFINITY
  let isScheduled = false

  function schedule(): void {
    if (isScheduled || underWay >= maxUnderWay || waiting.length === 0) return
    isScheduled = true
    const pauseMs = findBacklogMs ? findPause(endedAt, findBacklogMs()) : 0
    if (pauseMs > 0) setTimeout(send, pauseMs)
    else setImmediate(send)
  }

  function send(): void {
    isScheduled = false
    const batch = waiting.slice(0, maxKeys)
    waiting = waiting.slice(maxKeys)
    const oldest = performance.now() - maxWaitMs
    for (const question of batch)
      if (question.askedAt < oldest) question.reject(refuseOverload('look-ups: waited too long'))
    const fresh = batch.filter(({ askedAt }) => askedAt >= oldest)
    if (fresh.length > 0) ask(fresh)
    schedule()
  }

  async function ask(batch: readonly Question<Row>[]): Promise<void> {
    underWay += 1
    try {
      const rows = await findRows([...new Set(batch.map(({ key }) => key))])
      for (const { key, resolve } of batch) resolve(rows.get(key))
    } catch (error) {
      for (const { reject } of batch) reject(error)
      if (underWay >= maxUnderWay && isAway(error)) for (const { reject } of waiting.splice(0)) reject(error)
    }
    underWay -= 1
    endedAt = performance.now()
    schedule()
  }

  return (key) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= maxWaiting) return reject(refuseOverload('look-ups: too many waiting'))
      waiting.push({ key, askedAt: performance.now(), resolve, reject })
      schedule()
    })
}

interface Question<Row> {
  readonly key: string
  readonly askedAt: number
  resolve(row: Row | undefined): void
  reject(error: unknown): void
}
