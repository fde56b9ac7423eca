import { OAuthError } from '../errors.ts'
import { isShortText } from '../short-text.ts'

/** What arrived, as fields given once: names in lower case, values decoded. */
export type Fields = ReadonlyMap<string, string>

/** A field's text, or null when it is missing; an empty field counts as missing (RFC 6749 §3.2). */
export function optionalField(fields: Fields, name: string): string | null {
  return fields.get(name.toLowerCase()) || null
}

/** A field's text. Throws OAuthError `invalid_request` when it is missing or empty. */
export function requiredField(fields: Fields, name: string): string {
  const text = optionalField(fields, name)
  if (text === null) {
    const details = { reason: `missing field ${name}`, missingField: name }
    throw new OAuthError('invalid_request', `The field ${name} is missing.`, details)
  }
  return text
}

const longestLabel = 200

/** The label of a seat, `fallback` when none was sent. Throws OAuthError `invalid_request` for what cannot be one. */
export function deviceField(fields: Fields, name: string, fallback: string): string {
  const label = optionalField(fields, name) ?? fallback
  if (isShortText(label, longestLabel)) return label
  throw new OAuthError('invalid_request', `${name} has at most ${longestLabel} characters and no control characters.`)
}

/** How many fields a body may have, empty ones included. */
export const maxFields = 50

/** Refuses a body of too many fields before they are decoded. Throws OAuthError `invalid_request`. */
export function requireFewFields(count: number): void {
  if (count > maxFields) throw new OAuthError('invalid_request', `The body has more than ${maxFields} fields.`)
}

/** Collects fields, each given once. Throws OAuthError `invalid_request` for repeats and for what no text may hold. */
export function gatherFields(given: Iterable<readonly [name: string, value: string]>): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of given) {
    const key = name.toLowerCase()
    if (fields.has(key)) throw new OAuthError('invalid_request', 'The body has the same field twice.')
    // PostgreSQL has no NUL, and UTF-8 no lone surrogate
    if (isUnreadable(name) || isUnreadable(value)) throw new OAuthError('invalid_request', unreadable)
    fields.set(key, value)
  }
  return fields
}

function isUnreadable(text: string): boolean {
  return text.includes('\0') || /\p{Cs}/u.test(text)
}

/** Refuses bytes that are not UTF-8, which were turned into U+FFFD on their way here. Throws OAuthError `invalid_request`. */
export function requireUtf8(text: string): void {
  if (text.includes('\uFFFD')) throw new OAuthError('invalid_request', unreadable)
}

const unreadable = 'The body has bytes that are not UTF-8, NUL, or half a character.'
