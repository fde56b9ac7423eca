import { connect } from 'node:net'
import { type Answer, headerOf, readAnswer } from './read-answers.ts'
import type { Shot } from './write-request.ts'

/** The result of a request. */
export interface Outcome {
  readonly answers: readonly Answer[]
  /** The fault of the answer as HTTP, or null. */
  readonly fault: string | null
}

/** A connection for requests, one after the other. */
export interface Line {
  readonly isOpen: () => boolean
  /** Sends a request in the given pieces and waits for its one answer. */
  ask(shot: Shot, pieces: readonly Buffer[]): Promise<Outcome>
  /** Sends bytes and reads the answers. Closes the connection when no more arrive, and waits until the server does too. */
  provoke(shot: Shot, pieces: readonly Buffer[]): Promise<Outcome>
  close(): void
}

/** The address of the server, and the time limit of an answer. */
export interface Address {
  readonly host: string
  readonly port: number
  /** The local address, on a machine with several loopback addresses. */
  readonly localAddress: string | undefined
  readonly answerMs: number
}

/** Milliseconds of silence after which the server must be waiting for more. After an answer, less time is enough. */
const silenceMs = { before: 250, after: 50 }

/** Opens a connection. Its requests report the errors of the connection. */
export function openLine({ host, port, localAddress, answerMs }: Address): Line {
  const socket = connect({ host, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) })
  let received: Buffer = Buffer.alloc(0)
  let error: string | null = null
  let isOver = false
  let mayBeUsedAgain = true
  let wake: () => void = () => undefined
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    wake()
  })
  socket.on('error', (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message
  })
  socket.on('close', () => {
    isOver = true
    wake()
  })

  /** Waits until data arrives or the connection ends. Returns false if neither happens in time. */
  function hears(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish(false), ms)
      const finish = (hasHeard: boolean) => {
        clearTimeout(timer)
        wake = () => undefined
        resolve(hasHeard)
      }
      wake = () => finish(true)
    })
  }

  async function write(pieces: readonly Buffer[]): Promise<void> {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await new Promise(setImmediate)
      if (socket.writable) socket.write(piece)
    }
  }

  /** Reads the next final answer. Skips interim ones. */
  function next(method: string): Answer | null {
    for (;;) {
      const read = readAnswer(received, method, isOver)
      if (read === null) return null
      received = read.rest
      if (read.answer.status >= 200) return read.answer
    }
  }

  async function ask(shot: Shot, pieces: readonly Buffer[]): Promise<Outcome> {
    if (received.length > 0) return fail('an answer that nobody asked for')
    await write(pieces)
    const deadline = performance.now() + answerMs
    try {
      for (;;) {
        const answer = next(shot.method)
        if (answer !== null) return finish(answer)
        if (isOver) return fail(shot.isTooMuch && error !== null ? null : `no answer: ${error ?? 'hung up'}`)
        if (!(await hears(deadline - performance.now()))) return fail(`no answer in ${answerMs} ms`)
      }
    } catch (cause) {
      return fail((cause as Error).message) // only readAnswer throws here
    }
  }

  function finish(answer: Answer): Outcome {
    const isLast = /\bclose\b/i.test(headerOf(answer, 'connection'))
    if (isLast) close() // ignores later data, such as the body of an answer to a malformed HEAD
    return { answers: [answer], fault: received.length > 0 && !isLast ? 'more than one answer' : null }
  }

  function fail(fault: string | null): Outcome {
    close()
    return { answers: [], fault }
  }

  async function provoke(shot: Shot, pieces: readonly Buffer[]): Promise<Outcome> {
    await write(pieces)
    while (!isOver && (await hears(received.length === 0 ? silenceMs.before : silenceMs.after)));
    socket.end()
    const deadline = performance.now() + answerMs
    while (!isOver && performance.now() < deadline) await hears(deadline - performance.now())
    const answers: Answer[] = []
    try {
      for (let answer = next(shot.method); answer !== null; answer = next(shot.method)) answers.push(answer)
    } catch (cause) {
      return { answers, fault: (cause as Error).message }
    }
    const wasReset = error !== null // a reset may lose an answer on its way
    const fault = !isOver
      ? `the connection is still open ${answerMs} ms after its end`
      : received.length > 0 && !wasReset
        ? 'an answer that breaks off'
        : null
    close()
    return { answers, fault }
  }

  function close(): void {
    mayBeUsedAgain = false
    socket.destroy()
  }

  return { isOpen: () => mayBeUsedAgain && !isOver, ask, provoke, close }
}
