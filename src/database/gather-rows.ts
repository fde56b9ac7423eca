/** Statements under way for what a flood of sign-ins asks: more would only take the processor from hashing. */
export const mostForFlood = 2

/**
 * Turns a look-up of many rows into one of single rows: what is asked for in one turn of the event loop is asked in one
 * statement, since a round trip costs more than a row; and where no more than `mostUnderWay` statements may be, so is what
 * is asked for until one of them has been answered, so that a flood makes statements longer and not more. Nobody joins a
 * statement that has been sent, so an answer is never older than its question; who waits for one that fails, fails with it.
 */
export function gatherRows<Row>(
  findRows: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
  mostUnderWay = Number.POSITIVE_INFINITY,
): (key: string) => Promise<Row | undefined> {
  let gathered: { keys: string[]; rows: Promise<ReadonlyMap<string, Row>> } | null = null
  let underWay = 0
  let next: { resolve(): void; reject(error: unknown): void } | null = null

  async function waitForTurn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    if (underWay < mostUnderWay) return
    await new Promise<void>((resolve, reject) => {
      next = { resolve, reject }
    })
  }

  async function send(keys: string[]): Promise<ReadonlyMap<string, Row>> {
    await waitForTurn().finally(() => {
      gathered = null
    })
    underWay += 1
    const rows = findRows(keys).finally(() => {
      underWay -= 1
    })
    rows.then(
      () => next?.resolve(),
      (error: unknown) => next?.reject(error),
    )
    return rows
  }

  return async (key) => {
    if (gathered === null) {
      const keys: string[] = []
      gathered = { keys, rows: send(keys) }
    }
    gathered.keys.push(key)
    return (await gathered.rows).get(key)
  }
}
