import type { Query } from './database.ts'
import { isAway, refuseOverload } from './to-outage.ts'

const maxWaiting = 200

/**
 * Limits how many statements of one kind run at the same time, for statements that cannot be batched. At most `maxUnderWay`
 * run, which leaves the other connections of the lane free, and at most 200 wait. Rejects with `temporarily_unavailable` if
 * more would wait. If a statement finds that the database is away, the waiting ones fail with it.
 */
export function boundQuery(query: Query, maxUnderWay = 1): Query {
  const waiting: Turn[] = []
  let underWay = 0

  /** Waits for a turn. Turns go to waiting statements in the order of their arrival. */
  async function takeTurn(): Promise<void> {
    if (underWay < maxUnderWay) {
      underWay += 1
      return
    }
    if (waiting.length >= maxWaiting) throw refuseOverload('statements: too many waiting')
    await new Promise<void>((resolve, reject) => void waiting.push({ resolve, reject }))
  }

  function passTurn(): void {
    const next = waiting.shift()
    if (next) next.resolve()
    else underWay -= 1
  }

  return async <Row extends object>(...statement: Parameters<Query>) => {
    await takeTurn()
    try {
      return await query<Row>(...statement)
    } catch (error) {
      if (isAway(error)) for (const { reject } of waiting.splice(0)) reject(error)
      throw error
    } finally {
      passTurn()
    }
  }
}

interface Turn {
  resolve(): void
  reject(error: unknown): void
}
