/** Runs the tasks of each key one after the other. If a task fails, those that wait behind it fail too. */
export class KeyedQueue {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs a task after the earlier tasks of its key. */
  run<Result>(key: string, task: () => Promise<Result>): Promise<Result> {
    const result = this.drain(key).then(task)
    const last = result.finally(() => {
      if (this.#last.get(key) === last) this.#last.delete(key)
    })
    last.catch(() => undefined) // reported by `result`, and by the tasks that wait
    this.#last.set(key, last)
    return result
  }

  /** Waits for the tasks of a key. Rejects if one of them fails. */
  async drain(key: string): Promise<void> {
    await this.#last.get(key)
  }
}
