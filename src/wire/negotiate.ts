/**
 * Chooses the type of the answer, as ASP.NET Web API's DefaultContentNegotiator does. The highest quality in `accept`
 * wins; among equals, a full type beats `type/*`, which beats any type; then the order of the formatters decides. Each
 * formatter writes one or more types. Without `accept`, chooses the type of the request if a formatter writes it, else
 * the first type. Ignores an `accept` of more than 1,000 characters and chooses the first type.
 */
export function negotiate(accept: string, requestType: string, formatters: Formatters): string {
  const first = formatters[0][0]
  if (accept.length > longestAccept) return first
  const ranges = readRanges(accept)
  if (ranges.length === 0) return formatters.flat().includes(requestType) ? requestType : first
  let best = { type: first, quality: 0 }
  for (const precision of precisions) {
    for (const types of formatters) {
      for (const { range, quality } of ranges) {
        const type = types.find((written) => precision(written) === range)
        if (type !== undefined && quality > best.quality) best = { type, quality }
      }
    }
  }
  return best.type
}

const longestAccept = 1_000

/** The types of each formatter, its preferred one first. */
export type Formatters = readonly [readonly [string, ...string[]], ...(readonly string[])[]]

/** From a full type to any type. */
const precisions = [(type: string) => type, (type: string) => `${type.split('/')[0]}/*`, () => '*/*']

interface Range {
  readonly range: string
  readonly quality: number
}

/** Reads the ranges of RFC 9110 §12.5.1. An unreadable quality counts as 0. */
function readRanges(accept: string): Range[] {
  return accept
    .toLowerCase()
    .split(',')
    .map((part) => part.split(';').map((piece) => piece.trim()))
    .filter(([range]) => range !== '')
    .map(([range = '', ...parameters]) => ({ range, quality: readQuality(parameters) }))
}

function readQuality(parameters: readonly string[]): number {
  const written = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '')
  const quality = written === undefined ? 1 : Number(written)
  return quality >= 0 && quality <= 1 ? quality : 0
}
