/** A batch that follows another within this time is one of a flood. */
const closelyMs = 4
const floodPauseMs = 2
const maxPauseMs = 60
/** The part of the backlog that a batch may wait. */
const shareOfBacklog = 1 / 12

/**
 * Returns how many milliseconds a batch waits for more members: a shared statement saves more than a short pause costs. The
 * pause grows with the backlog of hashes: beside the wait for a hash it is short, and each statement less leaves processor
 * time to hashing.
 */
export function findPause(previousEndedAt: number, backlogMs: number): number {
  const isClose = performance.now() - previousEndedAt < closelyMs
  return Math.max(isClose ? floodPauseMs : 0, Math.min(maxPauseMs, Math.floor(backlogMs * shareOfBacklog)))
}
