/**
 * Turns a look-up of many rows into one of single rows: what is asked for in one turn of the event loop is asked in one
 * statement, since a round trip costs more than a row; and where no more than `mostUnderWay` statements may be, so is what
 * is asked for until one of them has been answered, so that a flood makes statements longer and not more. Nobody joins a
 * statement that has been sent, so an answer is never older than its question.
 */
export function gatherRows<Row>(
  findRows: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
  mostUnderWay = Number.POSITIVE_INFINITY,
): (key: string) => Promise<Row | undefined> {
  let gathered: { keys: string[]; rows: Promise<ReadonlyMap<string, Row>> } | null = null
  let underWay = 0
  let goOn = () => {}

  async function send(keys: string[]): Promise<ReadonlyMap<string, Row>> {
    await new Promise((resolve) => setImmediate(resolve))
    if (underWay >= mostUnderWay) {
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
    }
    gathered = null
    underWay += 1
    try {
      return await findRows(keys)
    } finally {
      underWay -= 1
      goOn()
    }
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
