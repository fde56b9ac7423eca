import type { IncomingMessage } from 'node:http'
import type { Fields } from '../dialects/dialect.ts'
import { OAuthError } from '../errors.ts'

/** The longest body a token request may have, in bytes. */
export const longestBody = 16 * 1024

/**
 * Reads `application/x-www-form-urlencoded` strictly: broken percent-encoding, bytes that are not UTF-8, NUL
 * and repeats (RFC 6749 §3.2) are refused, names match in any letter case. Returns the refusal instead of
 * throwing it, since form parsers are called where nobody catches.
 */
export function readForm(text: string): Fields | OAuthError {
  const otherForm = recogniseOther(text)
  if (otherForm) return refuse(`The body is ${otherForm}. Send a form: grant_type=password&username=...&password=...`)
  const fields = new Map<string, string>()
  for (const pair of text.replace(/^\uFEFF/, '').split('&')) {
    if (pair === '') continue
    const [name, value] = splitPair(pair).map(decode)
    if (name === undefined || value === undefined) {
      return refuse('The body has broken percent-encoding, bytes that are not UTF-8, or NUL.')
    }
    if (fields.has(name.toLowerCase())) return refuse('The body has the same field twice.')
    fields.set(name.toLowerCase(), value)
  }
  return fields
}

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
  if (/^\s*[{[]/.test(text)) return 'JSON'
  if (/^\s*</.test(text)) return 'XML'
  if (/^--\S+\r?\n[\w-]+:/.test(text)) return 'multipart'
  return null
}

/**
 * Reads the body of a GET, which Fastify leaves on the socket, as a form. Throws OAuthError
 * `invalid_request`, with status 413 when it is too long.
 */
export async function readFormOf(message: IncomingMessage): Promise<Fields | OAuthError> {
  if (Number(message.headers['content-length'] ?? 0) > longestBody) throw refuseLength()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > longestBody) throw refuseLength()
    chunks.push(chunk)
  }
  return readForm(Buffer.concat(chunks).toString())
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
