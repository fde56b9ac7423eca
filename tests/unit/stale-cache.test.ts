import { DateTime } from 'luxon'
import { describe, expect, test } from 'vitest'
import { type LiveToken, StaleCache } from '../../src/tokens/stale-cache.ts'

const issuedAt = DateTime.fromSeconds(0)
const shown = { clientId: 'c', userId: 'u', userName: 'ada', role: '', device: '', issuedAt, expiresAt: issuedAt }
const tokenOf = (id: string): LiveToken => ({ token: { id, ...shown } })
const lifetimes = { freshUntil: 100, staleUntil: 200 }

/** A cache with one token, whose value has the name `one`. */
function setUp() {
  const cache = new StaleCache()
  const found = tokenOf('1')
  cache.set('one', found, lifetimes)
  return { cache, found, isFreshAt: (now: number) => cache.getFresh('one', now) === found }
}

describe('a token in the cache', () => {
  test('is fresh until its fresh time is over, and stale until its stale time is over', () => {
    const { cache, found } = setUp()
    expect(cache.getFresh('one', 99)).toBe(found)
    expect(cache.getFresh('one', 100)).toBeNull()
    expect(cache.getStale('one', 199)).toBe(found)
    expect(cache.getStale('one', 200)).toBeNull()
  })

  test('stays as stale when all freshness ends, and is fresh again after the next look-up', () => {
    const { cache, found, isFreshAt } = setUp()
    cache.expire()
    expect(isFreshAt(0)).toBe(false)
    expect(cache.getStale('one', 0)).toBe(found)
    cache.set('one', found, lifetimes)
    expect(isFreshAt(0)).toBe(true)
  })

  test.each([
    ['its id', (cache: StaleCache) => cache.deleteToken('1')],
    ['the name of its value', (cache: StaleCache) => cache.delete('one')],
    ['a newer value of the same token', (cache: StaleCache) => cache.set('new', tokenOf('1'), lifetimes)],
    ['the end of all', (cache: StaleCache) => cache.clear()],
  ])('is dropped by %s', (_what, drop) => {
    const { cache } = setUp()
    drop(cache)
    expect(cache.getFresh('one', 0)).toBeNull()
    expect(cache.getStale('one', 0)).toBeNull()
    expect(cache.getStale('new', 0)).toEqual(_what.startsWith('a newer') ? tokenOf('1') : null)
  })

  test('is dropped by its id even after two look-ups', () => {
    const { cache, found, isFreshAt } = setUp()
    cache.set('one', found, lifetimes)
    cache.deleteToken('1')
    expect(isFreshAt(0)).toBe(false)
  })

  test('is evicted when 20,000 others were used since', () => {
    const { cache, isFreshAt } = setUp()
    for (let id = 2; id <= 20_000; id += 1) cache.set(`name ${id}`, tokenOf(String(id)), lifetimes)
    expect(isFreshAt(0)).toBe(true)
    for (let id = 20_001; id <= 40_000; id += 1) cache.set(`name ${id}`, tokenOf(String(id)), lifetimes)
    expect(isFreshAt(0)).toBe(false)
  })
})
