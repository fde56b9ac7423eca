import type { Query } from './database.ts'
import { isAway, refuseOverload } from './to-outage.ts'

const maxWaiting = 200

/**
 * Bounds statements of one kind that cannot be batched: `maxUnderWay` are under way and 200 wait, so that their callers hold
 * as many connections of a lane and leave the others to the rest. Rejects with `temporarily_unavailable` where more wait. Where
 * the connection failed, those that wait fail with the statement that found out.
 */
export function boundQuery(query: Query, maxUnderWay = 1): Query {
  const waiting: Turn[] = []
  let underWay = 0

  /** A turn that ends goes to the next statement that waits, before any that comes meanwhile. */
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
