/**
 * Chooses the type to answer in, as ASP.NET Web API's DefaultContentNegotiator does: the highest quality of `accept`,
 * among equals a type named in full before `type/*` before any type, then the order of the formatters, each of which writes
 * one or more types. Without `accept` the type of the request, where a formatter writes it; else the first of all. An
 * `accept` of more than 1,000 characters is not read, and gets the first of all.
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

/** The types of each formatter, its own first. */
export type Formatters = readonly [readonly [string, ...string[]], ...(readonly string[])[]]

/** From a type named in full to any type at all. */
const precisions = [(type: string) => type, (type: string) => `${type.split('/')[0]}/*`, () => '*/*']

interface Range {
  readonly range: string
  readonly quality: number
}

/** RFC 9110 §12.5.1; what cannot be read asks for nothing. */
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
