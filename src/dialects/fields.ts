import { OAuthError } from '../errors.ts'
import type { Fields } from './dialect.ts'

/** A field's text, or null when it is missing; an empty field counts as missing (RFC 6749 §3.2). */
export function optionalField(fields: Fields, name: string): string | null {
  return fields.get(name.toLowerCase()) || null
}

/** A field's text. Throws OAuthError `invalid_request` when it is missing or empty. */
export function requiredField(fields: Fields, name: string): string {
  const text = optionalField(fields, name)
  if (text === null) {
    throw new OAuthError('invalid_request', `The field ${name} is missing.`, { reason: `missing field ${name}` })
  }
  return text
}
