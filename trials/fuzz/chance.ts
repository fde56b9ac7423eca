import fc, { type Random } from 'fast-check'

/** Draws that follow from a seed alone. */
export interface Chance {
  /** A whole number, both ends included. */
  int(least: number, most: number): number
  /** Yes in so many of a hundred cases. */
  is(percent: number): boolean
  pick<T>(things: readonly T[]): T
  bytes(length: number): Buffer
}

/**
 * What `write` makes of the draws of one seed and number: each request of a run can be written again without those
 * before it. fast-check's own arbitraries would shrink, but cost eight times as much here (26 microseconds a small
 * request, where a million are wanted), and ours depend on tokens that the server gave meanwhile.
 */
export function drawnFrom<T>(seed: number, number: number, write: (chance: Chance) => T): T {
  const [drawn] = fc.sample(new Drawn(write), { seed: (seed + Math.imul(number, 0x9e3779b1)) | 0, numRuns: 1 })
  return drawn as T // numRuns: 1
}

/** fast-check gives its random numbers to subclasses alone. */
class Drawn<T> extends fc.Arbitrary<T> {
  readonly write: (chance: Chance) => T

  constructor(write: (chance: Chance) => T) {
    super()
    this.write = write
  }

  override generate(random: Random): fc.Value<T> {
    return new fc.Value(this.write(chanceOf(random)), undefined)
  }

  override canShrinkWithoutContext(_value: unknown): _value is T {
    return false
  }

  override shrink(): fc.Stream<fc.Value<T>> {
    return fc.Stream.nil()
  }
}

function chanceOf(random: Random): Chance {
  const int = (least: number, most: number) => random.nextInt(least, most)
  return {
    int,
    is: (percent) => int(1, 100) <= percent,
    pick: (things) => things[int(0, things.length - 1)] as never, // of no things there is nothing to pick
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(0, 255))),
  }
}
