import fc from 'fast-check'
import { DateTime } from 'luxon'
import { expect, test } from 'vitest'
import { httpDate } from '../../src/http-date.ts'

test('an HTTP date equals that of luxon, from 1970 to 2100, in every zone', () => {
  const zones = fc.constantFrom('utc', 'Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_999 }), zones, (milliseconds, zone) => {
      const moment = DateTime.fromMillis(milliseconds, { zone })
      expect(httpDate(moment)).toBe(moment.toHTTP())
    }),
  )
})

test('an HTTP date has a day of two digits and says GMT (RFC 9110 §5.6.7)', () => {
  expect(httpDate(DateTime.fromISO('2026-11-02T08:00:00Z'))).toBe('Mon, 02 Nov 2026 08:00:00 GMT')
})
