/** Who waits, in some order. */
export interface Line<T> {
  size(): number
  /** Puts an item behind those that went the same path. */
  add(path: readonly string[], item: T): void
  /** Takes out whoever is next. */
  takeNext(): T | undefined
  /** Takes out the latest of those that have most waiting; where several have, of the path given. */
  takeLatestOfMost(path: readonly string[]): T | undefined
  /** Whether that would be a newcomer on this path, once added. */
  givesWay(path: readonly string[]): boolean
  /** Takes one item out, wherever it stands. */
  remove(path: readonly string[], item: T): void
  /** Which place, counted from 1, a newcomer on this path would have if nobody came after. */
  estimatePlace(path: readonly string[]): number
}

/** First come, first served. */
export function createLine<T>(): Line<T> {
  const items: T[] = []
  return {
    size: () => items.length,
    add: (_path, item) => void items.push(item),
    takeNext: () => items.shift(),
    takeLatestOfMost: () => items.pop(),
    givesWay: () => true,
    remove: (_path, item) => {
      const index = items.indexOf(item)
      if (index !== -1) items.splice(index, 1)
    },
    estimatePlace: () => items.length + 1,
  }
}

/** A line for each first step of the paths; the lines take turns, so that a long one holds no other back. */
export function createTurns<T>(createInner: () => Line<T>): Line<T> {
  const lines = new Map<string, Line<T>>() // the first is next
  let size = 0

  function afterTaking(name: string, line: Line<T>): void {
    size -= 1
    if (line.size() === 0) lines.delete(name)
  }

  return {
    size: () => size,
    add: ([name = '', ...rest], item) => {
      const line = lines.get(name) ?? createInner()
      lines.set(name, line)
      line.add(rest, item)
      size += 1
    },
    takeNext: () => {
      for (const [name, line] of lines) {
        lines.delete(name)
        lines.set(name, line)
        const item = line.takeNext()
        afterTaking(name, line)
        return item
      }
      return undefined
    },
    takeLatestOfMost: ([own = '', ...rest]) => {
      let [longest, most] = [own, lines.get(own)?.size() ?? 0]
      for (const [name, line] of lines) if (line.size() > most) [longest, most] = [name, line.size()]
      const line = lines.get(longest)
      if (!line) return undefined
      const item = line.takeLatestOfMost(longest === own ? rest : [])
      afterTaking(longest, line)
      return item
    },
    givesWay: ([own = '', ...rest]) => {
      const length = (lines.get(own)?.size() ?? 0) + 1
      for (const line of lines.values()) if (line.size() > length) return false
      return lines.get(own)?.givesWay(rest) ?? true
    },
    remove: ([name = '', ...rest], item) => {
      const line = lines.get(name)
      const before = line?.size() ?? 0
      line?.remove(rest, item)
      if (line && line.size() < before) afterTaking(name, line)
    },
    estimatePlace: ([name = '', ...rest]) => {
      const line = lines.get(name)
      const turns = line ? lines.size : lines.size + 1
      return Math.min(size + 1, turns * (line ?? createInner()).estimatePlace(rest))
    },
  }
}
