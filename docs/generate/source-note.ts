/** Returns the comment at the top of a generated page, which names its source. */
export function sourceNote(source: string): string {
  return `<!-- Generated from ${source} by \`npm run docs:reference\`. Do not edit. -->`
}
