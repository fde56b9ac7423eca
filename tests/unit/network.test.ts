import { describe, expect, test } from 'vitest'
import { networkOf } from '../../src/http/network.ts'

describe('the network an attempt counts for', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:db8:1:2::1', '2001:0DB8:0001:0002:0:0:0:9'],
    ['2001:db8::', '2001:db8:0:0:1::'],
    ['fe80::1', 'fe80::1%eth0'],
    ['::1', '::2'],
    ['192.0.2.7', '::ffff:192.0.2.7'],
    ['192.0.2.7', '192.0.2.7:443'],
    ['2001:db8::1', '[2001:db8::1]:443'],
    ['unknown', 'whatever a header says'],
    ['', undefined],
  ])('is the same for %s and %s', (one, other) => {
    expect(networkOf(one)).toBe(networkOf(other))
  })

  test.each([
    ['192.0.2.7', '192.0.2.8'],
    ['192.0.2.7', '192.0.2.70'],
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['2001:db8:1:2::1', '2001:db8:2:1::1'],
    ['2001:db8:12::1', '2001:db8:1:2::1'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.8'],
    ['::ffff:192.0.2.7', '::1'],
  ])('is not the same for %s and %s', (one, other) => {
    expect(networkOf(one)).not.toBe(networkOf(other))
  })
})
