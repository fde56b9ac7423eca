import { constants, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import sonicBoom, { type SonicBoom } from 'sonic-boom'

/** How the destination behaves. */
export interface LogDestinationOptions {
  /** Whether lines wait for `release`. */
  readonly isHeld: boolean
  /** Called with the number of dropped lines as soon as a line can be written again. */
  readonly onRecovered: (dropped: number) => void
}

const maxBufferBytes = 1024 * 1024
/** Characters that are collected before they are written. */
const maxCollected = 16 * 1024
const maxIdleFlushMilliseconds = 1_000
const maxFlushMilliseconds = 5_000
const firstRetryMilliseconds = 10
const lastRetryMilliseconds = 1_000

/**
 * Writes log lines to standard output. It never blocks the process and never throws. After an error it keeps trying, since a
 * disk gets room and a pipe gets a reader.
 */
export class LogDestination {
  readonly #output: RetryingOutput
  #isHolding: boolean
  #lines: string[] = []
  #collected = 0
  #isScheduled = false

  constructor({ isHeld, onRecovered }: LogDestinationOptions) {
    this.#output = new RetryingOutput(onRecovered)
    this.#isHolding = isHeld
    process.on('exit', () => this.#writeLines())
  }

  /**
   * Writes a line together with the others of the same turn of the event loop: a busy server saves a system call for each.
   * Buffers it while nothing can be written; drops and counts it when the buffer is full.
   */
  write(line: string): void {
    this.#lines.push(line)
    this.#collected += line.length
    if (this.#collected >= maxCollected) this.#writeLines()
    if (this.#isScheduled || this.#isHolding) return
    this.#isScheduled = true
    setImmediate(() => this.#writeLines())
  }

  /** Writes the lines that were held back, and holds none back from now on. */
  release(): void {
    this.#isHolding = false
    this.#writeLines()
  }

  /** Resolves when every line is written. Gives up when nothing could be written for a second, or after five seconds. */
  async flush(): Promise<void> {
    this.#writeLines()
    await this.#output.flush()
  }

  #writeLines(): void {
    this.#isScheduled = false
    if (this.#isHolding || this.#lines.length === 0) return
    const lines = this.#lines
    this.#lines = []
    this.#collected = 0
    for (const text of joinLines(lines)) this.#output.write(text)
  }
}

/** Writes to standard output, keeps the text that fails and tries again until it succeeds. */
class RetryingOutput {
  readonly #out = openStream()
  readonly #onRecovered: (dropped: number) => void
  #dropped = 0
  #hasFailed = false
  #recovering: Promise<void> | null = null
  #pause = firstRetryMilliseconds
  #writtenAt = 0
  #isFlushing = false

  constructor(onRecovered: (dropped: number) => void) {
    this.#onRecovered = onRecovered
    this.#out.on('error', () => {
      this.#hasFailed = true
      this.#recovering ??= this.#recover()
    })
    this.#out.on('write', () => {
      this.#pause = firstRetryMilliseconds // a slow reader takes a pipe's capacity at a time
      this.#writtenAt = performance.now()
    })
    this.#out.on('drop', (text: string) => {
      this.#dropped += text.split('\n').length - 1
      this.#recovering ??= this.#recover()
    })
  }

  /** Writes whole lines, or keeps them until they can be written. When the buffer is full, it drops and counts them. */
  write(text: string): void {
    this.#out.write(text)
  }

  /** Resolves when all is written, or when it cannot be written in time. */
  async flush(): Promise<void> {
    this.#isFlushing = true
    const began = performance.now()
    this.#writtenAt = began
    while (this.#recovering && this.#isInTime(began))
      await Promise.race([this.#recovering, sleep(firstRetryMilliseconds)])
    this.#isFlushing = false
  }

  #isInTime(began: number): boolean {
    return performance.now() < Math.min(this.#writtenAt + maxIdleFlushMilliseconds, began + maxFlushMilliseconds)
  }

  /** A `drain` may belong to an earlier line. Only a flush without an error shows that all is written. */
  async #recover(): Promise<void> {
    do {
      await this.#waitToRetry()
      this.#hasFailed = false
      this.#out.flush()
    } while (this.#hasFailed)
    this.#recovering = null
    const dropped = this.#dropped
    this.#dropped = 0
    if (dropped > 0) this.#onRecovered(dropped)
  }

  /** Waits longer from try to try, but not while the process waits for its last lines. */
  async #waitToRetry(): Promise<void> {
    const until = performance.now() + this.#pause
    do await sleep(firstRetryMilliseconds, undefined, { ref: false })
    while (!this.#isFlushing && performance.now() < until)
    this.#pause = Math.min(this.#pause * 2, lastRetryMilliseconds)
  }
}

/** Joins lines to texts that are short enough to be dropped as a whole. */
function joinLines(lines: readonly string[]): string[] {
  const texts = ['']
  for (const line of lines) {
    if ((texts.at(-1) as string).length + line.length > maxCollected) texts.push('')
    texts[texts.length - 1] += line
  }
  return texts.filter((text) => text !== '')
}

function openStream(): SonicBoom {
  return new sonicBoom.SonicBoom({
    fd: openOutput(),
    sync: true, // writes at once and leaves nothing to flush
    minLength: 1, // with 0 its flush does nothing
    maxLength: maxBufferBytes,
    retryEAGAIN: () => false, // else it would sleep while a pipe is full
  })
}

/** A descriptor whose writes fail instead of waiting while a pipe or a terminal takes nothing. */
function openOutput(): number {
  const { fd, isTTY } = process.stdout // Node makes a pipe or a socket non-blocking as soon as this is read
  if (!isTTY) return fd
  try {
    // a terminal: its other users keep their own way of writing
    return openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return fd
  }
}
