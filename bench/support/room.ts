/** A place for things that must be undone, whatever happens to the work done in it. */
export interface Room {
  /** Called when the work is over, latest first. */
  atEnd(undo: () => Promise<unknown>): void
}

/** Runs `work` and then undoes, in reverse order, everything it made. */
export async function inRoom<T>(work: (room: Room) => Promise<T>): Promise<T> {
  const undoing: (() => Promise<unknown>)[] = []
  let isOver = false
  const undoOne = (undo: () => Promise<unknown>) =>
    undo().catch((error: unknown) => process.stderr.write(`not undone: ${String(error)}\n`))
  try {
    return await work({ atEnd: (undo) => void (isOver ? undoOne(undo) : undoing.push(undo)) })
  } finally {
    isOver = true // what abandoned work still makes is undone at once
    for (const undo of undoing.reverse()) await undoOne(undo)
  }
}
