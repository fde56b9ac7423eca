import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../errors.ts'

/** The maximum length of a token request's body, in bytes. */
export const longestBody = 16 * 1024

/**
 * Reads the body of a GET, which Fastify leaves on the socket. Throws OAuthError `invalid_request` with the status 413
 * when it is too long.
 */
export async function readTextOf(message: IncomingMessage): Promise<string> {
  if (Number(message.headers['content-length'] ?? 0) > longestBody) throw refuseLength()
  const chunks: Buffer[] = []
  let length = 0
  // do not destroy the request: it would lose its address, which the log needs
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > longestBody) throw refuseLength()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Creates the refusal of a body over 16 KiB. */
export function refuseLength(): OAuthError {
  return new OAuthError('invalid_request', `The body is longer than ${longestBody} bytes.`, {
    status: 413,
    headers: { connection: 'close' }, // the server does not read the rest of the body
  })
}
