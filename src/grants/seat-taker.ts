import type { Database, Query } from '../database/database.ts'
import { refuseOverload } from '../database/to-outage.ts'
import { isOutage } from '../errors.ts'
import type { Success, Throttle } from '../throttle/throttle.ts'
import { type Issue, issueToken, issueTokens, type Seat, type TokenOrder } from '../tokens/issue-token.ts'
import { requireNoWait } from './slow-down.ts'

/** A token to issue, and the attempt whose success the throttle records with it. */
export interface SeatOrder extends TokenOrder, Omit<Success, 'userId'> {}

/** Statements or transactions under way: the database works on one while the answer to the other is read. */
const maxUnderWay = 2
/** A longer statement would hold its locks for longer. */
const maxBatch = 32
const maxWaiting = 10_000

/**
 * Issues tokens for credentials that were right. Where the throttle has a success to record, this and the token are one
 * transaction. Orders of different users that come at the same time share it; orders of one user are taken one after the
 * other. An order that cannot be taken with the others, because another session has locked a row, is taken alone and holds up
 * no other.
 */
export class SeatTaker {
  readonly #database: Pick<Database, 'query' | 'transaction'>
  readonly #throttle: Throttle
  readonly #waiting = new Set<WaitingOrder>()
  readonly #usersUnderWay = new Set<string>()
  #underWay = 0
  #isScheduled = false

  constructor(database: Pick<Database, 'query' | 'transaction'>, throttle: Throttle) {
    this.#database = database
    this.#throttle = throttle
  }

  /** Throws OAuthError `slow_down` where a wait began while the credentials were checked, `temporarily_unavailable`. */
  take(order: SeatOrder): Promise<Issue> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= maxWaiting) return reject(refuseOverload('tokens: too many waiting'))
      this.#waiting.add({ order, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#underWay >= maxUnderWay || this.#waiting.size === 0) return
    this.#isScheduled = true
    setImmediate(() => this.#send())
  }

  async #send(): Promise<void> {
    this.#isScheduled = false
    const batch = this.#nextBatch()
    if (batch.length === 0) return // their users' orders are under way
    this.#underWay += 1
    this.#schedule()
    const left = await this.#takeBatch(batch)
    this.#underWay -= 1
    for (const one of batch) if (!left.includes(one)) this.#usersUnderWay.delete(one.order.userId)
    for (const one of left) this.#takeAlone(one)
    this.#schedule()
  }

  /** The first order of each user that has none under way. */
  #nextBatch(): WaitingOrder[] {
    const batch: WaitingOrder[] = []
    for (const one of this.#waiting) {
      if (batch.length === maxBatch) break
      const { userId } = one.order
      if (this.#usersUnderWay.has(userId)) continue
      this.#usersUnderWay.add(userId)
      this.#waiting.delete(one)
      batch.push(one)
    }
    return batch
  }

  /** Returns the orders that were not taken. One that fails for a reason of its own may fail the others. */
  async #takeBatch(batch: readonly WaitingOrder[]): Promise<readonly WaitingOrder[]> {
    try {
      const orders = batch.map(({ order }) => order)
      const seats = orders.some(({ state }) => state.hasNews)
        ? await this.#database.transaction((query) => this.#issueAndRecord(query, orders))
        : await issueTokens(this.#database.query, orders)
      return batch.filter(({ resolve }, place) => {
        const seat = seats[place]
        if (seat) resolve({ seat })
        return !seat
      })
    } catch (error) {
      if (!isOutage(error)) return batch
      for (const { reject } of batch) reject(error)
      return []
    }
  }

  async #issueAndRecord(query: Query, orders: readonly SeatOrder[]): Promise<(Seat | null)[]> {
    const seats = await issueTokens(query, orders)
    const successes = orders.filter(({ state }, place) => state.hasNews && seats[place])
    if (successes.length > 0) requireNoWait(await this.#throttle.recordSuccesses(query, successes))
    return seats
  }

  async #takeAlone({ order, resolve, reject }: WaitingOrder): Promise<void> {
    await this.#issueAlone(order).then(resolve, reject)
    this.#usersUnderWay.delete(order.userId)
    this.#schedule()
  }

  #issueAlone(order: SeatOrder): Promise<Issue> {
    if (!order.state.hasNews) return issueToken(this.#database.query, order)
    return this.#database.transaction(async (query) => {
      const issue = await issueToken(query, order)
      if ('seat' in issue) requireNoWait(await this.#throttle.recordSuccesses(query, [order]))
      return issue
    })
  }
}

interface WaitingOrder {
  readonly order: SeatOrder
  resolve(issue: Issue): void
  reject(error: unknown): void
}
