/** Milliseconds that requests of one kind took, one of each block. */
export type Times = readonly number[]

/** What two kinds of request differ by, and how well that is known. */
export interface Difference {
  /** Negative where what is compared was quicker. */
  readonly ms: number
  /** How far off that may be: more than this by chance in less than one comparison of ten thousand. */
  readonly marginMs: number
}

/** What a comparison comes to. */
export interface Comparison extends Difference {
  /** Differences up to here tell nobody anything. */
  readonly boundMs: number
  /** A difference that is really as great as this is found. */
  readonly foundFromMs: number
  readonly verdict: 'alike' | 'quicker' | 'slower'
}

/**
 * The difference between two kinds of request that were sent in the same blocks. What a busy machine adds to a time only
 * makes it longer, so that the quickest requests tell most (Crosby, Wallach and Riedi, Opportunities and Limits of Remote
 * Timing Attacks, 2009, doi 10.1145/1455526.1455530): it is their mean that is compared, and drawing whole blocks again
 * (a bootstrap) shows how far it would scatter.
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
const surelyWithin = 4 // standard deviations: more than that is 1 chance in 16,000

/**
 * The verdict on two kinds of request, beside `same`, the difference of two that are the same thing in the same blocks: a
 * leak is what surely differs by more than they do, and by more than `share` of the time itself.
 */
export function compareTimes(times: Times, others: Times, same: Difference, share: number): Comparison {
  const { ms, marginMs } = difference(times, others)
  const boundMs = Math.max(Math.abs(same.ms), share * quickestQuarter(others))
  const isSurelyBeyond = Math.abs(ms) - marginMs > boundMs
  const verdict = !isSurelyBeyond ? 'alike' : ms < 0 ? 'quicker' : 'slower'
  return { ms, marginMs, boundMs, foundFromMs: boundMs + 2 * marginMs, verdict }
}

/** The mean of the quickest quarter of times. */
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
