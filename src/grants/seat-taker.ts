import { findPause } from '../database/batch-pause.ts'
import type { Database } from '../database/database.ts'
import { isAway, isLockTimeout, refuseOverload } from '../database/to-outage.ts'
import { isOutage } from '../errors.ts'
import type { Attempt, AttemptState, Throttle } from '../throttle/throttle.ts'
import { type Issue, issueToken, issueTokens, type Seat, type TokenOrder } from '../tokens/issue-token.ts'
import { refuseForNow, requireNoWait } from './slow-down.ts'

/** A token to issue, and the attempt that the throttle records as a success together with it. */
export interface SeatOrder extends TokenOrder {
  readonly attempt: Attempt
}

/** Concurrent batches. Orders that arrive while one runs share the next one. */
const maxBatches = 1
/** Orders in one batch. A larger statement would hold its locks for longer. */
const maxBatch = 32
/** Concurrent orders issued alone, which may wait for locks. The other connections are left to batches. */
const maxAlone = 2
const maxWaiting = 10_000
const maxWaitMs = 5_000

/**
 * Issues tokens for credentials that were right, unless a wait began while they were checked. If the throttle has a success
 * to record, it does so in the transaction that issues the token.
 *
 * Concurrent orders of different users share a batch, which waits for no lock. Orders of one user run one after the other.
 * An order runs alone if another session has locked one of its rows, or if failures must be cleared.
 */
export class SeatTaker {
  readonly #database: Pick<Database, 'writes' | 'transaction'>
  readonly #throttle: Throttle
  readonly #findBacklogMs: () => number
  readonly #waiting = new Set<WaitingOrder>()
  readonly #left = new Set<WaitingOrder>()
  readonly #usersUnderWay = new Set<string>()
  #batches = 0
  #sharedUntil = Number.NEGATIVE_INFINITY
  #alone = 0
  #isScheduled = false

  /** `findBacklogMs` returns how long a sign-in waits for its password hash. */
  constructor(database: Pick<Database, 'writes' | 'transaction'>, throttle: Throttle, findBacklogMs = () => 0) {
    this.#database = database
    this.#findBacklogMs = findBacklogMs
    this.#throttle = throttle
  }

  /**
   * Issues the token of an order. Throws OAuthError `slow_down` if a wait began while the credentials were checked, and
   * `temporarily_unavailable` in an outage.
   */
  take(order: SeatOrder): Promise<Issue> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= maxWaiting) return reject(refuseOverload('tokens: too many waiting'))
      this.#waiting.add({ order, askedAt: performance.now(), resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#batches >= maxBatches || this.#waiting.size === 0) return
    this.#isScheduled = true
    const [oldest] = this.#waiting
    const waitedMs = performance.now() - (oldest?.askedAt ?? 0)
    const pauseMs = findPause(this.#sharedUntil, this.#findBacklogMs()) - waitedMs
    if (pauseMs > 0) setTimeout(() => this.#send(), pauseMs)
    else setImmediate(() => this.#send())
  }

  async #send(): Promise<void> {
    this.#isScheduled = false
    const batch = this.#nextBatch()
    if (batch.length === 0) return // the users of all waiting orders have one under way
    this.#batches += 1
    const left = await this.#takeBatch(batch)
    this.#batches -= 1
    if (batch.length > 1) this.#sharedUntil = performance.now()
    for (const one of batch) {
      if (left.includes(one)) this.#left.add(one)
      else this.#usersUnderWay.delete(one.order.userId)
    }
    this.#takeLeft()
    this.#schedule()
  }

  /** Takes the first order of each user that has none under way. Refuses orders that have waited too long. */
  #nextBatch(): WaitingOrder[] {
    const batch: WaitingOrder[] = []
    const oldest = performance.now() - maxWaitMs
    for (const one of this.#waiting) {
      const { userId } = one.order
      if (one.askedAt < oldest) {
        this.#waiting.delete(one)
        one.reject(refuseOverload('tokens: waited too long'))
      } else if (batch.length < maxBatch && !this.#usersUnderWay.has(userId)) {
        this.#usersUnderWay.add(userId)
        this.#waiting.delete(one)
        batch.push(one)
      }
    }
    return batch
  }

  /** Answers the orders of a batch. Returns those that must run alone. */
  async #takeBatch(batch: readonly WaitingOrder[]): Promise<readonly WaitingOrder[]> {
    const left = new Set(batch)
    try {
      const ready = new Map<WaitingOrder, AttemptState>()
      const states = await this.#throttle.checkAll(batch.map(({ order }) => order.attempt))
      for (const [place, state] of states.entries()) {
        const one = batch[place] as WaitingOrder // there is a state for each
        if (state.waitSeconds > 0) {
          left.delete(one)
          one.reject(refuseForNow(state.waitSeconds))
        } else if (!state.hasFailed) ready.set(one, state)
      }
      const seats = ready.size === 0 ? [] : await this.#issue([...ready])
      for (const [place, one] of [...ready.keys()].entries()) {
        const seat = seats[place]
        if (!seat) continue
        left.delete(one)
        one.resolve({ seat })
      }
      return [...left]
    } catch (error) {
      if (!isOutage(error) || isLockTimeout(error)) return [...left]
      for (const { reject } of isAway(error) ? [...left, ...this.#waiting] : left) reject(error)
      if (isAway(error)) this.#waiting.clear()
      return []
    }
  }

  /** Issues the tokens of a batch. If the throttle has a success to record, both share a transaction. */
  #issue(ready: readonly (readonly [WaitingOrder, AttemptState])[]): Promise<(Seat | null)[]> {
    const orders = ready.map(([{ order }]) => order)
    const news = ready.map(([, { hasNews }]) => hasNews)
    if (!news.includes(true)) return issueTokens(this.#database.writes, orders)
    return this.#database.transaction(async (query) => {
      const seats = await issueTokens(query, orders)
      const signIns = orders.filter((_, place) => news[place] && seats[place])
      if (signIns.length > 0) await this.#throttle.recordSignIns(query, signIns)
      return seats
    })
  }

  #takeLeft(): void {
    for (const one of this.#left) {
      if (this.#alone >= maxAlone) return
      this.#left.delete(one)
      this.#alone += 1
      this.#takeAlone(one)
    }
  }

  async #takeAlone({ order, askedAt, resolve, reject }: WaitingOrder): Promise<void> {
    const isLate = askedAt < performance.now() - maxWaitMs
    await (isLate ? Promise.reject(refuseOverload('tokens: waited too long')) : this.#issueAlone(order)).then(
      resolve,
      reject,
    )
    this.#alone -= 1
    this.#usersUnderWay.delete(order.userId)
    this.#takeLeft()
    this.#schedule()
  }

  /** Issues one token. It may wait for locks, so it checks the throttle again afterwards. */
  #issueAlone(order: SeatOrder): Promise<Issue> {
    return this.#database.transaction(async (query) => {
      const issue = await issueToken(query, order)
      if ('seat' in issue) requireNoWait(await this.#throttle.recordLateSignIn(query, order))
      return issue
    })
  }
}

interface WaitingOrder {
  readonly order: SeatOrder
  readonly askedAt: number
  resolve(issue: Issue): void
  reject(error: unknown): void
}
