import { describe, expect, test } from 'vitest'
import { createElapsedClock } from '../../src/elapsed-clock.ts'

const hourMs = 3_600_000

/** A clock of lifetimes over two clocks that the test moves. */
function setUp() {
  const clocks = { monotonic: 1_000, wall: 1_700_000_000_000 }
  const read = createElapsedClock(
    () => clocks.monotonic,
    () => clocks.wall,
  )
  const began = read()
  const pass = (ms: number) => {
    clocks.monotonic += ms
    clocks.wall += ms
  }
  return { clocks, pass, elapsed: () => read() - began }
}

describe('the time that has elapsed', () => {
  test('equals both clocks while they agree', () => {
    const { pass, elapsed } = setUp()
    for (let time = 1; time <= 1_000; time += 1) {
      pass(0.25)
      expect(elapsed()).toBe(time * 0.25)
    }
  })

  test('is not longer with a wall clock of whole milliseconds', () => {
    const { clocks, elapsed } = setUp()
    for (let time = 1; time <= 1_000; time += 1) {
      clocks.monotonic += 0.3
      clocks.wall = 1_700_000_000_000 + Math.floor(time * 0.3)
    }
    expect(elapsed()).toBeCloseTo(300, 6)
  })

  test('includes a suspend, which stops the monotonic clock', () => {
    const { clocks, pass, elapsed } = setUp()
    pass(5)
    clocks.wall += hourMs
    expect(elapsed()).toBe(5 + hourMs)
    pass(5)
    expect(elapsed()).toBe(10 + hourMs)
    clocks.wall += hourMs
    expect(elapsed()).toBe(10 + 2 * hourMs)
  })

  test('continues when the wall clock is set back, and still includes the next suspend', () => {
    const { clocks, pass, elapsed } = setUp()
    clocks.wall -= 10 * hourMs
    pass(5)
    expect(elapsed()).toBe(5)
    clocks.wall += hourMs
    expect(elapsed()).toBe(5 + hourMs)
  })
})
