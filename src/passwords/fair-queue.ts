/** A queue whose items each have a path, for example a client and a network of that client. */
export interface PathQueue<T> {
  size(): number
  /** Adds an item behind the others on its path. */
  add(path: readonly string[], item: T): void
  /** Removes and returns the next item. */
  takeNext(): T | undefined
  /** Removes and returns the latest item of the longest queue. If several are longest, prefers the one on the path. */
  takeLatestOfLongest(path: readonly string[]): T | undefined
  /** Tells whether `takeLatestOfLongest` would return a new item on this path. */
  givesWay(path: readonly string[]): boolean
  /** Removes one item from any place in the queue. */
  remove(path: readonly string[], item: T): void
  /** Estimates the place of a new item on this path, counted from 1, if no other item follows. */
  estimatePlace(path: readonly string[]): number
}

/** Serves items in the order of their arrival and ignores the path. */
export class PlainQueue<T> implements PathQueue<T> {
  readonly #items: T[] = []

  size(): number {
    return this.#items.length
  }

  add(_path: readonly string[], item: T): void {
    this.#items.push(item)
  }

  takeNext(): T | undefined {
    return this.#items.shift()
  }

  takeLatestOfLongest(): T | undefined {
    return this.#items.pop()
  }

  givesWay(): boolean {
    return true
  }

  remove(_path: readonly string[], item: T): void {
    const index = this.#items.indexOf(item)
    if (index !== -1) this.#items.splice(index, 1)
  }

  estimatePlace(): number {
    return this.#items.length + 1
  }
}

/** Keeps a queue for each first step of a path and serves them in rotation, so that a long queue does not delay others. */
export class FairQueue<T> implements PathQueue<T> {
  readonly #createInner: () => PathQueue<T>
  readonly #queues = new Map<string, PathQueue<T>>() // in the order of their turns
  #size = 0

  constructor(createInner: () => PathQueue<T>) {
    this.#createInner = createInner
  }

  size(): number {
    return this.#size
  }

  add([name = '', ...rest]: readonly string[], item: T): void {
    const queue = this.#queues.get(name) ?? this.#createInner()
    this.#queues.set(name, queue)
    queue.add(rest, item)
    this.#size += 1
  }

  takeNext(): T | undefined {
    for (const [name, queue] of this.#queues) {
      this.#queues.delete(name)
      this.#queues.set(name, queue)
      const item = queue.takeNext()
      this.#noteTaken(name, queue)
      return item
    }
    return undefined
  }

  takeLatestOfLongest([own = '', ...rest]: readonly string[]): T | undefined {
    let [longest, length] = [own, this.#queues.get(own)?.size() ?? 0]
    for (const [name, queue] of this.#queues) if (queue.size() > length) [longest, length] = [name, queue.size()]
    const queue = this.#queues.get(longest)
    if (!queue) return undefined
    const item = queue.takeLatestOfLongest(longest === own ? rest : [])
    this.#noteTaken(longest, queue)
    return item
  }

  givesWay([own = '', ...rest]: readonly string[]): boolean {
    const length = (this.#queues.get(own)?.size() ?? 0) + 1
    for (const queue of this.#queues.values()) if (queue.size() > length) return false
    return this.#queues.get(own)?.givesWay(rest) ?? true
  }

  remove([name = '', ...rest]: readonly string[], item: T): void {
    const queue = this.#queues.get(name)
    const before = queue?.size() ?? 0
    queue?.remove(rest, item)
    if (queue && queue.size() < before) this.#noteTaken(name, queue)
  }

  estimatePlace([name = '', ...rest]: readonly string[]): number {
    const queue = this.#queues.get(name)
    const rotation = queue ? this.#queues.size : this.#queues.size + 1
    return Math.min(this.#size + 1, rotation * (queue ?? this.#createInner()).estimatePlace(rest))
  }

  #noteTaken(name: string, queue: PathQueue<T>): void {
    this.#size -= 1
    if (queue.size() === 0) this.#queues.delete(name)
  }
}
