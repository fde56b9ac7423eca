import type { TimedAnswer, TimedConnection } from '../../bench/support/timed-connection.ts'

/** Requests of one kind, each for another account, sent in turn. */
export type Kinds = Readonly<Record<string, readonly string[]>>

/** The answers to one kind, in the order of the blocks. */
export type Answers<Name extends string = string> = Readonly<Record<Name, readonly TimedAnswer[]>>

/**
 * Sends blocks of requests, each with one request of each kind in random order. So disturbances of the machine affect all
 * kinds alike, and each kind follows each other one (as in Reparaz, Balasch and
 * Verbauwhede, Dude, is my code constant time?, 2017, eprint 2016/1123).
 */
export async function askInBlocks<Name extends string>(
  connection: TimedConnection,
  kinds: Readonly<Record<Name, readonly string[]>>,
  blocks: number,
): Promise<Answers<Name>> {
  const names = Object.keys(kinds) as Name[]
  const answers = Object.fromEntries(names.map((name) => [name, [] as TimedAnswer[]])) as Record<Name, TimedAnswer[]>
  for (let block = -unheard; block < blocks; block += 1) {
    for (const name of inAnyOrder(names)) {
      const requests = kinds[name]
      const answer = await connection.ask(requests[(block + unheard) % requests.length] ?? '')
      if (block >= 0) answers[name].push(answer)
    }
  }
  return answers
}

/** Blocks that do not count, in which code is compiled, statements are prepared and rows are read. */
const unheard = 5

function inAnyOrder<T>(things: readonly T[]): T[] {
  const order = [...things]
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1))
    ;[order[last], order[other]] = [order[other] as T, order[last] as T] // both are indexes of the order
  }
  return order
}
