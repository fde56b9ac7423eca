/**
 * A route pattern that matches `path` in any letter case, whatever the host's own case setting: each segment
 * with letters becomes a parameter that only that segment can fill. The router takes two patterns of the same shape for one
 * route whatever their expressions say, so each of several paths has a `place` of its own: as many parameters that are empty.
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
