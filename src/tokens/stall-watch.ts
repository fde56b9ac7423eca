import { elapsedMs, type ReadClock } from '../elapsed-clock.ts'

/**
 * Milliseconds within which a server that listens refuses a token that ended elsewhere. After a longer stall of its event
 * loop, for example in a suspended machine, a server looks up every token again before it accepts it.
 */
export const endedTokenBoundMs = 250

/** Counts the stalls of an event loop. */
export interface StallWatch {
  /** Notes that the loop has come round. */
  tick(): void
  /** Counts the stalls so far, the present one included. `now` is the clock's, for callers that have just read it. */
  countStalls(now?: number): number
}

/**
 * Watches for gaps between ticks in which the loop may not have read its sockets. A tick proves that everything that was
 * readable at the tick before has been read; a gap of more than `endedTokenBoundMs` since then counts as a stall.
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

/** Several ticks fit into the bound, so that a busy loop does not count as a stalled one. */
const tickMs = 50

let shared: StallWatch | null = null

/** Starts to watch the event loop of this process, once for all callers, without keeping the process alive. */
export function watchStalls(): StallWatch {
  if (shared !== null) return shared
  const watch = createStallWatch(elapsedMs)
  shared = watch
  setInterval(watch.tick, tickMs).unref()
  return watch
}
