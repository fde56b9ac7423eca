/** One line of the result: the value of each round, their median and the target. */
export interface Figure {
  readonly measurement: string
  readonly what: string
  readonly unit: string
  readonly target: string
  readonly rounds: readonly number[]
  readonly median: number
  /** The numbers behind the value, as medians. */
  readonly madeOf: Readonly<Record<string, number>>
}

/** One round: the value, and the numbers behind it. */
export interface Round {
  readonly value: number
  readonly madeOf?: Readonly<Record<string, number>>
}

/** Combines rounds to one line: the median of the rounds' values, never a quotient of medians. */
export function figure(
  about: Pick<Figure, 'measurement' | 'what' | 'unit' | 'target'>,
  rounds: readonly Round[],
): Figure {
  const names = Object.keys(rounds[0]?.madeOf ?? {})
  const values = rounds.map(({ value }) => value)
  return {
    ...about,
    rounds: values.map(shorten),
    median: shorten(median(values)),
    madeOf: Object.fromEntries(
      names.map((name) => [name, shorten(median(rounds.map(({ madeOf }) => madeOf?.[name] ?? Number.NaN)))]),
    ),
  }
}

/** Returns the middle value, or the mean of the two in the middle; NaN without values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}

function shorten(value: number): number {
  return Number(value.toPrecision(4))
}

/** Writes figures as a table. */
export function writeTable(figures: readonly Figure[]): string {
  const heading = ['MEASUREMENT', 'WHAT', 'MEDIAN', 'TARGET', 'LOWEST', 'HIGHEST', 'MADE OF (MEDIANS)']
  const rows = figures.map(({ measurement, what, median, unit, target, rounds, madeOf }) => [
    measurement,
    what,
    `${median} ${unit}`.trim(),
    target,
    String(Math.min(...rounds)),
    String(Math.max(...rounds)),
    Object.entries(madeOf)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  ])
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return [heading, ...rows].map((cells) => line(cells).trimEnd()).join('\n')
}
