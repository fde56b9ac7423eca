/** The parameters of a statement, by name. */
export interface Parameters<Name extends string> {
  /** The place of each in the text: `$1`, `$2` … */
  readonly places: Readonly<Record<Name, string>>
  /** Puts values in the order of the places. */
  order(values: Readonly<Record<Name, unknown>>): unknown[]
}

/** Names the parameters of a statement that has too many of them to count. */
export function nameParameters<const Name extends string>(names: readonly Name[]): Parameters<Name> {
  const places = Object.fromEntries(names.map((name, place) => [name, `$${place + 1}`]))
  return {
    places: places as Record<Name, string>, // one for each name
    order: (values) => names.map((name) => values[name]),
  }
}
