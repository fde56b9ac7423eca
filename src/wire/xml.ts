import { type SaxesAttributeNS, SaxesParser } from 'saxes'
import { OAuthError } from '../errors.ts'
import type { Fields } from './fields.ts'
import { gatherFields, requireFewFields, requireUtf8 } from './fields.ts'

/** A root element: its local name and its namespace. */
export interface Root {
  readonly name: string
  readonly namespace: string
}

/** The namespace of `i:nil`. */
export const instanceNamespace = 'http://www.w3.org/2001/XMLSchema-instance'

/**
 * Reads flat XML: the children of the root, in its namespace and in any order, become fields. `i:nil` counts as
 * missing. Decodes only the predefined entities and character references. Throws OAuthError `invalid_request` for a
 * document type, another root, deeper nesting, repeated fields, too many fields or attributes, and text that is not
 * well-formed.
 */
export function readXml(text: string, root: Root): Fields {
  requireUtf8(text)
  const given: [name: string, value: string][] = []
  const parser = new SaxesParser({ xmlns: true, defaultXMLVersion: '1.0', forceXMLVersion: true })
  let depth = 0
  let attributeCount = 0
  let isNil = false
  parser.on('error', () => refuse('The body is not well-formed XML.'))
  parser.on('doctype', () => refuse('The XML has a document type. Send it without.'))
  parser.on('attribute', () => {
    attributeCount += 1
    if (attributeCount > maxAttributes) refuse(`The XML has more than ${maxAttributes} attributes.`)
  })
  parser.on('opentag', ({ local, uri, attributes }) => {
    depth += 1
    if (depth > 2) refuse('The XML has elements inside its fields.')
    if (uri !== root.namespace || (depth === 1 && local !== root.name)) {
      refuse(`The XML must be ${root.name}, with all elements in the namespace ${root.namespace}.`)
    }
    if (depth === 2) requireFewFields(given.push([local, '']))
    isNil = depth === 2 && Object.values(attributes).some(isNilAttribute)
  })
  const append = (more: string) => {
    const field = given.at(-1)
    if (depth === 2 && field) field[1] += more
    else if (more.trim() !== '') refuse('The XML has text outside its fields.')
  }
  parser.on('text', append)
  parser.on('cdata', append)
  parser.on('closetag', () => {
    depth -= 1
    if (isNil) given.pop()
    isNil = false
  })
  if (text !== '') parser.write(text).close()
  return gatherFields(given)
}

/** The most attributes of all elements together. The published samples declare a namespace or two, and use `i:nil`. */
const maxAttributes = 50

function isNilAttribute({ uri, local, value }: SaxesAttributeNS): boolean {
  return uri === instanceNamespace && local === 'nil' && /^(true|1)$/.test(value.trim())
}

function refuse(description: string): never {
  throw new OAuthError('invalid_request', description)
}

/** Writes one element that contains text. */
export function writeElement(name: string, text: string): string {
  return `<${name}>${escapeText(text)}</${name}>`
}

/**
 * Also escapes a carriage return, which a reader would turn into a line end. Replaces U+FFFE and U+FFFF, which XML
 * forbids.
 */
function escapeText(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#xD;')
    .replace(/[\uFFFE\uFFFF]/g, '\uFFFD')
}
