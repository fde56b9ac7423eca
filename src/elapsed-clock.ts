/** Reads a clock in milliseconds. */
export type ReadClock = () => number

/** How far the two clocks may drift apart before the difference counts as a suspend. */
const toleranceMs = 20

/**
 * Creates a clock for lifetimes: it counts milliseconds from an arbitrary start and never runs backwards. It includes the
 * time for which the machine was suspended, during which Linux stops `performance.now()`. A wall clock that is set forward
 * counts as a suspend, so a lifetime ends early at worst; one that is set back changes nothing.
 */
export function createElapsedClock(
  readMonotonic: ReadClock = () => performance.now(),
  readWall: ReadClock = () => Date.now(),
): ReadClock {
  let offsetMs = readWall() - readMonotonic()
  let suspendedMs = 0
  return () => {
    const monotonicMs = readMonotonic()
    const driftMs = readWall() - monotonicMs - offsetMs
    if (Math.abs(driftMs) > toleranceMs) {
      offsetMs += driftMs
      suspendedMs += Math.max(0, driftMs)
    }
    return monotonicMs + suspendedMs
  }
}

/** The clock of this process for lifetimes, in milliseconds; see {@link createElapsedClock}. */
export const elapsedMs = createElapsedClock()
