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
 * question. Rejects with `temporarily_unavailable` when too many keys wait, or one waits too long. A failed connection also
 * fails the waiting keys.
 */
export function batchLookups<Row>(
  findRows: FindRows<Row>,
  batching: Batching = usual,
): (key: string) => Promise<Row | undefined> {
  const batches = new LookupBatches(findRows, batching)
  return (key) => batches.find(key)
}

/** Finds the rows of keys by one statement. A key without a row is missing in the answer. */
type FindRows<Row> = (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>

/** Holds the waiting keys and counts the statements under way. */
class LookupBatches<Row> {
  readonly #findRows: FindRows<Row>
  readonly #batching: Batching
  #waiting: Question<Row>[] = []
  #underWay = 0
  #sharedUntil = Number.NEGATIVE_INFINITY
  #isScheduled = false

  constructor(findRows: FindRows<Row>, batching: Batching) {
    this.#findRows = findRows
    this.#batching = batching
  }

  find(key: string): Promise<Row | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= maxWaiting) return reject(refuseOverload('look-ups: too many waiting'))
      this.#waiting.push({ key, askedAt: performance.now(), resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    const { maxUnderWay, findBacklogMs } = this.#batching
    if (this.#isScheduled || this.#underWay >= maxUnderWay || this.#waiting.length === 0) return
    this.#isScheduled = true
    const pauseMs = findBacklogMs ? findPause(this.#sharedUntil, findBacklogMs()) : 0
    if (pauseMs > 0) setTimeout(() => this.#send(), pauseMs)
    else setImmediate(() => this.#send())
  }

  #send(): void {
    this.#isScheduled = false
    const batch = this.#nextBatch()
    if (batch.length > 0) this.#ask(batch)
    this.#schedule()
  }

  /** Takes the first keys that wait. Refuses those that have waited for too long. */
  #nextBatch(): Question<Row>[] {
    const batch = this.#waiting.slice(0, maxKeys)
    this.#waiting = this.#waiting.slice(maxKeys)
    const oldest = performance.now() - maxWaitMs
    for (const { askedAt, reject } of batch) if (askedAt < oldest) reject(refuseOverload('look-ups: waited too long'))
    return batch.filter(({ askedAt }) => askedAt >= oldest)
  }

  async #ask(batch: readonly Question<Row>[]): Promise<void> {
    this.#underWay += 1
    try {
      const rows = await this.#findRows([...new Set(batch.map(({ key }) => key))])
      for (const { key, resolve } of batch) resolve(rows.get(key))
    } catch (error) {
      for (const { reject } of batch) reject(error)
      if (isAway(error)) this.#refuseWaiting(error)
    }
    this.#underWay -= 1
    if (batch.length > 1) this.#sharedUntil = performance.now()
    this.#schedule()
  }

  /** Refuses the keys that wait, unless another statement is about to ask for them. */
  #refuseWaiting(error: unknown): void {
    if (this.#underWay < this.#batching.maxUnderWay) return
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}

interface Question<Row> {
  readonly key: string
  readonly askedAt: number
  resolve(row: Row | undefined): void
  reject(error: unknown): void
}
