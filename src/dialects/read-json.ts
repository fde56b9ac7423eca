import { parse, type ValueNode } from '@humanwhocodes/momoa'
import { OAuthError } from '../errors.ts'
import type { Fields } from './dialect.ts'
import { gatherFields, requireUtf8 } from './fields.ts'

/**
 * Reads a JSON object of texts and numbers; names match in any letter case, null counts as missing, a number is the text
 * that was sent. Throws OAuthError `invalid_request` for everything else, repeated names included (RFC 8259 §4), which
 * `JSON.parse` would hide.
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

/** Undefined for what is no JSON, and for what nests deeper than any parser's stack. */
function parseJson(text: string): ValueNode | undefined {
  try {
    JSON.parse(text) // stricter than the other about control characters
    return parse(text, { mode: 'json', ranges: true }).body
  } catch {
    return undefined
  }
}

function readValue(value: ValueNode, text: string): string {
  if (value.type === 'String') return value.value
  if (value.type === 'Number') return text.slice(...(value.range as [number, number]))
  throw refuse('A field of the JSON object is neither a text nor a number.')
}

function refuse(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}
