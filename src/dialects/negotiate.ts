/**
 * Chooses the type to answer in, as ASP.NET Web API's DefaultContentNegotiator does: the highest quality of `accept`,
 * among equals a type named in full before `type/*` before `any/any`, and then the order of `offered`. Without `accept` the
 * type of the request, where it is offered; else the first.
 */
export function negotiate(accept: string, requestType: string, offered: readonly [string, ...string[]]): string {
  const [first] = offered
  const ranges = readRanges(accept)
  if (ranges.length === 0) return offered.includes(requestType) ? requestType : first
  let best = { type: first, quality: 0 }
  for (const precision of precisions) {
    for (const type of offered) {
      const quality = Math.max(0, ...ranges.filter(({ range }) => range === precision(type)).map(({ q }) => q))
      if (quality > best.quality) best = { type, quality }
    }
  }
  return best.type
}

/** From a type named in full to any type at all. */
const precisions = [(type: string) => type, (type: string) => `${type.split('/')[0]}/*`, () => '*/*']

interface Range {
  readonly range: string
  readonly q: number
}

/** RFC 9110 §12.5.1; what cannot be read asks for nothing. */
function readRanges(accept: string): Range[] {
  return accept
    .toLowerCase()
    .split(',')
    .map((part) => part.split(';').map((piece) => piece.trim()))
    .filter(([range]) => range !== '')
    .map(([range = '', ...parameters]) => ({ range, q: readQuality(parameters) }))
}

function readQuality(parameters: readonly string[]): number {
  const written = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '')
  const quality = written === undefined ? 1 : Number(written)
  return quality >= 0 && quality <= 1 ? quality : 0
}
