/** Collects cleanup work, which runs at the end even if the main work fails. */
export interface Room {
  /** Adds cleanup work. The latest runs first. */
  atEnd(undo: () => Promise<unknown>): void
}

/** Runs `work` and then its cleanup work, in reverse order. */
export async function inRoom<T>(work: (room: Room) => Promise<T>): Promise<T> {
  const undoing: (() => Promise<unknown>)[] = []
  let isOver = false
  const undoOne = (undo: () => Promise<unknown>) =>
    undo().catch((error: unknown) => process.stderr.write(`not undone: ${String(error)}\n`))
  try {
    return await work({ atEnd: (undo) => void (isOver ? undoOne(undo) : undoing.push(undo)) })
  } finally {
    isOver = true // cleanup that abandoned work still adds runs at once
    for (const undo of undoing.reverse()) await undoOne(undo)
  }
}
