import { OAuthError } from '../errors.ts'
import { isShortText } from '../short-text.ts'

/** The fields of a request, each given once: names in lower case, values decoded. */
export type Fields = ReadonlyMap<string, string>

/** Returns a field's text; null when it is missing or empty (RFC 6749 §3.2). */
export function optionalField(fields: Fields, name: string): string | null {
  return fields.get(name.toLowerCase()) || null
}

/** Returns a field's text. Throws OAuthError `invalid_request` when it is missing or empty. */
export function requiredField(fields: Fields, name: string): string {
  const text = optionalField(fields, name)
  if (text === null) {
    const details = { reason: `missing field ${name}`, missingField: name }
    throw new OAuthError('invalid_request', `The field ${name} is missing.`, details)
  }
  return text
}

const longestLabel = 200

/** Returns the label of a seat, or `fallback`. Throws OAuthError `invalid_request` for an invalid label. */
export function deviceField(fields: Fields, name: string, fallback: string): string {
  const label = optionalField(fields, name) ?? fallback
  if (isShortText(label, longestLabel)) return label
  const rule = `at most ${longestLabel} characters and no control characters`
  throw new OAuthError('invalid_request', `The field ${name} must have ${rule}.`)
}

/** The most fields that a body may have, empty ones included. */
export const maxFields = 50

/** Refuses a body with too many fields before it is decoded. Throws OAuthError `invalid_request`. */
export function requireFewFields(count: number): void {
  if (count > maxFields) throw new OAuthError('invalid_request', `The body has more than ${maxFields} fields.`)
}

/** Collects fields. Throws OAuthError `invalid_request` for a repeated field and for unreadable characters. */
export function gatherFields(given: Iterable<readonly [name: string, value: string]>): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of given) {
    const key = name.toLowerCase()
    if (fields.has(key)) throw new OAuthError('invalid_request', 'The body has the same field twice.')
    // PostgreSQL stores no NUL, and UTF-8 encodes no lone surrogate
    if (isUnreadable(name) || isUnreadable(value)) throw new OAuthError('invalid_request', unreadable)
    fields.set(key, value)
  }
  return fields
}

function isUnreadable(text: string): boolean {
  return text.includes('\0') || /\p{Cs}/u.test(text)
}

/** Refuses bytes that are not UTF-8, which decoding has turned into U+FFFD. Throws OAuthError `invalid_request`. */
export function requireUtf8(text: string): void {
  if (text.includes('\uFFFD')) throw new OAuthError('invalid_request', unreadable)
}

const unreadable = 'The body has bytes that are not UTF-8, NUL, or half a character.'
