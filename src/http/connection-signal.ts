import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'

const signals = new WeakMap<Socket, AbortSignal>()

/**
 * Returns a signal that aborts when the caller closes the connection. Fastify's own `request.signal` would abort too
 * early: it follows the request's `close`, which Node emits as soon as the body has been read.
 */
export function connectionSignal({ raw: { socket } }: FastifyRequest): AbortSignal {
  const known = signals.get(socket)
  if (known) return known
  const hungUp = new AbortController()
  setMaxListeners(0, hungUp.signal) // pipelined requests share the signal
  signals.set(socket, hungUp.signal)
  if (socket.destroyed) hungUp.abort()
  else socket.once('close', () => hungUp.abort()) // one listener for all requests of a connection
  return hungUp.signal
}
