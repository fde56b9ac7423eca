/**
 * A route pattern that matches `path` in any letter case, whatever the host's own case setting: each segment
 * with letters becomes a parameter that only that segment can fill.
 */
export function pathInAnyCase(path: string): string {
  return path
    .split('/')
    .map((segment, index) => (/[a-z]/i.test(segment) ? `:segment${index}(^${anyCase(segment)}$)` : segment))
    .join('/')
}

function anyCase(segment: string): string {
  return segment.replace(/[^0-9]/g, (character) => {
    if (!/[a-z]/i.test(character)) return `\\${character}`
    return `[${character.toUpperCase()}${character.toLowerCase()}]`
  })
}
