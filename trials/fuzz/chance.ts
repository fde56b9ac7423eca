import fc, { type Random } from 'fast-check'

/** Random draws from a seed. */
export interface Chance {
  /** Draws a whole number, including both ends. */
  int(least: number, most: number): number
  /** Draws true in the given percentage of cases. */
  is(percent: number): boolean
  pick<T>(things: readonly T[]): T
  bytes(length: number): Buffer
}

/**
 * Calls `write` with the draws of one seed and number, so that each request of a run can be written again without the earlier
 * ones. The arbitraries of fast-check would shrink, but cost eight times as much here: 26 microseconds for a small request,
 * and a run needs a million. Besides, our requests depend on tokens that the server issued meanwhile.
 */
export function drawnFrom<T>(seed: number, number: number, write: (chance: Chance) => T): T {
  const [drawn] = fc.sample(new Drawn(write), { seed: (seed + Math.imul(number, 0x9e3779b1)) | 0, numRuns: 1 })
  return drawn as T // numRuns: 1
}

/** A subclass, since only subclasses get fast-check's random numbers. */
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
    pick: (things) => things[int(0, things.length - 1)] as never, // the list must not be empty
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(0, 255))),
  }
}
