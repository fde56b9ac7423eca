/** Random choices from a seed, so that a run can be repeated as far as processes and networks allow. */
export interface Random {
  /** Returns a number from `least` up to, but not including, `most`. */
  between(least: number, most: number): number
  chance(share: number): boolean
  /** Returns one of the things. Throws RangeError if there are none. */
  pick<T>(things: readonly T[]): T
  shuffle<T>(things: readonly T[]): T[]
}

/** Creates random choices from a seed, with mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  function pick<T>(things: readonly T[]): T {
    if (things.length === 0) throw new RangeError('there is nothing to pick from')
    return things[Math.floor(next() * things.length)] as T
  }

  return {
    between: (least, most) => least + next() * (most - least),
    chance: (share) => next() < share,
    pick,
    shuffle: (things) =>
      things
        .map((thing) => ({ thing, place: next() }))
        .sort((one, other) => one.place - other.place)
        .map(({ thing }) => thing),
  }
}
