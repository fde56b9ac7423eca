/**
 * Turns a look-up of many rows into one of single rows: what is asked for in one turn of the event loop is asked in one
 * statement, since a round trip costs more than a row. Nobody joins a statement that has been sent, so an answer is never
 * older than its question.
 */
export function gatherRows<Row>(
  findRows: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
): (key: string) => Promise<Row | undefined> {
  let gathered: { keys: string[]; rows: Promise<ReadonlyMap<string, Row>> } | null = null

  async function send(keys: string[]): Promise<ReadonlyMap<string, Row>> {
    await new Promise((resolve) => setImmediate(resolve))
    gathered = null
    return findRows(keys)
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
