import { constants, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import sonicBoom from 'sonic-boom'

/** Standard output as a destination of log lines that never blocks the process and never throws. */
export interface LogDestination {
  /**
   * Writes a line together with the others of the same turn of the event loop: a busy server saves a system call for each.
   * Buffers it while nothing can be written; drops and counts it when the buffer is full.
   */
  write(line: string): void
  /** Writes the lines that were held back, and holds none back from now on. */
  release(): void
  /** Resolves when every line is written. Gives up when nothing could be written for a second, or after five seconds. */
  flush(): Promise<void>
}

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

/** Opens standard output for log lines. It keeps trying after an error: a disk gets room, a pipe gets a reader. */
export function openLogDestination({ isHeld, onRecovered }: LogDestinationOptions): LogDestination {
  // sync writes at once and leaves nothing to flush; without retryEAGAIN it does not sleep while a pipe is full
  const out = new sonicBoom.SonicBoom({
    fd: openOutput(),
    sync: true,
    minLength: 1, // with 0 its flush does nothing
    maxLength: maxBufferBytes,
    retryEAGAIN: () => false,
  })
  let lines: string[] = []
  let collected = 0
  let isHolding = isHeld
  let isScheduled = false
  let dropped = 0
  let hasFailed = false
  let recovering: Promise<void> | null = null
  let pause = firstRetryMilliseconds
  let writtenAt = 0
  let isFlushing = false
  out.on('error', () => {
    hasFailed = true
    recovering ??= recover()
  })
  out.on('write', () => {
    pause = firstRetryMilliseconds // a slow reader takes a pipe's capacity at a time
    writtenAt = performance.now()
  })
  out.on('drop', (text: string) => {
    dropped += text.split('\n').length - 1
    recovering ??= recover()
  })
  process.on('exit', writeLines)

  function writeLines(): void {
    isScheduled = false
    if (isHolding || lines.length === 0) return
    const all = lines
    lines = []
    collected = 0
    for (const text of joinLines(all)) out.write(text)
  }

  /** Waits longer from try to try, but not while the process waits for its last lines. */
  async function waitToRetry(): Promise<void> {
    const until = performance.now() + pause
    do await sleep(firstRetryMilliseconds, undefined, { ref: false })
    while (!isFlushing && performance.now() < until)
    pause = Math.min(pause * 2, lastRetryMilliseconds)
  }

  /** Its `drain` may still be that of a line before: only a flush without an error tells that all is written. */
  async function recover(): Promise<void> {
    do {
      await waitToRetry()
      hasFailed = false
      out.flush()
    } while (hasFailed)
    recovering = null
    const count = dropped
    dropped = 0
    if (count > 0) onRecovered(count)
  }

  return {
    write: (line) => {
      lines.push(line)
      collected += line.length
      if (collected >= maxCollected) writeLines()
      if (isScheduled || isHolding) return
      isScheduled = true
      setImmediate(writeLines)
    },
    release: () => {
      isHolding = false
      writeLines()
    },
    flush: async () => {
      isFlushing = true
      writeLines()
      const began = performance.now()
      writtenAt = began
      const isInTime = () =>
        performance.now() < Math.min(writtenAt + maxIdleFlushMilliseconds, began + maxFlushMilliseconds)
      while (recovering && isInTime()) await Promise.race([recovering, sleep(firstRetryMilliseconds)])
      isFlushing = false
    },
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
