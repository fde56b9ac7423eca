/** A batch that follows a batch of several within this time is part of a flood. */
const closelyMs = 4
const floodPauseMs = 2
const maxPauseMs = 60
/** The longest pause, as a share of the backlog of hashes. */
const shareOfBacklog = 1 / 12

/**
 * Returns how many milliseconds a batch waits for more members. A shared statement saves more than a short pause costs. The
 * pause grows with the backlog of hashes: it stays short compared with the wait for a hash, and fewer statements leave more
 * processor time for hashing. Requests that come one after the other never wait. `sharedUntil` is the end of the last batch of
 * several.
 */
export function findPause(sharedUntil: number, backlogMs: number): number {
  const isClose = performance.now() - sharedUntil < closelyMs
  return Math.max(isClose ? floodPauseMs : 0, Math.min(maxPauseMs, Math.floor(backlogMs * shareOfBacklog)))
}
