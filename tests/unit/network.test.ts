import { describe, expect, test } from 'vitest'
import { networkOf, showAddress, trustProxies } from '../../src/http/network.ts'

describe('the network of an attempt', () => {
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
    ['192.0.2.7', ' 192.0.2.7 '],
    ['192.0.2.7', '"192.0.2.7:443"'],
    ['192.0.2.7', '[::ffff:192.0.2.7]:443'],
    ['192.0.2.7', '::FFFF:C000:207'],
    ['2001:db8::1', '[2001:DB8::1]'],
    ['2001:db8::1', '"[2001:db8::1]:443"'],
    ['fe80::1', '[fe80::1%eth0.5]:443'],
    ['unknown', ' Unknown '],
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
    ['unknown', '_another'],
    ['192.0.2.256', '192.0.2.300'],
    ['010.0.0.1', '10.0.0.1'],
    ['', undefined],
  ])('is not the same for %s and %s', (one, other) => {
    expect(networkOf(one)).not.toBe(networkOf(other))
  })

  test('is short and marked for a text that is not an address', () => {
    expect(networkOf(`x${'y'.repeat(10_000)}`)).toMatch(/^\?x.{63}$/)
  })
})

describe('a trusted proxy', () => {
  const trust = trustProxies(['10.0.0.0/8', '2001:db8:5::/48', '::ffff:192.0.2.1', '203.0.113.9'])

  test.each([
    '10.1.2.3',
    '10.1.2.3:4711',
    '"10.1.2.3:4711"',
    '::ffff:10.1.2.3',
    '[::ffff:10.1.2.3]:80',
    '2001:db8:5:6::7',
    '[2001:DB8:5::7%eth0]:443',
    '192.0.2.1',
    '203.0.113.9',
  ])('is recognised as %s', (address) => {
    expect(trust !== false && trust(address)).toBe(true)
  })

  test.each(['11.1.2.3', '2001:db8:6::7', '192.0.2.2', 'unknown', '', '10.1.2.3.4', '10.1.2'])(
    'is not %j',
    (address) => {
      expect(trust !== false && trust(address)).toBe(false)
    },
  )

  test('is not sought behind thirty-two others', () => {
    expect(trust !== false && trust('10.1.2.3', 31)).toBe(true)
    expect(trust !== false && trust('10.1.2.3', 32)).toBe(false)
  })

  test('does not exist without a setting', () => {
    expect(trustProxies([])).toBe(false)
  })
})

describe('the address in a log line', () => {
  test.each([
    [undefined, undefined],
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.7:443', '192.0.2.7'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
  ])('of %s is %s', (address, shown) => {
    expect(showAddress(address)).toBe(shown)
  })

  test.each(['', 'unknown', 'a-secret', 'A'.repeat(16_000)])(
    'never repeats a text that is not an address: %s',
    (text) => {
      expect(showAddress(text)).toBe('unreadable')
    },
  )

  test('leaves out the zone, which may be any text', () => {
    expect(showAddress('fe80::1%a-secret')).not.toContain('secret')
  })
})
