import type { DateTime } from 'luxon'

/** An HTTP date (RFC 9110 §5.6.7): the text of luxon's `toHTTP`, which the engine writes many times as fast. */
export function httpDate(moment: DateTime): string {
  return moment.toJSDate().toUTCString()
}
