import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Turns a look-up of many rows into one of single rows: what is asked for in one turn of the event loop is asked in one
 * statement, since a round trip costs more than a row; and so is what is asked for within `pauseMs` after a statement, so
 * that a flood makes statements longer and not more. Nobody joins a statement that has been sent, so an answer is never
 * older than its question.
 */
export function gatherRows<Row>(
  findRows: (keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
  pauseMs = 0,
): (key: string) => Promise<Row | undefined> {
  let gathered: { keys: string[]; rows: Promise<ReadonlyMap<string, Row>> } | null = null
  let sentAt = Number.NEGATIVE_INFINITY

  async function send(keys: string[]): Promise<ReadonlyMap<string, Row>> {
    await new Promise((resolve) => setImmediate(resolve))
    const tooSoonMs = sentAt + pauseMs - performance.now()
    if (tooSoonMs > 0) await sleep(tooSoonMs)
    gathered = null
    sentAt = performance.now()
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
