import type { IncomingMessage } from 'node:http'
import type { Fields } from '../dialects/dialect.ts'
import { OAuthError } from '../errors.ts'

/** The longest body a token request may have, in bytes. */
export const longestBody = 16 * 1024

/**
 * Reads `application/x-www-form-urlencoded` strictly; names match in any letter case. Throws OAuthError
 * `invalid_request` for broken percent-encoding, bytes that are not UTF-8, NUL, repeats (RFC 6749 §3.2), and for what
 * plainly is no form; `example` is the form it then says to send.
 */
export function readForm(text: string, example: string): Fields {
  const otherForm = recogniseOther(text)
  if (otherForm) throw refuse(`The body is ${otherForm}. Send a form: ${example}`)
  const fields = new Map<string, string>()
  for (const pair of text.replace(/^\uFEFF/, '').split('&')) {
    if (pair === '') continue
    const [name, value] = splitPair(pair).map(decode)
    if (name === undefined || value === undefined) throw refuse(unreadable)
    if (fields.has(name.toLowerCase())) throw refuse('The body has the same field twice.')
    fields.set(name.toLowerCase(), value)
  }
  return fields
}

const unreadable =
  'The body has broken percent-encoding, bytes that are not UTF-8, or NUL. In UTF-8, write % as %25 and + as %2B.'

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=')
  return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

/** Undefined for what cannot be decoded. A raw U+FFFD is what unreadable bytes were turned into on their way here. */
function decode(text: string): string | undefined {
  if (text.includes('\uFFFD')) return undefined
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    return decoded.includes('\0') ? undefined : decoded
  } catch {
    return undefined
  }
}

/** What a body plainly is when it is no form: no field's name begins like these. */
function recogniseOther(text: string): string | null {
  if (/^\s*(["{[]|%7B|%22)/i.test(text)) return 'JSON'
  if (/^\s*</.test(text)) return 'XML'
  if (/^\s*--\S+\r?\n[\w-]+:/.test(text)) return 'multipart'
  return null
}

/**
 * Reads the body of a GET, which Fastify leaves on the socket. Throws OAuthError `invalid_request`, with status
 * 413 when it is too long.
 */
export async function readTextOf(message: IncomingMessage): Promise<string> {
  if (Number(message.headers['content-length'] ?? 0) > longestBody) throw refuseLength()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > longestBody) throw refuseLength()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** The refusal of a body over 16 KiB. */
export function refuseLength(): OAuthError {
  return new OAuthError('invalid_request', `The body is longer than ${longestBody} bytes.`, {
    status: 413,
    headers: { connection: 'close' }, // what is left of the body is not waited for
  })
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
