import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { OAuthError } from '../errors.ts'
import { writeError } from '../wire/wire-reply.ts'
import { afterAnswers } from './connection-turns.ts'

/** The refusal of a request that reaches no route. It repeats no part of the request. */
export const notUnderstood = new OAuthError('invalid_request', 'The request could not be understood.')

const { body } = writeError(notUnderstood)

/** Refuses any expectation but 100-continue (RFC 9110 §10.1.1). Node's own refusal would have no body. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
  }
  response.writeHead(417, headers).end(body)
}

/** Refuses bytes that are not HTTP. Logs nothing, since they may contain a password. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  // the client must not mistake this answer for that of an earlier request
  if (afterAnswers(socket, () => socket.destroy())) return
  const status = brokenRequestStatus[error.code ?? ''] ?? '400 Bad Request'
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${body.length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
  )
}

const brokenRequestStatus: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}
