/** The times of requests of one kind in milliseconds, one from each block. */
export type Times = readonly number[]

/** The difference between two kinds of request, and its margin of error. */
export interface Difference {
  /** Negative if the compared kind was quicker. */
  readonly ms: number
  /** The margin of error. Chance exceeds it in less than one of ten thousand comparisons. */
  readonly marginMs: number
}

/** The result of a comparison. */
export interface Comparison extends Difference {
  /** The largest difference that counts as none. */
  readonly boundMs: number
  /** The smallest real difference that the comparison detects. */
  readonly foundFromMs: number
  readonly verdict: 'alike' | 'quicker' | 'slower'
}

/**
 * Computes the difference between two kinds of request that were sent in the same blocks. A busy machine only makes times
 * longer, so the quickest requests tell most (Crosby, Wallach and Riedi, Opportunities and Limits of Remote Timing Attacks,
 * 2009, doi 10.1145/1455526.1455530). It compares their means, and resamples whole blocks (a bootstrap) for the margin.
 */
export function difference(times: Times, others: Times): Difference {
  const draws = Array.from({ length: draughts }, () => {
    const blocks = times.map(() => Math.floor(Math.random() * times.length))
    const drawn = (from: Times) => quickestQuarter(blocks.map((block) => from[block] ?? Number.NaN))
    return drawn(times) - drawn(others)
  })
  return { ms: quickestQuarter(times) - quickestQuarter(others), marginMs: surelyWithin * deviation(draws) }
}

const draughts = 500
const surelyWithin = 4 // standard deviations; chance exceeds them once in 16,000

/**
 * Judges the difference between two kinds of request. `same` is the difference between two kinds that are the same thing, in
 * the same blocks. A leak certainly differs by more than that, and by more than `share` of the time itself.
 */
export function compareTimes(times: Times, others: Times, same: Difference, share: number): Comparison {
  const { ms, marginMs } = difference(times, others)
  const boundMs = Math.max(Math.abs(same.ms), share * quickestQuarter(others))
  const isSurelyBeyond = Math.abs(ms) - marginMs > boundMs
  const verdict = !isSurelyBeyond ? 'alike' : ms < 0 ? 'quicker' : 'slower'
  return { ms, marginMs, boundMs, foundFromMs: boundMs + 2 * marginMs, verdict }
}

/** Computes the mean of the quickest quarter of times. */
export function quickestQuarter(times: Times): number {
  const quickest = Float64Array.from(times)
    .sort()
    .subarray(0, Math.ceil(times.length / 4))
  return quickest.reduce((sum, time) => sum + time, 0) / quickest.length
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
}
