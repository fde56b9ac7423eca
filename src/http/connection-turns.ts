import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * The most pipelined requests of a connection that may wait. The server closes the connection after the last of them.
 */
export const maxWaiting = 100

interface Line {
  current: Turn
  readonly waiting: Turn[]
  isPaused: boolean
  /** Called after the last answer. */
  atEnd: (() => void) | null
}

interface Turn {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly start: () => void
}

const lines = new WeakMap<Socket, Line>()

/**
 * Calls `start` when all earlier requests of the connection have been answered: at once, unless the client pipelines
 * (RFC 9112 §9.3.2). Serves other connections between two pipelined requests. A second call for the same request, and
 * any call for HTTP/2, starts at once.
 */
export function takeTurn(request: IncomingMessage, response: ServerResponse, start: () => void): void {
  const { socket } = request
  const line = lines.get(socket)
  if (request.httpVersionMajor > 1 || line?.current.request === request) return void start()
  const turn = { request, response, start }
  if (line) return void wait(socket, line, turn)
  const opened: Line = { current: turn, waiting: [], isPaused: false, atEnd: null }
  lines.set(socket, opened)
  begin(socket, opened)
}

function begin(socket: Socket, line: Line): void {
  const { request, response, start } = line.current
  response.prependOnceListener('finish', () => readRest(request))
  response.once('close', () => goOn(socket, line))
  start()
}

/** Reads the rest of a body through the bound on its pieces. Node would drop it without any bound. */
function readRest(request: IncomingMessage): void {
  if (request.complete) return
  request.read(0)
  request.resume()
}

function wait(socket: Socket, line: Line, turn: Turn): void {
  if (line.waiting.length < maxWaiting) return void line.waiting.push(turn)
  line.waiting.at(-1)?.response.setHeader('connection', 'close')
  line.isPaused = true
  process.nextTick(() => line.isPaused && socket.pause()) // later: Node resumes reading once it has parsed the request
}

function goOn(socket: Socket, line: Line): void {
  const next = line.waiting.shift()
  if (!next || socket.destroyed) {
    lines.delete(socket)
    line.atEnd?.()
    return void resume(socket, line)
  }
  line.current = next
  if (!next.request.complete) resume(socket, line)
  setImmediate(() => begin(socket, line))
}

function resume(socket: Socket, line: Line): void {
  if (line.isPaused) socket.resume()
  line.isPaused = false
}

/** Closes the connection after the answer to a request. Returns false when the answer has been sent already. */
export function closeAfterAnswer(request: IncomingMessage): boolean {
  const line = lines.get(request.socket)
  const turn = [line?.current, ...(line?.waiting ?? [])].find((one) => one?.request === request)
  if (!turn) return false
  if (!turn.response.headersSent) turn.response.setHeader('connection', 'close')
  return true
}

/**
 * Calls `then` after the last answer to the requests that have arrived completely. Returns false when no such answer is
 * outstanding.
 */
export function afterAnswers(socket: Socket, then: () => void): boolean {
  const line = lines.get(socket)
  if (!line?.current.request.complete) return false
  if (line.waiting.at(-1)?.request.complete === false) line.waiting.pop()
  line.atEnd = then
  return true
}
