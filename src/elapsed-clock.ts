/** Reads a clock in milliseconds. */
export type ReadClock = () => number

/** The largest drift between the two clocks that does not count as a suspend. */
const toleranceMs = 20

/**
 * Creates a clock for lifetimes, which counts milliseconds from an arbitrary start and never runs backwards. It includes the
 * time while the machine is suspended, in which Linux stops `performance.now()`. Setting the wall clock forward counts as a
 * suspend, so a lifetime may end early. Setting it back changes nothing.
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

/** Reads this process's clock for lifetimes, in milliseconds; see {@link createElapsedClock}. */
export const elapsedMs = createElapsedClock()
