/**
 * Returns a route pattern that matches `path` in any letter case, independent of the host's own case setting. Each
 * segment with letters becomes a parameter that only that segment can fill. The router treats two patterns of the same
 * shape as one route, regardless of their expressions. So each of several paths needs its own `place`: a number of
 * empty parameters.
 */
export function pathInAnyCase(path: string, place = 0): string {
  return path
    .split('/')
    .map((segment, index) =>
      /[a-z]/i.test(segment) ? `:segment${index}(^${anyCase(segment)}$)${emptyParameters(index, place)}` : segment,
    )
    .join('/')
}

function emptyParameters(segment: number, count: number): string {
  return Array.from({ length: count }, (_, index) => `:empty${segment}_${index}(^$)`).join('')
}

function anyCase(segment: string): string {
  return segment.replace(/[^0-9]/g, (character) => {
    if (!/[a-z]/i.test(character)) return `\\${character}`
    return `[${character.toUpperCase()}${character.toLowerCase()}]`
  })
}
