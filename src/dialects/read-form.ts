import { OAuthError } from '../errors.ts'
import type { Fields } from './dialect.ts'
import { gatherFields } from './fields.ts'

/**
 * Reads `application/x-www-form-urlencoded` strictly; names match in any letter case. Throws OAuthError
 * `invalid_request` for broken percent-encoding, bytes that are not UTF-8, NUL, repeats (RFC 6749 §3.2), and for what
 * plainly is no form; `example` is the form it then says to send.
 */
export function readForm(text: string, example: string | null): Fields {
  const otherForm = recogniseOther(text)
  if (otherForm) throw refuse(`The body is ${otherForm}. Send a form${example === null ? '.' : `: ${example}`}`)
  const pairs = text.replace(/^\uFEFF/, '').split('&')
  return gatherFields(pairs.filter((pair) => pair !== '').map(readPair))
}

function readPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=')
  const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
  return [decode(name), decode(value)]
}

const unreadable =
  'The body has broken percent-encoding, bytes that are not UTF-8, or NUL. In UTF-8, write % as %25 and + as %2B.'

/** A raw U+FFFD is what unreadable bytes were turned into on their way here. */
function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    if (!text.includes('\uFFFD') && !decoded.includes('\0')) return decoded
  } catch {
    // refused below
  }
  throw refuse(unreadable)
}

/** What a body plainly is when it is no form: no field's name begins like these. */
function recogniseOther(text: string): string | null {
  if (/^\s*(["{[]|%7B|%22)/i.test(text)) return 'JSON'
  if (/^\s*</.test(text)) return 'XML'
  if (/^\s*--\S+\r?\n[\w-]+:/.test(text)) return 'multipart'
  return null
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
