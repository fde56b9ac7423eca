import { OAuthError } from '../errors.ts'
import type { Fields } from './fields.ts'
import { gatherFields, maxFields, requireFewFields } from './fields.ts'
import { formDecode } from './form-decode.ts'

/**
 * Reads `application/x-www-form-urlencoded` strictly. Names match in any letter case. Throws OAuthError
 * `invalid_request` for broken percent-encoding, bytes that are not UTF-8, NUL, line breaks, repeated fields (RFC 6749
 * §3.2), too many fields and other formats. The refusal of a line break or another format ends with `example`, a form
 * to send.
 */
export function readForm(text: string, example: string | null): Fields {
  const mistake = findMistake(text)
  if (mistake) throw refuse(mistake + (example === null ? '.' : `: ${example}`))
  const pairs = text.replace(/^\uFEFF/, '').split('&', maxFields + 1)
  requireFewFields(pairs.length)
  return gatherFields(pairs.filter((pair) => pair !== '').map(readPair))
}

function findMistake(text: string): string | null {
  const otherForm = recogniseOther(text)
  return otherForm === null ? findLineBreak(text) : `The body is ${otherForm}. Send a form`
}

/** Finds a line break, which no encoder writes (WHATWG URL §5.2) but an editor or a shell adds. */
function findLineBreak(text: string): string | null {
  const at = text.search(/[\r\n]/)
  if (at === -1) return null
  if (text.slice(at).trim() === '') return 'The form ends with a line break. Send it without'
  return 'The form has a line break in it. Put & between fields, and write a line break of a value as %0D%0A'
}

function readPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=')
  const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
  return [decode(name), decode(value)]
}

const unreadable =
  'The body has broken percent-encoding, bytes that are not UTF-8, or NUL. In UTF-8, write % as %25 and + as %2B.'

/** Decodes a text. A raw U+FFFD stands for bytes that were not UTF-8. */
function decode(text: string): string {
  const decoded = formDecode(text)
  if (decoded === null || text.includes('\uFFFD') || decoded.includes('\0')) throw refuse(unreadable)
  return decoded
}

/** Recognizes a body that is plainly not a form, since no field's name begins like that. */
function recogniseOther(text: string): string | null {
  if (/^\s*(["{[]|%7B|%22)/i.test(text)) return 'JSON'
  if (/^\s*</.test(text)) return 'XML'
  if (/^\s*--\S+\r?\n[\w-]+:/.test(text)) return 'multipart'
  return null
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
