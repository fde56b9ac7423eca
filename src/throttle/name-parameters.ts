/** The named parameters of a statement. */
export interface Parameters<Name extends string> {
  /** The placeholder of each parameter: `$1`, `$2` … */
  readonly places: Readonly<Record<Name, string>>
  /** Returns the values in the order of the placeholders. */
  order(values: Readonly<Record<Name, unknown>>): unknown[]
}

/** Gives names to the parameters of a statement that has too many of them to number by hand. */
export function nameParameters<const Name extends string>(names: readonly Name[]): Parameters<Name> {
  const places = Object.fromEntries(names.map((name, place) => [name, `$${place + 1}`]))
  return {
    places: places as Record<Name, string>, // one for each name
    order: (values) => names.map((name) => values[name]),
  }
}
