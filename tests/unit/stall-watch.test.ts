import { describe, expect, test } from 'vitest'
import { createStallWatch, endedTokenBoundMs } from '../../src/tokens/stall-watch.ts'

const tickMs = 50

/** A watch over an event loop whose clock the test moves. */
function setUp() {
  let now = 0
  const watch = createStallWatch(() => now)
  const pass = (ms: number) => {
    now += ms
  }
  const turn = () => {
    pass(tickMs)
    watch.tick()
  }
  turn()
  turn()
  return { watch, pass, turn }
}

describe('a stall of the event loop', () => {
  test('is not reported while the loop turns or is only busy', () => {
    const { watch, pass, turn } = setUp()
    for (let time = 0; time < 100; time += 1) {
      turn()
      pass(tickMs / 2)
      expect(watch.countStalls()).toBe(0)
      pass(tickMs / 2)
      watch.tick()
    }
    pass(endedTokenBoundMs - tickMs)
    expect(watch.countStalls()).toBe(0)
  })

  test('is noticed by the first check after it, before any timer', () => {
    const { watch, pass } = setUp()
    pass(endedTokenBoundMs + 1)
    expect(watch.countStalls()).toBe(1)
    expect(watch.countStalls()).toBe(1)
  })

  test('is noticed by a timer that comes first', () => {
    const { watch, pass } = setUp()
    pass(endedTokenBoundMs + 1)
    watch.tick()
    expect(watch.countStalls()).toBe(1)
  })

  test('counts from the last tick but one, which proves that sockets have been read', () => {
    const { watch, pass } = setUp()
    pass(endedTokenBoundMs - tickMs)
    watch.tick()
    pass(tickMs + 1)
    expect(watch.countStalls()).toBe(1)
  })

  test('ends at once, and the next one counts anew', () => {
    const { watch, pass, turn } = setUp()
    pass(10_000)
    expect(watch.countStalls()).toBe(1)
    for (let time = 0; time < 10; time += 1) turn()
    expect(watch.countStalls()).toBe(1)
    pass(10_000)
    expect(watch.countStalls()).toBe(2)
  })
})
