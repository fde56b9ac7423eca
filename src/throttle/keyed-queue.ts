/** Runs tasks of one key one after the other. A task that waits fails with the one before it. */
export class KeyedQueue {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs a task after those that its key has already. */
  run<Result>(key: string, task: () => Promise<Result>): Promise<Result> {
    const result = this.drain(key).then(task)
    const last = result.finally(() => {
      if (this.#last.get(key) === last) this.#last.delete(key)
    })
    last.catch(() => undefined) // the next in line receives it
    this.#last.set(key, last)
    return result
  }

  /** Waits for the tasks of a key. Rejects where one of them failed. */
  async drain(key: string): Promise<void> {
    await this.#last.get(key)
  }
}
