import { parse, type ValueNode } from '@humanwhocodes/momoa'
import { OAuthError } from '../errors.ts'
import type { Fields } from './fields.ts'
import { gatherFields, requireFewFields, requireUtf8 } from './fields.ts'

/**
 * Reads a JSON object of strings and numbers. Names match in any letter case, null counts as missing, and a number
 * becomes its text as sent. Throws OAuthError `invalid_request` for everything else, including repeated names (RFC 8259
 * §4), which `JSON.parse` would hide.
 */
export function readJson(given: string): Fields {
  requireUtf8(given)
  const text = given.replace(/^\uFEFF/, '')
  const body = parseJson(text)
  if (body?.type !== 'Object') throw refuse('The body is not a JSON object.')
  return gatherFields(
    body.members
      .filter(({ value }) => value.type !== 'Null')
      .map(({ name, value }) => [name.type === 'String' ? name.value : name.name, readValue(value, text)]),
  )
}

/**
 * Returns undefined for text that is not a JSON object. Throws OAuthError for an object that nests or has too many
 * members.
 */
function parseJson(text: string): ValueNode | undefined {
  if (!isObject(text)) return undefined
  requireFlat(text)
  return parse(text, { mode: 'json', ranges: true }).body
}

/**
 * Uses the native parser: it is faster than the one that keeps repeated names, and stricter about control characters.
 */
function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** Refuses nesting and too many members, by counting the brackets and commas outside strings. The text must be JSON. */
function requireFlat(text: string): void {
  let commas = 0
  let openings = 0
  let isInString = false
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index]
    if (character === '\\') index += 1
    else if (character === '"') isInString = !isInString
    else if (!isInString && character === ',') commas += 1
    else if (!isInString && (character === '{' || character === '[')) openings += 1
  }
  if (openings > 1) throw refuseValue()
  requireFewFields(commas + 1)
}

function readValue(value: ValueNode, text: string): string {
  if (value.type === 'String') return value.value
  if (value.type === 'Number') return text.slice(...(value.range as [number, number]))
  throw refuseValue()
}

function refuseValue(): OAuthError {
  return refuse('A field of the JSON object is neither a string nor a number.')
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
