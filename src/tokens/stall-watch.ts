import { elapsedMs, type ReadClock } from '../elapsed-clock.ts'

/**
 * Milliseconds after which a listening server refuses a token that ended elsewhere, at the latest. After a longer stall of
 * the event loop, for example in a suspended machine, a server looks up every token again before it accepts it.
 */
export const endedTokenBoundMs = 250

/** Counts the stalls of an event loop. */
export interface StallWatch {
  /** Notes that the event loop is running. Called by a timer. */
  tick(): void
  /** Returns the number of stalls so far, including a current one. Pass `now` if you have just read the clock. */
  countStalls(now?: number): number
}

/**
 * Creates a watch for gaps between ticks, in which the event loop might not read its sockets. A tick proves that the loop
 * has read everything that was readable at the previous tick. A gap of more than `endedTokenBoundMs` since then is a stall.
 */
export function createStallWatch(readClock: ReadClock): StallWatch {
  let lastTick = readClock()
  let readUntil = lastTick
  let stalls = 0

  function countStalls(now = readClock()): number {
    if (now - readUntil > endedTokenBoundMs) {
      stalls += 1
      readUntil = lastTick = now
    }
    return stalls
  }

  function tick(): void {
    const now = readClock()
    countStalls(now)
    readUntil = lastTick
    lastTick = now
  }

  return { tick, countStalls }
}

/** Much shorter than the bound, so that a busy loop does not count as a stall. */
const tickMs = 50

let shared: StallWatch | null = null

/** Watches the event loop of this process. All callers share one watch, which does not keep the process alive. */
export function watchStalls(): StallWatch {
  if (shared !== null) return shared
  const watch = createStallWatch(elapsedMs)
  shared = watch
  setInterval(watch.tick, tickMs).unref()
  return watch
}
