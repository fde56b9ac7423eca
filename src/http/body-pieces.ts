import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { OAuthError } from '../errors.ts'
import { closeAfterAnswer } from './connection-turns.ts'

/**
 * The most pieces (chunks or packets) in which a body may arrive: each costs the server a call, however short it is.
 */
export const maxPieces = 100

const pieceCount = Symbol('pieces of the body so far')

declare module 'node:http' {
  interface IncomingMessage {
    [pieceCount]?: number
  }
}

/** A request for `http.createServer` whose body ends at the last allowed piece. */
export class BoundedRequest extends IncomingMessage {
  override [pieceCount] = 0

  override push(piece: unknown, encoding?: BufferEncoding): boolean {
    return countPiece(this, piece) ? super.push(piece, encoding) : true
  }
}

/** Bounds the body of a request that came through the host's own server. */
export function boundPieces(message: IncomingMessage): void {
  if (message instanceof BoundedRequest) return
  const push = message.push
  message[pieceCount] = 0
  message.push = (piece: unknown, encoding) => (countPiece(message, piece) ? push.call(message, piece, encoding) : true)
}

/** Counts a piece, and tells whether it is within the limit. Ends the body at the first piece beyond. */
function countPiece(message: IncomingMessage, piece: unknown): boolean {
  if (piece === null) return true
  const count = (message[pieceCount] ?? 0) + 1
  message[pieceCount] = count
  if (count <= maxPieces) return true
  dropRestOfRead(message.socket)
  if (count > maxPieces + 1) return false
  message.socket.pause()
  if (closeAfterAnswer(message)) end(message)
  else message.socket.destroy() // already answered, so the rest has no reader
  return false
}

/**
 * Keeps Node's parser from calling JavaScript for each further piece of the 64 KiB that it has read. Such calls are
 * most of the cost of a body in one-byte chunks. Restores the handler right after the read, since Node pools parsers.
 */
function dropRestOfRead(socket: Socket): void {
  const { parser } = socket as Socket & { parser?: Record<string, unknown> | null } // Node's own, see `_http_server.js`
  if (!parser) return
  const slot = Object.keys(parser).find((key) => isBodyHandler(parser[key]))
  if (slot === undefined) return
  const handler = parser[slot]
  parser[slot] = null
  setImmediate(() => {
    parser[slot] = handler
  })
}

function isBodyHandler(value: unknown): boolean {
  return typeof value === 'function' && value.name === 'parserOnBody'
}

function end(message: IncomingMessage): void {
  message.complete = true // otherwise Node takes the end for an abort and destroys the socket before the answer
  message.push(null)
}

/** Tells whether a body came in too many pieces, so that its text is incomplete. */
export function isInTooManyPieces(message: IncomingMessage): boolean {
  return (message[pieceCount] ?? 0) > maxPieces
}

/** Creates the refusal of a body in too many pieces. */
export function refusePieces(): OAuthError {
  return new OAuthError('invalid_request', `The body came in more than ${maxPieces} pieces. Send it in fewer.`, {
    headers: { connection: 'close' }, // the server does not read the rest
  })
}
