let lastTime = 0

/**
 * Returns a timestamp for a device's sign-in: newer than the one before in this file, and well within the five minutes
 * that are accepted, however long the file runs.
 */
export function nextTimestamp(): number {
  lastTime = Math.max(lastTime + 1, Math.floor(Date.now() / 1000) - 250)
  return lastTime
}

/** The next file has all of the five minutes again. */
export function forgetTimes(): void {
  lastTime = 0
}
